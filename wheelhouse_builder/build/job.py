"""One build: a pure function of sdist, recipe, target, toolchain and pinned build requirements to a wheel that is as its target needs it.

::

    sdist ─unpack─▶ src ─patch─▶ ─libraries─▶ ─environment─▶ ─uv build─▶ raw wheel ─promise?─▶ ─repair, audit─▶ wheel

Everything happens in one folder, which is /mnt to every program that runs, without a network.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path

import uv

from wheelhouse_builder.adapters.metadata import UNREADABLE, dist_info
from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.adapters.sandbox import INSIDE, SYSTEM_PATH
from wheelhouse_builder.build.toolchain import ENV, PREFIX, TOOLS, Ready
from wheelhouse_builder.errors import WheelhouseError
from wheelhouse_builder.model.distribution import LockedSdist, Wheel
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import Library, Recipe
from wheelhouse_builder.repair import Options, Repaired, TooNew, repair
from wheelhouse_builder.sdist import SdistFacts, promise_of, unpack_sdist

REVISION = 1
"""Counts up when builds of the same inputs would become other wheels."""
UV = TOOLS / "uv"
"""Where uv is for a build that does not see this host's system."""
LAST_LINES = 12
"""How much of a log is shown when a build fails."""
TELLING = re.compile(r"\b(?:fatal )?error: |undefined reference|cannot find -l")
"""Lines of compiler and linker that say why."""
MOST_TELLING = 3
REPAIR_TOOLS = ("auditwheel", "delocate", "delvewheel")


class BuildFailed(Exception):
    """A build that did not become a wheel: what happened, what to do, and the key of the recipe that would have to change."""

    def __init__(self, *problems: str, hint: str = "", key: str = "") -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.hint = hint
        self.key = key


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Everything that a build depends on."""

    sdist: LockedSdist
    path: Path
    """Of the sdist."""
    facts: SdistFacts
    recipe: Recipe
    target: Target
    ready: Ready
    requirements: tuple[Wheel, ...]
    """What is installed where it is built."""
    libraries: tuple[tuple[Library, Path], ...]
    """C libraries to be built before, each with its source archive."""

    @property
    def key(self) -> str:
        """SHA-256 over all of it."""
        said = {
            "revision": REVISION,
            "sdist": self.sdist.sha256,
            "recipe": self.recipe.digest,
            "target": None if self.recipe.pure else [self.target.name, list(map(str, self.target.tags[:1]))],
            "toolchain": [self.ready.toolchain, *self.ready.tools, *self.ready.packages],
            "environment": [dict(self.ready.environment), dict(self.ready.compiling)],
            "files": [dict(self.ready.files), dict(self.ready.modules)],
            "requirements": sorted(wheel.sha256 for wheel in self.requirements),
            "repair": [f"{tool} {installed(tool)}" for tool in REPAIR_TOOLS],
            **({"metadata": self.sdist.metadata} if self.sdist.metadata else {}),
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A wheel that was built, repaired and audited."""

    repaired: Repaired
    log: str


class Job:
    """One build at work in ``folder``, an empty directory; ``log`` tells what was run and what it said, also after a failure.

    Programs see one directory in it. What they leave there may be a link to anywhere, so from the first of them on nothing is written
    there but by programs.
    """

    def __init__(self, inputs: Inputs, folder: Path, runner: Runner) -> None:
        self._inputs = inputs
        self._folder = folder / INSIDE.name
        self._output = folder / "repaired"
        self._runner = runner
        self._log: list[str] = []

    @property
    def log(self) -> str:
        """So far."""
        return "\n".join(self._log) + "\n"

    def run(self) -> Outcome:
        """Build, repair, audit. Raises BuildFailed."""
        self._lay_out()
        self._patch()
        for library, _ in self._inputs.libraries:
            self._build_library(library)
        self._make_environment()
        raw = self._build_wheel()
        self._hold_to_promise(raw)
        return Outcome(repaired=self._repair(raw), log=self.log)

    def _lay_out(self) -> None:
        self._folder.mkdir()
        self._lay_out_sources()
        self._lay_out_requirements()
        self._lay_out_tools()

    def _lay_out_sources(self) -> None:
        inputs = self._inputs
        unpack_sdist(inputs.path, inputs.sdist.filename, self._folder / "src")
        if inputs.sdist.metadata:  # backends that ask a repository for the version find it here
            (self._folder / "src/PKG-INFO").write_text(inputs.sdist.metadata, encoding="utf-8")
        for patch in inputs.recipe.patches:
            shutil.copyfile(patch, self._folder / patch.name)
        (self._folder / "libraries").mkdir()
        for library, archive in inputs.libraries:
            unpack_sdist(archive, library.filename, self._folder / "libraries" / library.name)

    def _lay_out_requirements(self) -> None:
        requirements = self._inputs.requirements
        (self._folder / "requirements").mkdir()
        for wheel in requirements:
            shutil.copyfile(wheel.path, self._folder / "requirements" / wheel.filename)
        lines = (f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in requirements)
        (self._folder / "requirements.txt").write_text("".join(lines), encoding="utf-8")

    def _lay_out_tools(self) -> None:
        inputs = self._inputs
        (self._folder / "modules").mkdir()
        for name, source in inputs.ready.modules.items():
            (self._folder / "modules" / f"{name}.py").write_text(source, encoding="utf-8")
        for path, content in inputs.ready.files.items():
            file = self._folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
            file.chmod(0o755)
        if inputs.ready.sandbox.root:
            (self._folder / UV.parent.name).mkdir(exist_ok=True)
            shutil.copy(uv.find_uv_bin(), self._folder / UV.parent.name / UV.name)
        for path, folder in inputs.ready.folders.items():
            shutil.copytree(folder, self._folder / path)

    def _patch(self) -> None:
        for patch in self._inputs.recipe.patches:
            command = ["patch", "-p1", "--batch", "--forward", "--directory", "src", "--input", str(INSIDE / patch.name)]
            self._step(f"the patch {patch.name} does not apply", command, key="patches")

    def _build_library(self, library: Library) -> None:
        for command in library.commands:
            shell = ["sh", "-ec", f"cd {INSIDE}/libraries/{library.name}\n{command}"]
            self._step(f"the library {library.name} could not be built", shell, key="libraries")

    def _make_environment(self) -> None:
        python = self._inputs.ready.python
        self._step("no environment can be made", [*self._uv("venv"), "--quiet", "--no-project", "--python", python, str(ENV)])
        install = [*self._uv("pip", "install"), "--quiet", "--no-index", "--find-links", "requirements", "--require-hashes", "--no-deps"]
        self._step(
            "its build requirements could not be installed",
            [*install, "--link-mode", "copy", "--python", f"{ENV}/bin/python", "-r", "requirements.txt"],
            key="build-requirements",
        )
        if self._inputs.ready.modules:
            self._step("no environment can be made", ["sh", "-c", f"cp modules/*.py {ENV}/lib/python*/site-packages/"])

    def _build_wheel(self) -> Path:
        settings = [part for key, value in self._inputs.recipe.config_settings.items() for part in ("--config-setting", f"{key}={value}")]
        flags = ["--wheel", "--no-sources", "--no-build-isolation", "--no-create-gitignore", "--python", f"{ENV}/bin/python"]
        build = [*self._uv("build"), *flags, *settings, "--out-dir", "out", "src"]
        self._step("it does not build", build, key="project", environment=self._inputs.ready.compiling)
        wheels = sorted((self._folder / "out").glob("*.whl"))
        if len(wheels) != 1:
            raise BuildFailed(f"the build left {len(wheels)} wheels, not one")
        if wheels[0].is_symlink() or wheels[0].parent.is_symlink():
            raise BuildFailed(f"the build left a link in place of {wheels[0].name}")
        if self._inputs.recipe.pure and not wheels[0].name.endswith("-none-any.whl"):
            hint = f"write a recipe for {self._inputs.sdist.project}, without `pure: true`, in a folder that `recipes:` names"
            raise BuildFailed(f"{wheels[0].name} is not pure, though nothing in the source says that it is compiled", hint=hint, key="pure")
        return wheels[0]

    def _hold_to_promise(self, wheel: Path) -> None:
        """The lock was made for what the sdist promised: a wheel that requires something else would not be installed as it was locked."""
        try:
            with zipfile.ZipFile(wheel) as archive:
                made = promise_of(archive.read(f"{dist_info(archive)}/METADATA").decode("utf-8"))
        except UNREADABLE as error:
            raise BuildFailed(f"{wheel.name} has no METADATA that can be read: {error}") from error
        promised = self._inputs.facts.promise
        broken = [f"Requires-Dist: {text} is in the sdist alone" for text in promised.requires if text not in made.requires]
        broken += [f"Requires-Dist: {text} is in the wheel alone" for text in made.requires if text not in promised.requires]
        if made.requires_python != promised.requires_python:
            broken.append(f"Requires-Python: {made.requires_python!r} in the wheel, {promised.requires_python!r} in the sdist")
        if broken:
            raise BuildFailed("its wheel requires other things than its sdist says", *broken, hint="constrain it to another release")

    def _repair(self, raw: Path) -> Repaired:
        recipe, ready = self._inputs.recipe, self._inputs.ready
        options = Options(
            library_paths=tuple(path for path in (self._folder / PREFIX.name / "lib", *ready.library_paths) if path.is_dir()),
            system_libraries=ready.system_libraries,
            exclude=recipe.exclude,
            demands_extension=recipe.has_extension,
            forbidden_rpaths=recipe.forbidden_rpaths,
            epoch=self._inputs.facts.epoch,
        )
        try:
            return repair(raw, self._inputs.target, options=options, output=self._output, runner=self._runner)
        except TooNew as error:
            raise BuildFailed(*error.problems, hint=self._lower(error.floor), key="toolchain") from error
        except WheelhouseError as error:
            raise BuildFailed(*error.problems, hint=error.hint, key="toolchain") from error

    def _lower(self, floor: str) -> str:
        """How the project could be had for a target that is too old for what was built."""
        recipe, target = self._inputs.recipe, self._inputs.target
        sources = " and its C libraries built from source, under `libraries` in its recipe" if recipe.system_packages else ""
        root = "in an older system that `build-roots` in wheelhouse.yaml names: the root toolchain"
        lowest = target.name.replace(target.name.partition("-")[2], floor)
        return f"{recipe.project}: build it {root}; or by the zig toolchain{sources}; or name the target {lowest}"

    def _uv(self, *command: str) -> tuple[str, ...]:
        """uv, without a network, configuration or anything that it remembers."""
        program = str(UV) if self._inputs.ready.sandbox.root else uv.find_uv_bin()
        return (program, *command, "--no-config", "--offline", "--no-cache", "--color", "never", "--no-progress", "--no-python-downloads")

    def _step(self, failure: str, command: Sequence[str], *, key: str = "", environment: Mapping[str, str] | None = None) -> None:
        """Run one program in the sandbox. Raises BuildFailed when it fails."""
        ended = self._inputs.ready.sandbox.run(self._folder, command, env={**self._environment(), **(environment or {})})
        said = (ended.stdout + ended.stderr).rstrip()
        self._log += [f"$ {' '.join(command)}", *([said] if said else [])]
        if ended.returncode != 0:
            self._log.append(f"exit code {ended.returncode}")
            raise BuildFailed(failure, *last_lines(said), key=key)

    def _environment(self) -> Mapping[str, str]:
        inputs = self._inputs
        return {
            "PATH": f"{TOOLS}:{ENV}/bin:{PREFIX}/bin:{SYSTEM_PATH}",
            "SOURCE_DATE_EPOCH": str(inputs.facts.epoch),
            "PYTHONHASHSEED": "0",
            "PREFIX": str(PREFIX),
            "MAKEFLAGS": f"-j{os.cpu_count() or 1}",
            **inputs.ready.environment,
            **inputs.recipe.environment,
        }


def last_lines(text: str) -> Iterator[str]:
    """The end of what a program said, without empty lines; before it the first errors of compiler and linker, which stand further up."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    yield from [line for line in lines[:-LAST_LINES] if TELLING.search(line)][:MOST_TELLING]
    yield from lines[-LAST_LINES:]
