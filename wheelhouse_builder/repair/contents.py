"""The compiled code in a wheel: what each file of it says."""

from __future__ import annotations

import errno
import hashlib
import shutil
import struct
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile

from elftools.common.exceptions import ELFError
from pefile import PEFormatError

from wheelhouse_builder.repair.code import Code, Versioned
from wheelhouse_builder.repair.elf import read_elf, symbols_of
from wheelhouse_builder.repair.macho import read_macho
from wheelhouse_builder.repair.pe import read_pe
from wheelhouse_builder.repair.values import Problem, Symbol
from wheelhouse_builder.runtime.native import ELF, MACH_O, PE, Malformed, format_of, is_module, read_code

READERS: Mapping[str, Callable[[Path, frozenset[str]], Code]] = {ELF: read_elf, PE: read_pe, MACH_O: read_macho}
MALFORMED = (
    ELFError, PEFormatError, struct.error, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, OSError,
)  # fmt: skip
"""What the readers raise for files that are not what they seem; native.Malformed is a ValueError."""
NO_PLACE = (None, errno.EINVAL)
"""An OSError of these kinds means a place beyond the file; any other is a failure of this host."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What is compiled in a wheel."""

    wheel: Path
    code: Mapping[str, Code]
    """By member."""
    unreadable: tuple[Problem, ...]

    @classmethod
    def of(cls, wheel: Path) -> Contents:
        """Read ``wheel``, which must be a sound ZIP archive."""
        code, unreadable = {}, []
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                try:
                    found = _read(archive, info)
                except MALFORMED as error:
                    if isinstance(error, OSError) and error.errno not in NO_PLACE:
                        raise
                    if is_module(info.filename):
                        certain = isinstance(error, Malformed)  # else a reader may be stricter than the systems are
                        what = f"cannot be read as compiled code: {error}"
                        unreadable.append(Problem(member=info.filename, what=what, certain=certain))
                    continue
                if found:
                    code[info.filename] = found
        return cls(wheel=wheel, code=code, unreadable=tuple(unreadable))

    @property
    def extensions(self) -> tuple[str, ...]:
        """The members that Python, or the system's loader, would load."""
        return tuple(member for member in self.code if is_module(member))

    def inside(self, library: str) -> tuple[str, ...]:
        """The members that are ``library``, a file name, or say that they are."""
        return tuple(member for member, code in self.code.items() if library in (PurePosixPath(member).name, code.name))

    def symbols(self, member: str, wanted: Collection[Versioned]) -> Mapping[Versioned, str]:
        """For each of the ``wanted`` versions a symbol of ``member``, which is ELF, that asks for it, as far as they have names."""
        try:
            with zipfile.ZipFile(self.wheel) as archive, _extracted(archive, archive.getinfo(member)) as path:
                return symbols_of(path, wanted)
        except MALFORMED as error:
            if isinstance(error, OSError) and error.errno not in NO_PLACE:
                raise
            return {}

    def digest(self, member: str) -> str:
        """SHA-256 of ``member``."""
        with zipfile.ZipFile(self.wheel) as archive:
            return hashlib.sha256(archive.read(member)).hexdigest()


def newest(contents: Contents) -> tuple[Symbol, ...]:
    """Of each family of versions (GLIBC, GLIBCXX, …) that is asked of the system, one symbol that has the newest."""
    best: dict[str, tuple[tuple[int, ...], str, Versioned]] = {}
    for member, code in sorted(contents.code.items()):
        for needed in code.versions:
            family, _, number = needed.version.rpartition("_")
            rank = tuple(int(part) for part in number.split(".") if part.isdigit())
            if rank and not contents.inside(needed.library) and rank > best.get(family, ((),))[0]:
                best[family] = rank, member, needed
    return tuple(_symbol(contents, member, needed) for _, member, needed in best.values())


def _symbol(contents: Contents, member: str, needed: Versioned) -> Symbol:
    name = contents.symbols(member, [needed]).get(needed, "")
    return Symbol(member=member, name=name, library=needed.library, version=needed.version)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Code | None:
    with archive.open(info) as member:
        if format_of(member.read(4)) is None:
            return None
    with _extracted(archive, info) as path:
        with path.open("rb") as file:
            known = read_code(file)
        return READERS[known.format](path, known.machines) if known else None


@contextmanager
def _extracted(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[Path]:
    """A file of its own: some readers want a path."""
    with NamedTemporaryFile(prefix="wheelhouse-", suffix=PurePosixPath(info.filename).name[-40:]) as copy:
        with archive.open(info) as member:
            shutil.copyfileobj(member, copy)
        copy.flush()
        yield Path(copy.name)
