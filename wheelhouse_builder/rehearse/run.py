"""The rehearsal by running: the real installation without a network, then every top-level module of every project is imported.

The target's own pip, the one that the bundle carries, installs the very wheels that will be packed, with all hashes required, into a fresh
environment. Modules are imported one after the other; one that takes the interpreter down with it is blamed, and the next ones are tried
by a new one. A module that wants another which nobody locked is told, and is no failure: some projects bring modules for others that they
do not require. Of a catalogue, each thing that was asked for is installed by itself.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.utils import NormalizedName

from wheelhouse_builder.adapters.places import Place, Running
from wheelhouse_builder.adapters.process import Finished
from wheelhouse_builder.errors import RehearsalError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.reporter import Reporter
from wheelhouse_builder.runtime.cores import cores
from wheelhouse_builder.runtime.overrides import only_overridden
from wheelhouse_builder.runtime.pip_engine import RUN_PIP

HINT = "constrain these projects to releases that work there, or rehearse on paper if you know why they need not be imported"
LAST_LINES = 6
"""How much is shown of what a failed program said."""

_INSTALL = (
    "install", "--isolated", "--no-input", "--no-index", "--require-hashes", "--only-binary=:all:", "--no-deps", "--no-cache-dir",
    "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar=off", "--quiet", "--no-compile",
    "--find-links", "wheels", "-r", "requirements.txt",
)  # fmt: skip

# Answers are lines in a file: what modules print themselves goes elsewhere, and what was answered before a crash is there.
_IMPORT = """
import importlib, json, sys
with open("modules.json") as file:
    modules = json.load(file)
for module in modules:
    with open("answers", "a") as answers:
        answers.write("? " + module + "\\n")
    try:
        importlib.import_module(module)
        said = "ok"
    except ModuleNotFoundError as error:
        said = {"wants": error.name, "error": str(error)}
    except BaseException as error:
        said = "%s: %s" % (type(error).__name__, error)
    with open("answers", "a") as answers:
        answers.write("! " + json.dumps(said) + "\\n")
"""
_MODULE = re.compile(r"([A-Za-z_]\w*)(?:\.py|(?:\.[\w-]+)*\.(?:so|pyd))")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsed:
    """What became of one target."""

    target: str
    python: str | None
    """The interpreter that it was run with; None: there is none here."""
    modules: int = 0
    """How many were tried."""
    wanting: tuple[Wanting, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanting:
    """A module that could not be imported, because it wants another that no project of the set brings."""

    project: NormalizedName
    module: str
    wants: str

    def __str__(self) -> str:
        return f"{self.project}: {self.module} wants {self.wants}, which nothing that is locked requires"


def rehearse_by_running(
    locks: Iterable[Lock], wheels: Mapping[str, Wheel], *, places: Sequence[Place], reporter: Reporter
) -> tuple[Rehearsed, ...]:
    """Install and import the ``wheels`` (by file name) of each lock in the first of ``places`` that can run its target.

    Raises RehearsalError with every failure: the target, the project, the reason; EnvironmentFailure when nothing can be run here.
    """
    locks = tuple(locks)
    found = {lock.target.name: next((running for place in places if (running := place.find(lock.target))), None) for lock in locks}
    sets = [each for lock in locks if (running := found[lock.target.name]) for each in _sets(lock, running)]
    with reporter.step("rehearsing", total=len(sets), unit="sets") as step, ThreadPoolExecutor(cores(), "rehearse") as threads:

        def tried(each: _Set) -> _Outcome:
            outcome = each.outcome(wheels)
            step.advance()
            return outcome

        outcomes = list(threads.map(tried, sets))
    if problems := [problem for outcome in outcomes for problem in outcome.problems]:
        raise RehearsalError(*problems, hint=HINT)
    return tuple(_rehearsed(target, running, [each for each in outcomes if each.target == target]) for target, running in found.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """What became of a set."""

    target: str
    modules: int
    problems: tuple[str, ...]
    wanting: tuple[Wanting, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Set:
    """What is installed together."""

    name: str
    """The target, and of a catalogue what was asked for."""
    lock: Lock
    running: Running

    def outcome(self, wheels: Mapping[str, Wheel]) -> _Outcome:
        """Install and import it."""
        modules = _modules(self.lock, wheels)
        told = tuple(_problems(self.lock, wheels, self.running, modules))
        return _Outcome(
            target=self.lock.target.name,
            modules=len(modules),
            problems=tuple(f"{self.name}: {each}" for each in told if isinstance(each, str)),
            wanting=tuple(each for each in told if isinstance(each, Wanting)),
        )


def _sets(lock: Lock, running: Running) -> Iterator[_Set]:
    """All of ``lock``; of a catalogue what installs each of the things that it was asked for, by itself."""
    if lock.closures is None:
        yield _Set(name=lock.target.name, lock=lock, running=running)
    for closure in lock.closures or ():
        wheels = tuple(wheel for wheel in lock.wheels if wheel.filename in closure.wheels)
        alone = replace(lock, wheels=wheels, requirements=(closure.requirement,), closures=None)
        yield _Set(name=f"{lock.target}: {closure.requirement}", lock=alone, running=running)


def _rehearsed(target: str, running: Running | None, outcomes: Sequence[_Outcome]) -> Rehearsed:
    return Rehearsed(
        target=target,
        python=running.python if running else None,
        modules=sum(each.modules for each in outcomes),
        wanting=tuple(dict.fromkeys(wanting for each in outcomes for wanting in each.wanting)),
    )


def _problems(lock: Lock, wheels: Mapping[str, Wheel], running: Running, modules: Mapping[str, NormalizedName]) -> Iterator[str | Wanting]:
    with TemporaryDirectory(prefix="wheelhouse-rehearsal-") as scratch:
        folder = Path(scratch)
        pip = f"wheels/{_lay_out(lock, wheels, folder)}"
        made, python = running.environment(folder)
        expected = [(each.project, each.requires) for each in lock.overridden]
        for what, ended in _installing(made, python, folder, pip):
            if ended.returncode != 0 and not only_overridden(ended.stdout, expected):
                yield "\n  ".join((f"{what} with {running.python}:", *_last_lines(ended.stdout + ended.stderr)))
                return
        yield from _import_problems(python, folder, modules)


def _installing(made: Finished, python: Running, folder: Path, pip: str) -> Iterator[tuple[str, Finished]]:
    """Each step of an installation, and how it ended; the next one is made when somebody asks for it."""
    yield "no environment can be made", made
    yield "pip could not install the wheels", python.run(folder, "-I", "-c", RUN_PIP, pip, *_INSTALL)
    yield "the wheels do not fit together", python.run(folder, "-I", "-c", RUN_PIP, pip, "check", "--disable-pip-version-check")


def _lay_out(lock: Lock, wheels: Mapping[str, Wheel], folder: Path) -> str:
    """The wheels under their own names, and what is to be installed of them; returns the file name of pip."""
    (folder / "wheels").mkdir()
    for locked in {*lock.wheels, *lock.bootstrap}:
        shutil.copyfile(wheels[locked.filename].path, folder / "wheels" / locked.filename)
    (folder / "requirements.txt").write_text("".join(map(_line, lock.wheels)), encoding="utf-8")
    return next(locked.filename for locked in lock.bootstrap if locked.project == "pip")


def _line(locked: LockedWheel) -> str:
    return f"{locked.project}=={locked.version} --hash=sha256:{locked.sha256}\n"


def _import_problems(running: Running, folder: Path, modules: Mapping[str, NormalizedName]) -> Iterator[str | Wanting]:
    waiting = list(modules)
    while waiting:
        (folder / "modules.json").write_text(json.dumps(waiting), encoding="utf-8")
        (folder / "answers").unlink(missing_ok=True)
        ended = running.run(folder, "-I", "-c", _IMPORT)
        answers = _answers(folder / "answers")
        for module, said in answers:
            if isinstance(said, dict):
                yield _import_error(module, said, modules)
            elif said != "ok":
                reason = said or f"the interpreter ended with {ended.returncode}: {' '.join(_last_lines(ended.stderr))}"
                yield f"{modules[module]}: {module} cannot be imported: {reason}"
        if not answers:
            yield "\n  ".join((f"{running.python} does not start:", *_last_lines(ended.stderr)))
            return
        waiting = waiting[len(answers) :]


def _import_error(module: str, said: Mapping[str, str | None], modules: Mapping[str, NormalizedName]) -> str | Wanting:
    wants = str(said["wants"] or "").partition(".")[0]
    if wants and wants not in modules:
        return Wanting(project=modules[module], module=module, wants=wants)
    return f"{modules[module]}: {module} cannot be imported: {said['error']}"


def _answers(path: Path) -> list[tuple[str, str | dict[str, str | None]]]:
    """Each module that was tried, and what came of it; nothing for one that ended the interpreter."""
    found: list[tuple[str, str | dict[str, str | None]]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if line.startswith("? "):
            found.append((line[2:], ""))
        else:
            found[-1] = (found[-1][0], json.loads(line[2:]))
    return found


def _modules(lock: Lock, wheels: Mapping[str, Wheel]) -> dict[str, NormalizedName]:
    """Every top-level module, and the project that brings it."""
    found: dict[str, NormalizedName] = {}
    for locked in lock.wheels:
        for module in _top_level(wheels[locked.filename].path):
            found.setdefault(module, locked.project)
    return found


def _top_level(wheel: Path) -> Iterator[str]:
    """What can be imported of a wheel: files of its root that are modules, and folders that hold any."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    inside = (re.sub(r"^[^/]+\.data/(?:purelib|platlib)/", "", name) for name in names)
    yield from dict.fromkeys(module for name in inside if (module := _module(name)))


def _module(path: str) -> str | None:
    """The top-level module that the file at ``path`` is, or is in; None when it is none."""
    match = _MODULE.fullmatch(path.rpartition("/")[2])
    if match is None or "/" not in path:
        return match[1] if match else None
    folder = path.partition("/")[0]
    return folder if folder.isidentifier() else None


def _last_lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LAST_LINES:]
