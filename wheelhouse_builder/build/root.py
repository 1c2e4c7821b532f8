"""The root toolchain: the compiler and the libraries of an older system, that lies in a directory as debootstrap makes it.

What is built there, with that system's libraries in it, runs wherever the C library is not older than that system's, and often on older
ones: not each library asks for the newest symbols. The audit of the wheel tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

from wheelhouse_builder.adapters.packages import look_for
from wheelhouse_builder.adapters.places import SYSTEM_PYTHONS
from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.adapters.sandbox import Sandbox
from wheelhouse_builder.build.native import compiler_environment
from wheelhouse_builder.build.toolchain import Ready, Unready
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import ROOT, Recipe

LIBRARY_FOLDERS = ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib64", "lib64", "usr/lib", "lib", "usr/local/lib")
_ASK = "import json, os, platform; print(json.dumps([platform.python_version(), os.confstr('CS_GNU_LIBC_VERSION'), os.uname().machine]))"
_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_(\w+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class InRoot:
    """Systems in directories; of those that can build for a target the first is taken that is not newer, else the oldest."""

    runner: Runner
    roots: tuple[Path, ...]

    def ready(self, recipe: Recipe, target: Target) -> Ready | Unready:
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
        """For each root its glibc and what it can, or why it cannot."""
        for root in self.roots:
            version = str(target.markers["python_version"])
            found = [path for pattern in SYSTEM_PYTHONS if (root / (path := pattern.format(version, version))).exists()]
            if not found or not (root / "usr/bin/gcc").exists():
                yield Unready(problem=f"{root} lacks python{version} or gcc", hint=f"apt install gcc libc6-dev python{version}-dev, in it")
                continue
            yield self._in(root, f"/{found[0]}", recipe, machine)

    def _in(self, root: Path, python: str, recipe: Recipe, machine: str) -> tuple[tuple[int, ...], Ready] | Unready:
        sandbox = Sandbox(runner=self.runner, root=root)
        with TemporaryDirectory(prefix="wheelhouse-root-") as folder:
            said = sandbox.run(Path(folder), [python, "-I", "-c", _ASK])
            gcc = sandbox.run(Path(folder), ["gcc", "-dumpfullversion"])
        if said.returncode != 0:
            return Unready(problem=f"{root} cannot be entered: {said.stderr.strip()}", hint="is it a whole system, with a folder mnt?")
        full, libc, there = json.loads(said.stdout)
        if there != machine:
            return Unready(problem=f"{root} is a system for {there}", hint=f"name one for {machine} under `build-roots`")
        packages = look_for(recipe.system_packages, self.runner, root)
        if packages.missing:
            missing = ", ".join(packages.missing)
            return Unready(
                problem=f"{recipe.where('system-packages')}: not installed in {root}: {missing}", hint=f"{packages.install}, in {root}"
            )
        ready = Ready(
            toolchain=ROOT,
            sandbox=sandbox,
            python=python,
            environment=compiler_environment("gcc", "g++"),
            tools=(f"cpython {full}", f"gcc {gcc.stdout.strip()}", libc),
            packages=packages.versions,
            library_paths=tuple(path for pattern in LIBRARY_FOLDERS for path in sorted(root.glob(pattern)) if path.is_dir()),
            system_libraries=False,
        )
        return tuple(map(int, libc.split()[1].split("."))), ready
