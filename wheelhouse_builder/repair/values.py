"""What a repair is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wheelhouse_builder.errors import DistributionError

EPOCH = 315_532_800
"""1980-01-01, the first moment that a ZIP archive can name: the time of every member, unless the build has another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What somebody, most often a recipe, asks of a repair and of the audit after it."""

    library_paths: tuple[Path, ...] = ()
    """Where libraries are looked for, first to last."""
    system_libraries: bool = True
    """Whether this host's own libraries may be grafted where ``library_paths`` have none; without effect for a foreign target."""
    exclude: tuple[str, ...] = ()
    """Libraries that are not grafted because the target has them: file names, ``*`` allowed."""
    demands_extension: bool = False
    """Whether a wheel without compiled code is a failure: some build backends swallow the compiler's errors."""
    forbidden_rpaths: tuple[str, ...] = ()
    """Beginnings of paths, beside those that are always forbidden, that no RPATH may have."""
    epoch: int = EPOCH
    """SOURCE_DATE_EPOCH: seconds since 1970, UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grafted:
    """A library that was copied into a wheel."""

    member: str
    """Its path in the wheel."""
    library: str
    """The name that it had before."""
    sha256: str
    """As it lies in the wheel, with its new name and paths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Symbol:
    """A versioned symbol that compiled code asks the system for."""

    member: str
    name: str
    library: str
    version: str
    """As ``GLIBC_2.34``."""

    def __str__(self) -> str:
        return f"{self.member} needs {self.name}@{self.version} of {self.library}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that the audit found in a wheel."""

    member: str
    """The file that has it; empty where it is the wheel as a whole."""
    what: str
    """A clause whose subject is the file."""
    certain: bool = True
    """Whether it stops the wheel from working on the target; otherwise it does so only if the target lacks what others have."""
    version: str = ""
    """Of the symbols that it asks for and the target has not: ``GLIBC_2.34``; empty where something else is wrong."""
    harmless: bool = False
    """Whether the wheel works in spite of it, and it is only not as it should be."""

    def __str__(self) -> str:
        return f"{self.member}: {self.what}" if self.member else self.what


class TooNew(DistributionError):
    """A wheel that asks for newer libraries than its target has, and for nothing else that is not there."""

    def __init__(self, *problems: str, floor: str, hint: str) -> None:
        super().__init__(*problems, hint=hint)
        self.floor = floor
        """The oldest platform that has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repaired:
    """A wheel that carries what it needs, and passed the audit for its target."""

    path: Path
    """In the output directory, under its new name."""
    sha256: str
    size: int
    source_sha256: str
    """Of the wheel as it was built."""
    tags_before: tuple[str, ...]
    tags_after: tuple[str, ...]
    """Sorted, each ``python-abi-platform``."""
    grafted: tuple[Grafted, ...]
    """Sorted by member."""
    symbols: tuple[Symbol, ...]
    """Those that decide which system it needs: of each family of versions (GLIBC, GLIBCXX, …) one that has the newest."""
    sboms: tuple[str, ...]
    """Members of the wheel that list what was grafted (PEP 770)."""
    tool: str
    """Which tool did it: ``auditwheel 6.8.2``; empty where there was nothing to repair."""
