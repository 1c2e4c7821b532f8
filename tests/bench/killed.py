"""Killed installers: plain pip beside ours, struck before calls that change the file system, at instants, and by a full disk.

What counts is the tree that is there afterwards: the old one, the new one, or neither, and what `pip check` says of it then. The second
count is of the same command run once more. Nobody compiles; a dozen real wheels are installed, and upgraded from older ones.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.install import PIP, PYTHON, TARGET
from tests.support import struck
from tests.support.cli import environment, wheelhouse
from tests.support.pythons import cpythons
from wheelhouse_builder.runtime.receipt import FILENAME

OLD = ("flask==2.3.3", "werkzeug==2.3.8", "requests==2.31.0", "urllib3==1.26.20")
NEW = ("flask==3.0.3", "werkzeug==3.0.6", "requests==2.32.3", "urllib3==2.2.3")
STRIKES = {"kill": 12, "full": 6, "instant": 8}
"""How often each is tried on each change."""
HEADS = ("struck", "old", "new", "neither", "of these `pip check` content", "not mended by running it again")

Tree = dict[str, str]
"""What is in a directory, by path: the digest of a file, or where a link leads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A command that changes the environment from one tree to another."""

    name: str
    program: Sequence[str | Path]
    """What the target's Python is to run: a script or an archive of code, and its arguments."""
    before: Path | None
    """A copy of the environment as it is before; None: there is none."""


@dataclass(slots=True)
class Found:
    """What the strikes have left."""

    trees: Counter[str] = field(default_factory=Counter)
    content: int = 0
    """Trees that are neither, of which `pip check` says that all is well."""
    broken: int = 0
    """Trees that are not the new one even after the command has run once more."""


def bench() -> str:
    """Counts for each installer, change and kind of strike."""
    with TemporaryDirectory() as name:
        stand = _Stand(Path(name))
        rows = [
            (f"{change.name}, {what}", stand.struck(change, what, times)) for change in stand.changes() for what, times in STRIKES.items()
        ]
    lines = ["".join([f"{'':40}", *(f"{head:>{len(head) + 3}}" for head in HEADS)])]
    for title, found in rows:
        trees = found.trees
        figures = (trees.total(), trees["old"], trees["new"], trees["neither"], found.content, found.broken)
        lines.append("".join([f"{title:40}", *(f"{figure:>{len(head) + 3}}" for figure, head in zip(figures, HEADS, strict=True))]))
    return "\n".join(lines)


class _Stand:
    """A directory with two bundles, both unpacked, and the one environment that is installed into."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._venv = folder / "venv"
        self._env = {**environment(folder), "PIP_CONFIG_FILE": os.devnull}
        self._python = cpythons()[PYTHON]
        wheelhouse("keygen", "--key", "key", cwd=folder)
        for version, wanted in (("1", OLD), ("2", NEW)):
            (folder / "wheelhouse.yaml").write_text(
                f'bundle: killed\nversion: "{version}"\nrequirements: [{", ".join(wanted)}]\ntargets: [{TARGET}]\nsign: {{key: key}}\n'
            )
            (folder / "pylock.toml").unlink(missing_ok=True)
            wheelhouse("bundle", "-o", f"{version}.whb", "--effort", "fast", cwd=folder)
            wheelhouse("unpack", f"{version}.whb", f"house-{version}", "--target", TARGET, "--trust", "key.allowed_signers", cwd=folder)
        [self._pip] = (folder / "house-2/wheels").glob("pip-*.whl")

    def changes(self) -> Iterator[Change]:
        """Installing and upgrading, by pip and by ours."""
        subprocess.run([self._python, "-I", "-m", "venv", "--without-pip", self._venv], check=True)
        empty = self._kept("empty")
        yield Change(name="pip install", program=self._by_pip("2"), before=empty)
        self._reset(empty)
        self._run(self._by_pip("1"))
        yield Change(name="pip install --upgrade", program=(*self._by_pip("2"), "--upgrade"), before=self._kept("old"))
        yield Change(name="wheelhouse install", program=self._by_us("2"), before=None)
        self._reset(None)
        self._run(self._by_us("1"))
        yield Change(name="wheelhouse install, upgrade", program=self._by_us("2"), before=self._kept("ours"))

    def struck(self, change: Change, what: str, times: int) -> Found:
        """Strike ``change`` so many times, evenly spread over its calls or its time."""
        old = _tree(change.before) if change.before else {}
        self._reset(change.before)
        began = time.monotonic()
        calls = self._run(change.program)
        length = time.monotonic() - began
        states, found = {"old": old, "new": _tree(self._venv)}, Found()
        for number in range(times):
            self._reset(change.before)
            share = (number + 0.5) / times
            if what == "instant":
                self._kill_after(change.program, share * length)
            else:
                self._run(change.program, what, 1 + int(share * calls))
            self._judge(change, states, found)
        return found

    def _judge(self, change: Change, states: dict[str, Tree], found: Found) -> None:
        left = _tree(self._venv)
        state = next((name for name, tree in states.items() if tree == left), "neither")
        found.trees[state] += 1
        if state != "neither":
            return
        check = (self._interpreter, "-I", "-c", PIP, self._pip, "check")
        found.content += subprocess.run(check, env=self._env, capture_output=True, check=False).returncode == 0
        self._run(change.program, expect=None)
        found.broken += _tree(self._venv) != states["new"]

    @property
    def _interpreter(self) -> Path:
        return self._venv / "bin/python"

    def _by_pip(self, version: str) -> tuple[str | Path, ...]:
        house = self._folder / f"house-{version}"
        asked = ("--no-index", "--no-deps", "--require-hashes", "--find-links", house / "wheels")
        options = ("install", "--isolated", "-q", "--no-cache-dir", "--no-compile", "--no-input", *asked)
        return (self._pip / "pip", *options, "-r", house / "targets" / TARGET / "requirements.txt")

    def _by_us(self, version: str) -> tuple[str | Path, ...]:
        known = ("--trust", self._folder / "key.allowed_signers", "--state", self._folder / "state.json")
        return (self._folder / f"{version}.whb", "install", "--venv", self._venv, "--engine", "direct", "--no-compile", "--quiet", *known)

    def _command(self, program: Sequence[str | Path], what: str, at: int) -> list[str | Path]:
        python = self._python if program[1] == "install" and str(program[0]).endswith(".whb") else self._interpreter
        return [python, "-I", "-B", struck.__file__, what, str(at), self._folder / "calls", *program]

    def _run(self, program: Sequence[str | Path], what: str = "none", at: int = 0, expect: int | None = 0) -> int:
        """Run to its end, or to the strike; the number of its calls. ``expect``: how it ends unless it is struck; None: as it likes."""
        done = subprocess.run(
            self._command(program, what, at), env=self._env, cwd=self._folder, capture_output=True, check=False, encoding="utf-8"
        )
        if what == "none" and expect not in (None, done.returncode):
            raise RuntimeError(f"{program} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return int((self._folder / "calls").read_text())

    def _kill_after(self, program: Sequence[str | Path], seconds: float) -> None:
        """Kill the whole process group then."""
        command = self._command(program, "none", 0)
        with subprocess.Popen(
            command, env=self._env, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            time.sleep(seconds)
            os.killpg(process.pid, signal.SIGKILL)

    def _kept(self, name: str) -> Path:
        """The environment as it is, put aside."""
        shutil.copytree(self._venv, self._folder / name, symlinks=True)
        return self._folder / name

    def _reset(self, before: Path | None) -> None:
        for path in (self._venv, *self._folder.glob(".wheelhouse-*")):
            _remove(path)
        if before:
            shutil.copytree(before, self._venv, symlinks=True)


def _remove(path: Path) -> None:
    remove: Callable[[Path], None] = shutil.rmtree if path.is_dir() else partial(Path.unlink, missing_ok=True)
    remove(path)


def _tree(root: Path) -> Tree:
    paths = [path for path in root.rglob("*") if "__pycache__" not in path.parts and path.name != FILENAME]
    links = {str(path.relative_to(root)): str(path.readlink()) for path in paths if path.is_symlink()}
    files = (path for path in paths if path.is_file() and not path.is_symlink())
    return links | {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
