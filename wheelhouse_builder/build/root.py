"""The root toolchain: the compiler and the libraries of an older system, a directory as debootstrap makes it or an OCI image.

What is built there, with that system's libraries in it, runs wherever the C library is not older than that system's, and often on older
ones: not each library asks for the newest symbols. The audit of the wheel tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

from wheelhouse_builder.adapters.images import is_image, unpack_image
from wheelhouse_builder.adapters.packages import look_for
from wheelhouse_builder.adapters.process import Finished, Runner
from wheelhouse_builder.adapters.rooted import system_python
from wheelhouse_builder.adapters.sandbox import SYSTEM_PATH, Sandbox
from wheelhouse_builder.build.native import compiler_environment
from wheelhouse_builder.build.toolchain import ENV, PREFIX, TOOLS, Ready, Unready
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import ROOT, Recipe

LIBRARY_FOLDERS = ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib64", "lib64", "usr/lib", "lib", "usr/local/lib")
IMAGES = "images"
_ASK = "import json, os, platform; print(json.dumps([platform.python_version(), os.confstr('CS_GNU_LIBC_VERSION'), os.uname().machine]))"
_PYTHON = re.compile(r"python(3\.\d+)")
_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_(\w+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class _System:
    """One of them, as it was given."""

    given: Path
    root: Path
    image: str = ""
    """Digest of what it was unpacked of; empty for a directory."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What its image wants programs to see: of manylinux' the way to a newer compiler than the system's."""

    @property
    def path(self) -> str:
        """Where its programs are."""
        return self.environment.get("PATH", SYSTEM_PATH)


@dataclass(frozen=True, kw_only=True, slots=True)
class InRoot:
    """Older systems; of those that can build for a target the first is taken that is not newer, else the oldest."""

    runner: Runner
    roots: tuple[Path, ...]
    cache: Path
    """What is unpacked of images is kept below it."""

    def ready(self, recipe: Recipe, target: Target, *, cplusplus: bool = False) -> Ready | Unready:  # noqa: ARG002 # gcc's has it
        """See :class:`~wheelhouse_builder.build.toolchain.Toolchain`."""
        floor = _GLIBC.fullmatch(target.platforms[0])
        if floor is None:
            return Unready(problem=f"roots build for glibc, not for {target.platforms[0]}")
        answers = list(self._tried(recipe, target, floor[3]))
        ready = [answer for answer in answers if not isinstance(answer, Unready)]
        if ready:
            wanted = int(floor[1]), int(floor[2])
            return next((answer for glibc, answer in ready if glibc <= wanted), min(ready, key=itemgetter(0))[1])
        problems = [answer for answer in answers if isinstance(answer, Unready)]
        if not problems:
            return Unready(problem="no root was given to build in", hint="name one under `build-roots` in wheelhouse.yaml")
        return Unready(problem="; ".join(each.problem for each in problems), hint=problems[0].hint)

    def _tried(self, recipe: Recipe, target: Target, machine: str) -> Iterator[tuple[tuple[int, ...], Ready] | Unready]:
        """For each system its glibc and what it can, or why it cannot."""
        for given in self.roots:
            try:
                yield self._in(self._system(given), recipe, target, machine)
            except DistributionError as error:
                yield Unready(problem="; ".join(error.problems), hint=error.hint)

    def _system(self, given: Path) -> _System:
        """Raises DistributionError where it is an image that cannot be unpacked."""
        if not is_image(given):
            return _System(given=given, root=given)
        image = unpack_image(given, self.cache / IMAGES)
        return _System(given=given, root=image.root, image=image.digest, environment=image.environment)

    def _in(self, system: _System, recipe: Recipe, target: Target, machine: str) -> tuple[tuple[int, ...], Ready] | Unready:
        found = system_python(system.root, target)
        if found is None:
            return _without_python(system, target)
        python, _ = found
        sandbox = Sandbox(runner=self.runner, root=system.root)
        said = _run(sandbox, system, [python, "-I", "-c", _ASK])
        if said.returncode != 0:
            hint = "is it a whole system, with folders mnt, tmp, dev and proc?"
            return Unready(problem=f"{system.given} cannot be entered: {said.stderr.strip()}", hint=hint)
        full, libc, there = json.loads(said.stdout)
        if there != machine:
            return Unready(problem=f"{system.given} is a system for {there}", hint=f"name one for {machine} under `build-roots`")
        gcc = _run(sandbox, system, ["gcc", "-dumpfullversion"])
        if gcc.returncode != 0:
            return Unready(problem=f"{system.given} lacks gcc", hint=f"apt install gcc g++ libc6-dev python{_version(target)}-dev, in it")
        packages = look_for(recipe.system_packages, self.runner, system.root)
        if packages.missing:
            missing = ", ".join(packages.missing)
            return Unready(
                problem=f"{recipe.where('system-packages')}: not installed in {system.given}: {missing}",
                hint=f"{packages.install}, in {system.given}",
            )
        path = f"{TOOLS}:{ENV}/bin:{PREFIX}/bin:{system.path}"
        ready = Ready(
            toolchain=ROOT,
            sandbox=sandbox,
            python=python,
            environment={**system.environment, **compiler_environment("gcc", "g++"), "PATH": path},
            tools=(f"cpython {full}", f"gcc {gcc.stdout.strip()}", libc, *([f"image {system.image}"] if system.image else [])),
            packages=packages.versions,
            library_paths=tuple(path for pattern in LIBRARY_FOLDERS for path in sorted(system.root.glob(pattern)) if path.is_dir()),
            system_libraries=False,
        )
        return tuple(map(int, libc.split()[1].split("."))), ready


def _run(sandbox: Sandbox, system: _System, command: list[str]) -> Finished:
    """What became of a program of the system."""
    with TemporaryDirectory(prefix="wheelhouse-root-") as folder:
        return sandbox.run(Path(folder), command, env={**system.environment, "PATH": system.path})


def _without_python(system: _System, target: Target) -> Unready:
    version = _version(target)
    has = sorted({match[1] for path in system.root.glob("usr/bin/python3.*") if (match := _PYTHON.fullmatch(path.name))})
    told = f", it has {' and '.join(has)}" if has else ""
    hint = f"apt install gcc g++ python{version}-dev, in it; or put a CPython {version} that was built there into its opt/python{version}"
    return Unready(problem=f"{system.given} lacks python{version}{told}", hint=hint)


def _version(target: Target) -> str:
    return str(target.markers["python_version"])
