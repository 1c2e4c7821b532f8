"""Places where a target can be run, each in a sandbox: another CPython of this host, a root directory that somebody gives.

One more kind of place, an emulator for one, is one more class with these two methods and one more line in the list that is tried.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from wheelhouse_builder.adapters.emulation import registration
from wheelhouse_builder.adapters.interpreters import Interpreter, interpreters
from wheelhouse_builder.adapters.process import Finished, Runner
from wheelhouse_builder.adapters.rooted import system_python
from wheelhouse_builder.adapters.sandbox import Sandbox
from wheelhouse_builder.errors import EnvironmentFailure
from wheelhouse_builder.model.probed import probed_target
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.runtime import probe
from wheelhouse_builder.runtime.host import FIXED_MARKERS

_PROBE = "import runpy; runpy.run_path('probe.py', run_name='__main__')"
_NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A Python that a target can be run with."""

    place: Place
    python: str
    """Its path, as the place sees it."""

    def run(self, folder: Path, *arguments: str) -> Finished:
        """Run it in ``folder``; arguments are relative to that. It has no network, and writes there alone."""
        return self.place.run(folder, [self.python, *arguments])

    def environment(self, folder: Path) -> tuple[Finished, Running]:
        """Make a fresh environment in ``folder``, without pip: how that ended, and the Python within."""
        return self.place.environment(folder, self.python)


class Place(Protocol):
    """Somewhere programs run without a network."""

    def find(self, target: Target) -> Running | None:
        """A Python that is ``target``, or one that accepts all that it does. Raises EnvironmentFailure."""
        ...

    def run(self, folder: Path, command: Sequence[str]) -> Finished:
        """Run ``command`` in ``folder``."""
        ...

    def environment(self, folder: Path, python: str) -> tuple[Finished, Running]:
        """See :meth:`Running.environment`."""
        ...


class _Posix:
    """Where a Python makes environments by itself."""

    def environment(self: Place, folder: Path, python: str) -> tuple[Finished, Running]:
        """See :class:`Place`."""
        ended = self.run(folder, [python, "-I", "-m", "venv", "--without-pip", "venv"])
        return ended, Running(place=self, python="venv/bin/python")


class ThisHost(_Posix):
    """This interpreter, and the CPythons on PATH and under pyenv."""

    def __init__(self, runner: Runner) -> None:
        self._sandbox = Sandbox(runner=runner)
        self._known: list[Interpreter] = []
        self._others = interpreters(runner)

    def find(self, target: Target) -> Running | None:
        """See :class:`Place`."""
        self._sandbox.require()
        fitting = next((each for each in self._interpreters() if serves(each.target, target)), None)
        return Running(place=self, python=str(fitting.path)) if fitting else None

    def _interpreters(self) -> Iterator[Interpreter]:
        """Those that were found already, then others; looking for all of them takes seconds."""
        yield from tuple(self._known)
        for each in self._others:
            self._known.append(each)
            yield each

    def run(self, folder: Path, command: Sequence[str]) -> Finished:
        """See :class:`Place`."""
        return self._sandbox.run(folder, command, env=_NO_BYTECODE)


class Root(_Posix):
    """A directory that holds a whole system, as debootstrap makes it; it serves the one target that it was given for.

    A system for another machine is emulated by qemu.
    """

    def __init__(self, runner: Runner, *, target: str, root: Path) -> None:
        self._sandbox = Sandbox(runner=runner, root=root)
        self.target = target
        self.root = root

    def find(self, target: Target) -> Running | None:
        """See :class:`Place`. Raises EnvironmentFailure when the root holds another Python, or none."""
        if target.name != self.target:
            return None
        python, program = self._python(target)
        emulation = registration(program) or ""
        self._sandbox = replace(self._sandbox, emulation=emulation)
        self._sandbox.require()
        there = self._probed(python)
        if not serves(there, target):
            raise EnvironmentFailure(
                f"{self.root}: {python} there is {there.interpreter} for {there.platforms[0]}, not {target}",
                hint="give the root of a system that the target stands for",
            )
        return Running(place=self, python=python)

    def run(self, folder: Path, command: Sequence[str]) -> Finished:
        """See :class:`Place`."""
        return self._sandbox.run(folder, command, env=_NO_BYTECODE)

    def _python(self, target: Target) -> tuple[str, Path]:
        version = str(target.markers["python_version"])
        found = system_python(self.root, target)
        if found is None or not (self.root / "mnt").is_dir():
            lacking = "no folder mnt" if found else f"no python{version} under usr/bin, usr/local/bin or opt/python{version}/bin"
            raise EnvironmentFailure(f"{self.root} has {lacking}", hint="give the root of a whole system, as debootstrap makes it")
        return found

    def _probed(self, python: str) -> Target:
        with TemporaryDirectory(prefix="wheelhouse-probe-") as scratch:
            shutil.copy(probe.__file__, Path(scratch, "probe.py"))
            said = self.run(Path(scratch), [python, "-I", "-c", _PROBE])
        if said.returncode != 0:
            raise EnvironmentFailure(
                f"{self.root} cannot be entered: {(said.stderr or said.stdout).strip()}", hint="can `unshare --mount` and chroot be used?"
            )
        return probed_target(json.loads(said.stdout), name="root", where=str(self.root))


def serves(here: Target, wanted: Target) -> bool:
    """Whether what is locked for ``wanted`` runs on ``here``, which was probed: the same Python, a platform that is not older."""
    same_python = (here.interpreter, here.abi) == (wanted.interpreter, wanted.abi)
    same_markers = all(here.markers[key] == wanted.markers[key] for key in FIXED_MARKERS)
    return same_python and same_markers and wanted.platforms[0] in here.platforms
