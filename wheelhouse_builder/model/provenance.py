"""Provenance: how a wheel that nobody published came about, in the terms of SLSA: what was built, from what, by what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """A file that went into a build."""

    filename: str
    url: str
    """Without credentials."""
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Graft:
    """A library that the repair copied into the wheel."""

    member: str
    """Its path in the wheel."""
    library: str
    """The name that it had before."""
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """A symbol that decides on which systems a wheel works: none older than the first that has this version of it."""

    member: str
    """The file of the wheel that asks for it."""
    symbol: str
    """Its name; empty where the file names none."""
    library: str
    version: str
    """As ``GLIBC_2.34``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Everything that a built wheel is a function of, and what became of it on the way."""

    sdist: Material
    recipe: str
    """Its name."""
    recipe_sha256: str
    """Of all that it says of the build, with its patches."""
    toolchain: str
    """``native``, ``zig`` or ``root``."""
    tools: tuple[str, ...]
    """Interpreter, compiler, C library and the like, each with its version."""
    requirements: tuple[Material, ...]
    """Build requirements, sorted by file name."""
    libraries: tuple[Material, ...]
    """Sources of C libraries that were built for it, in their order."""
    packages: tuple[str, ...]
    """System packages that it was built with, each with its version."""
    raw_sha256: str
    """Of the wheel as the build left it."""
    repaired_by: str
    """Tool and version; empty where there was nothing to repair."""
    grafted: tuple[Graft, ...]
    """Sorted by member."""
    needs: tuple[Need, ...]
    """Of each family of versions (GLIBC, GLIBCXX, …) one symbol that has the newest; sorted by version."""
    log_sha256: str
    """Of the build's log."""
