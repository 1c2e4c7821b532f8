"""Sdists, read without building them: what their wheel will require, what building them requires.

What the wheel will require stands in PKG-INFO where that says so for sure (Metadata 2.2 and newer, not dynamic: PEP 643). Elsewhere it is
what the backend wrote down on the maintainer's host, in PKG-INFO or in setuptools' requires.txt: a promise that the build has to keep.
"""

from __future__ import annotations

import re
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from functools import partial
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from wheelhouse_builder.errors import DistributionError

DEFAULT_BACKEND = ("setuptools>=40.8.0",)
"""What builds a project that has no [build-system] table (PEP 517)."""
SUFFIXES = (".tar.gz", ".zip")
COMPILED = (".c", ".cc", ".cpp", ".cxx", ".f", ".f90", ".go", ".pyx", ".rs")
"""Files of source trees that a compiler reads."""
CPLUSPLUS = (".cc", ".cpp", ".cxx")
UNREADABLE = (
    OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError, AttributeError, RuntimeError,
)  # fmt: skip
"""What reading an archive that somebody else made may raise: encrypted or nested too deeply, with dates that are none, of other types."""
_SURE_SINCE = Version("2.2")
_SECTION = re.compile(r"\[(?P<extra>[^:\]]*)(?::(?P<marker>.*))?\]")
_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC).timestamp()
"""The first moment that a ZIP archive can name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """What the metadata of the wheel will be, as far as it decides on what is installed."""

    requires: tuple[str, ...]
    """Requires-Dist, sorted, as packaging writes them."""
    requires_python: str
    extras: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """As METADATA has them."""
        if self.requires_python:
            yield f"Requires-Python: {self.requires_python}"
        yield from (f"Provides-Extra: {extra}" for extra in self.extras)
        yield from (f"Requires-Dist: {requirement}" for requirement in self.requires)


@dataclass(frozen=True, kw_only=True, slots=True)
class SdistFacts:
    """What an sdist says of itself."""

    promise: Promise
    build_requires: tuple[Requirement, ...]
    epoch: int
    """When its newest member was changed: seconds since 1970, UTC."""
    compiles: bool
    """Whether it holds what a compiler reads."""
    cplusplus: bool = False
    """Whether it holds what one for C++ reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """Who builds a source tree (PEP 517)."""

    requires: tuple[Requirement, ...]
    name: str = "setuptools.build_meta:__legacy__"
    path: tuple[str, ...] = ()
    """Folders of the tree that it is imported from."""


def read_sdist(path: Path, filename: str, metadata: str = "") -> SdistFacts:
    """Read the sdist at ``path``, which may have another name there; ``metadata`` stand for its own. Raises DistributionError."""
    with _readable(filename):
        archive = _Archive(path, filename)
        promise = promise_of(metadata) if metadata else _promise(archive)
        requires = _backend(archive).requires
        return SdistFacts(
            promise=promise, build_requires=requires, epoch=archive.epoch, compiles=archive.compiles, cplusplus=archive.cplusplus
        )


def own_metadata(path: Path, filename: str) -> str:
    """The PKG-INFO of an sdist; empty in a mere source tree. Raises DistributionError."""
    with _readable(filename):
        return _Archive(path, filename).text("PKG-INFO") or ""


def read_backend(path: Path, filename: str) -> Backend:
    """Who builds the sdist or the source tree in this archive. Raises DistributionError."""
    with _readable(filename):
        return _backend(_Archive(path, filename))


@contextmanager
def _readable(filename: str) -> Iterator[None]:
    """Say of ``filename`` what cannot be read of it."""
    try:
        yield
    except UNREADABLE as error:
        raise DistributionError(f"{filename} cannot be read: {error}", hint="constrain the project to another release") from error


def promise_of(metadata: str) -> Promise:
    """What METADATA says. Raises InvalidRequirement, InvalidSpecifier."""
    message = HeaderParser().parsestr(metadata)
    return _made(message, message.get_all("Requires-Dist", []), message.get_all("Provides-Extra", []))


def unpack_sdist(path: Path, filename: str, folder: Path) -> None:
    """Unpack the sdist into the new ``folder``, without its outermost directory. Raises DistributionError."""
    draft = folder.with_name(folder.name + ".unpacked")
    draft.mkdir()
    try:
        if filename.endswith(".zip"):
            with zipfile.ZipFile(path) as zipped:
                zipped.extractall(draft)  # noqa: S202 # zipfile keeps members within the folder
        else:
            with tarfile.open(path) as tarred:
                tarred.extractall(draft, filter="data")
    except UNREADABLE as error:
        raise DistributionError(f"{filename} cannot be unpacked: {error}", hint="constrain the project to another release") from error
    inner = list(draft.iterdir())
    (inner[0] if len(inner) == 1 and inner[0].is_dir() else draft).rename(folder)


class _Archive:
    """The few files of an sdist that say what it is."""

    def __init__(self, path: Path, filename: str) -> None:
        self._files: dict[str, bytes] = {}
        self.compiles = self.cplusplus = False
        moments = [_EARLIEST]
        for name, moment, read in _zip_members(path) if filename.endswith(".zip") else _tar_members(path):
            inner = PurePosixPath(name).parts[1:]
            moments.append(moment)
            self.compiles = self.compiles or name.endswith(COMPILED)
            self.cplusplus = self.cplusplus or name.endswith(CPLUSPLUS)
            if len(inner) == 1 or (len(inner) in (2, 3) and inner[-2].endswith(".egg-info")):
                self._files["/".join(inner)] = read() if inner[-1] in ("PKG-INFO", "pyproject.toml", "requires.txt") else b""
        self.epoch = int(max(moments))

    def text(self, name: str) -> str | None:
        """A file of its outermost directory."""
        return self._files[name].decode("utf-8") if name in self._files else None

    def egg_info(self, name: str) -> str | None:
        """A file of setuptools' metadata; None where there is no such metadata, empty where they lack it."""
        folders = sorted({path.rpartition("/")[0] for path in self._files if path.endswith(".egg-info/PKG-INFO")})
        return None if not folders else self._files.get(f"{folders[0]}/{name}", b"").decode("utf-8")


def _zip_members(path: Path) -> Iterator[tuple[str, float, Callable[[], bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            moment = datetime(*member.date_time, tzinfo=UTC).timestamp()
            yield member.filename, moment, partial(archive.read, member)


def _tar_members(path: Path) -> Iterator[tuple[str, float, Callable[[], bytes]]]:
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            yield member.name, member.mtime, partial(_read, archive, member)


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The bytes of a member, before the next one is looked at; none of a directory or a link."""
    file = archive.extractfile(member) if member.isreg() else None
    return file.read() if file else b""


def _promise(archive: _Archive) -> Promise:
    text = archive.text("PKG-INFO") or archive.egg_info("PKG-INFO")
    if not text:
        raise KeyError("it holds no PKG-INFO")
    message = HeaderParser().parsestr(text)
    dynamic = {field.strip().lower() for field in message.get_all("Dynamic", [])}
    sure = Version(message["Metadata-Version"]) >= _SURE_SINCE and "requires-dist" not in dynamic
    written = None if sure else archive.egg_info("requires.txt")
    if written is None:
        return _made(message, message.get_all("Requires-Dist", []), message.get_all("Provides-Extra", []))
    requires = list(_requires_txt(written))
    extras = [match["extra"] for match in map(_SECTION.fullmatch, written.splitlines()) if match and match["extra"]]
    return _made(message, requires, [*message.get_all("Provides-Extra", []), *extras])


def _made(message: Message, requires: list[str], extras: list[str]) -> Promise:
    return Promise(
        requires=tuple(sorted({str(Requirement(text)) for text in requires})),
        requires_python=str(SpecifierSet(message.get("Requires-Python", ""))),
        extras=tuple(sorted(set(extras))),
    )


def _requires_txt(text: str) -> Iterator[str]:
    """Setuptools' requires.txt as Requires-Dist: lines in sections ``[extra:marker]``."""
    extra = marker = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if match := _SECTION.fullmatch(line):
            extra, marker = match["extra"], match["marker"] or ""
            continue
        conditions = [f"({marker})" if marker else "", f'extra == "{extra}"' if extra else ""]
        joined = " and ".join(filter(None, conditions))
        body, _, own = line.partition(";")
        own = f"({own.strip()})" if own else ""
        condition = " and ".join(filter(None, [own, joined]))
        yield f"{body.strip()}; {condition}" if condition else body.strip()


def _backend(archive: _Archive) -> Backend:
    table = tomllib.loads(archive.text("pyproject.toml") or "").get("build-system", {})
    requires = tuple(map(Requirement, table.get("requires", DEFAULT_BACKEND)))
    if "build-backend" not in table:
        return Backend(requires=requires)
    return Backend(requires=requires, name=str(table["build-backend"]), path=tuple(map(str, table.get("backend-path", ()))))
