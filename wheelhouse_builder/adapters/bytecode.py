"""Bytecode that travels: each wheel compiled on this host by the target's own version of CPython, for every platform at once.

What is compiled is the same wherever that version runs, and valid by the hash of its source (PEP 552), which the far side compares.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from wheelhouse_builder.adapters.interpreters import interpreters
from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.errors import EnvironmentFailure
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.reporter import Reporter
from wheelhouse_builder.runtime.layout import bytecode_entry

OLDEST = (3, 7)
"""The first CPython that knows bytecode which is valid by a hash."""

# argv: a wheel, and the file to write. Nothing of the wheel is run. Sources of scripts are left out: their first line is not known yet.
_COMPILE = """
import importlib.util, marshal, struct, sys, warnings, zipfile
warnings.simplefilter("ignore")
with zipfile.ZipFile(sys.argv[1]) as wheel, open(sys.argv[2], "wb") as out:
    out.write(b"WHBC\\1")
    for name in sorted(wheel.namelist()):
        top, _, rest = name.partition("/")
        scheme, _, rest = rest.partition("/")
        path = name
        if top.endswith(".data"):
            path = rest if scheme in ("purelib", "platlib") else ""
        if not path.endswith(".py"):
            continue
        source = wheel.read(name)
        try:
            code = compile(source, path, "exec", dont_inherit=True, optimize=-1)
        except Exception:
            continue
        unchecked = struct.pack("<L", 1)
        compiled = importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(source) + marshal.dumps(code)
        out.write(struct.pack("<LL", len(path.encode()), len(compiled)) + path.encode() + compiled)
"""
_ONE_ORDER = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
"""So that sets come out in the same order each time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """One wheel for one Python."""

    entry: str
    python: Path
    wheel: Wheel


def compile_bytecode(locks: Sequence[Lock], wheels: Mapping[str, Wheel], *, runner: Runner, reporter: Reporter) -> dict[str, bytes]:
    """Payload path → content of the bytecode of every wheel on every target whose CPython this host has.

    Raises EnvironmentFailure when a Python fails.
    """
    here = _pythons([lock.target for lock in locks], runner)
    work = {
        bytecode_entry(lock.target.interpreter, locked.filename): (here[lock.target.interpreter], wheels[locked.filename])
        for lock in locks
        if lock.target.interpreter in here and _is_known(lock.target)
        for locked in (*lock.wheels, *(each for each in lock.bootstrap if each.project == "pip"))
    }
    with (
        TemporaryDirectory() as folder,
        reporter.step("compiling", total=len(work)) as step,
        ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as threads,
    ):

        def one(item: tuple[int, _Work]) -> bytes:
            compiled = _compiled(item[1], Path(folder) / str(item[0]), runner)
            step.advance()
            return compiled

        ordered = [_Work(entry=entry, python=python, wheel=wheel) for entry, (python, wheel) in sorted(work.items())]
        return {each.entry: compiled for each, compiled in zip(ordered, threads.map(one, enumerate(ordered)), strict=True)}


def _pythons(targets: Sequence[Target], runner: Runner) -> dict[str, Path]:
    """An interpreter of this host for each that the targets have, by its tag: ``cp312``."""
    wanted = {target.interpreter for target in targets if _is_known(target)}
    found: dict[str, Path] = {}
    for each in interpreters(runner) if wanted else ():
        if each.target.interpreter in wanted and _is_known(each.target):
            found.setdefault(each.target.interpreter, each.path)
        if found.keys() == wanted:
            break
    return found


def _is_known(target: Target) -> bool:
    """Whether its bytecode can travel: free-threaded CPythons have another, and share the name of the file."""
    version = tuple(map(int, str(target.markers["python_version"]).split(".")))
    return target.interpreter.startswith("cp") and version >= OLDEST and not target.abi.endswith("t")


def _compiled(work: _Work, out: Path, runner: Runner) -> bytes:
    # not -I, which would make the order of sets another one each time; the clean environment has nothing else of Python's
    ended = runner.run([str(work.python), "-s", "-S", "-c", _COMPILE, str(work.wheel.path), str(out)], env=_ONE_ORDER, cwd=out.parent)
    if ended.returncode:
        last = (ended.stderr.strip() or "without a word").splitlines()[-1]
        raise EnvironmentFailure(f"{work.python} could not compile {work.wheel.filename}: {last}", hint="leave out `bytecode: true`")
    content = out.read_bytes()
    out.unlink()
    return content
