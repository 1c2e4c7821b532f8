"""What a file of compiled code asks of the system that loads it, as the file itself says."""

from __future__ import annotations

from dataclasses import dataclass

from wheelhouse_builder.model.facts import MinorVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class Versioned:
    """A version of symbols (ELF) that some library must have."""

    library: str
    version: str
    """As ``GLIBC_2.34``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """One file."""

    format: str
    """As :mod:`wheelhouse_builder.runtime.native` names it."""
    machines: frozenset[str]
    libraries: tuple[str, ...]
    """That it cannot be loaded without, as it names them: file names, or paths on macOS."""
    name: str = ""
    """What others that need it call it, where it says so."""
    rpaths: tuple[str, ...] = ()
    """Where it wants its libraries looked for."""
    versions: tuple[Versioned, ...] = ()
    system: MinorVersion | None = None
    """The oldest macOS that it was built for."""
    signature: str = ""
    """What is wrong with its signature (Mach-O); a clause whose subject is the file."""
