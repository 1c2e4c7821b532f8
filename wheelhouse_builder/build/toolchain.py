"""Toolchains: what compiles for a target. Each answers the same question: with which environment, where, and is it of use at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from wheelhouse_builder.adapters.sandbox import INSIDE, Sandbox
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import Recipe

TOOLS = INSIDE / "tools"
"""Programs of ours."""
ENV = INSIDE / "env"
"""The environment that holds the build requirements."""
PREFIX = INSIDE / "prefix"
"""Where C libraries that were built for the project are installed."""
COMPILER_FLAGS = "-g0 -ffile-prefix-map=/mnt=."
"""No debug information and no path: what is built twice is the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A toolchain that can build for one target."""

    toolchain: str
    sandbox: Sandbox
    python: str
    """The interpreter that builds, as the sandbox sees it."""
    environment: Mapping[str, str]
    tools: tuple[str, ...]
    """Interpreter, compiler, linker, C library, each with its version."""
    packages: tuple[str, ...] = ()
    """System packages that the recipe names, each with its version."""
    files: Mapping[str, str] = field(default_factory=dict)
    """What it wants to find in the build's folder: path → content; compilers' wrappers and the like, which may be executed."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """What it wants to find there, too: path → folder, which is copied."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """Python modules beside the build requirements: name → source."""
    compiling: Mapping[str, str] = field(default_factory=dict)
    """What the project's own build sees of the environment beside :attr:`environment`."""
    library_paths: tuple[Path, ...] = ()
    """Where the repair finds what was linked, beside what was built in the folder."""
    system_libraries: bool = True
    """Whether the repair may graft this host's own libraries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unready:
    """Why a toolchain cannot build, and what would help."""

    problem: str
    hint: str = ""


class Toolchain(Protocol):
    """One way to compile."""

    def ready(self, recipe: Recipe, target: Target, *, cplusplus: bool = False) -> Ready | Unready:
        """What building for ``target`` takes, with a library for C++ at hand if that is wanted."""
        ...
