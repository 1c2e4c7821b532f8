"""Placing: the members of one wheel become files of an environment, as the specifications have it, and as pip does it.

These are "Binary distribution format" and "Recording installed projects"; a test compares with pip file by file. RECORD comes last: what
is compiled afterwards stands in it, too.
"""

import base64
import contextlib
import csv
import hashlib
import io
import os
import posixpath
import re
import stat
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from .engine import WheelRecord
from .errors import InstallError
from .manifest import ManifestDistribution
from .scripts import Interpreter, is_wrapper, read_entry_points, scripts_of, with_first_line
from .ziparchive import Member, ZipArchive

INSTALLER = b"pip\n"
"""Whose layout it is, and who takes it away again."""
MAX_METADATA = 128 << 20
"""Bytes of a file of the .dist-info directory."""
EXECUTABLE = 0o111
READABLE, RUNNABLE = 0o644, 0o755
"""Modes of what is installed, whatever the umask was when this began: others may read it, and nobody but us may write it."""

_WHEEL = re.compile(r"[^/]+\.dist-info/WHEEL")
"""Of the wheel itself: those that it vendors have theirs further down."""
_PURE = re.compile(r"^Root-Is-Purelib:\s*true\s*$", re.IGNORECASE | re.MULTILINE)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_Row = Tuple[str, str, str]
"""Path, digest and size, as a line of RECORD has them."""


Twice = Tuple[str, bytes, str]
"""A file that two wheels have: path, SHA-256 of what the second one has, and the file name of that wheel."""


class Site(NamedTuple):
    """Where wheels are placed."""

    paths: Mapping[str, str]
    """By scheme: see :class:`~.engine.Job`."""
    interpreter: Interpreter
    folders: Set[str]
    """Directories that are known to be there."""
    twice: List[Twice]
    """Files that were there when a wheel had them, too. Another process may still write them."""


class Placed(NamedTuple):
    """A wheel whose files are in their places, and what its RECORD has to say."""

    library: str
    """Directory to which the paths in RECORD relate."""
    info: str
    """Name of its .dist-info directory."""
    rows: Tuple[_Row, ...]
    """What RECORD will say."""
    sources: Tuple[str, ...]
    """Paths of RECORD that are Python source of the wheel."""

    def path_of(self, source: str) -> str:
        """Where one of the sources lies. It leads from the library, as pip's do, and this is what compiled code says of its source."""
        return os.path.join(self.library, *source.split("/"))


def place(archive: ZipArchive, distribution: ManifestDistribution, site: Site) -> Tuple[Placed, WheelRecord]:
    """Write the files of a wheel that was found good, but for RECORD. Raises InstallError, OSError."""
    return _Placing(archive, distribution, site).placed()


def require_same(twice: Iterable[Twice]) -> None:
    """That files which several wheels have, as those of namespaces, are the same in all; once all are placed. Raises InstallError."""
    for path, digest, filename in sorted(twice):
        with open(path, "rb") as file:
            if hashlib.sha256(file.read()).digest() != digest:
                raise InstallError("%s: another distribution has put something else to %s." % (filename, path), hint="Nothing was changed.")


def write_record(placed: Placed, compiled: Mapping[str, str]) -> None:
    """Write RECORD; ``compiled``: where what was compiled of a source lies, by the path of the source."""
    made = set(_compiled(placed, compiled))  # also in place of what some wheels bring along, and is not what their RECORD says any more
    rows = sorted([*(row for row in placed.rows if row[0] not in made), *((path, "", "") for path in made)])
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    path = os.path.join(placed.library, placed.info, "RECORD")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    write_new(path, [text.getvalue().encode("utf-8")], READABLE)


def placed_by_pip(library: str, info: str) -> Placed:
    """A wheel that pip has installed without compiling it."""
    folder = os.path.join(library, info)
    made = read_entry_points(_read_text(os.path.join(folder, "entry_points.txt")))
    rows = [row for row in csv.reader(io.StringIO(_read_text(os.path.join(folder, "RECORD")))) if len(row) == 3]
    sources = [path for path, _, _ in rows if path.endswith(".py") and not is_wrapper(posixpath.basename(path), made)]
    present = [path for path in sources if os.path.isfile(os.path.join(library, *path.split("/")))]
    return Placed(library, info, tuple((path, digest, size) for path, digest, size in rows), tuple(sorted(set(present))))


def _read_text(path: str) -> str:
    """The text at ``path``; empty where there is no file."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _compiled(placed: Placed, compiled: Mapping[str, str]) -> Iterator[str]:
    """What was compiled of the wheel's sources, as RECORD has it."""
    for source in placed.sources:
        found = compiled.get(placed.path_of(source))
        if found is not None:
            yield posixpath.join(posixpath.dirname(source), "__pycache__", os.path.basename(found))


class _Placing:
    """One wheel on its way."""

    def __init__(self, archive: ZipArchive, distribution: ManifestDistribution, site: Site) -> None:
        self._archive = archive
        self._distribution = distribution
        self._site = site
        self._files = {member.name: member for member in archive.members if not member.is_directory}
        self._info = next(name for name in self._files if _WHEEL.fullmatch(name)).partition("/")[0]
        pure = _PURE.search(self._text("WHEEL"))
        self._library = site.paths["purelib" if pure else "platlib"]
        self._points = read_entry_points(self._text("entry_points.txt"))

    def placed(self) -> Tuple[Placed, WheelRecord]:
        """Write everything but RECORD."""
        changed: Dict[str, _Row] = {}
        moved: Dict[str, str] = {}
        scripts: Dict[str, bytes] = {}
        replaced: Set[str] = set()
        for name, member in self._files.items():
            path = self._destination(name)
            if path is None:
                scripts[name] = self._archive.read(member, MAX_METADATA)
                replaced.add(name)
            if path is None or name == self._info + "/RECORD":
                continue
            moved[name] = self._relative(path)
            pieces: Iterable[bytes] = self._archive.contents(member)
            if _scheme(name) == "scripts":
                scripts[name] = b"".join(pieces)
                pieces = [with_first_line(scripts[name], self._site.interpreter)]
                if pieces != [scripts[name]]:
                    changed[name] = _row(moved[name], *pieces)
            self._write(path, pieces, executable=_is_executable(member))
        record = self._archive.read(self._files[self._info + "/RECORD"], MAX_METADATA)
        moved[self._info + "/RECORD"] = self._info + "/RECORD"
        rows = [*_rows(record, moved, changed), *self._generated()]
        sources = sorted({path for path in moved.values() if path.endswith(".py")})
        placed = Placed(self._library, self._info, tuple(rows), tuple(sources))
        return placed, WheelRecord(record, scripts, frozenset(replaced))

    def _generated(self) -> Iterator[_Row]:
        """Write what is in no wheel: scripts of entry points, and the notes on who installed it, and that it was asked for."""
        for name, content in scripts_of(self._points, self._site.interpreter):
            path = os.path.join(self._site.paths["scripts"], name)
            self._write(path, [content], executable=False, mode=0o555)
            yield _row(self._relative(path), content)
        for name, content in (("INSTALLER", INSTALLER), ("REQUESTED", b"")):
            path = os.path.join(self._library, self._info, name)
            self._write(path, [content], executable=False)
            yield _row(self._relative(path), content)

    def _destination(self, name: str) -> Optional[str]:
        """Where a member goes; None: nowhere, a script of our own takes its place."""
        top, _, rest = name.partition("/")
        if ".." in name.split("/") or name.startswith("/") or "\\" in name:  # an excuse may have let it pass
            raise InstallError("%s: %s would be written outside of the environment." % (self._distribution.filename, ascii(name)))
        if not (rest and top.endswith(".data")):
            return os.path.join(self._library, *name.split("/"))
        scheme, _, rest = rest.partition("/")
        if scheme == "scripts" and is_wrapper(rest.rpartition("/")[2], self._points):
            return None
        if scheme not in self._site.paths or not rest:
            raise InstallError("%s: %s has no place in an environment." % (self._distribution.filename, ascii(name)))
        root = self._site.paths[scheme]
        if scheme == "headers":
            root = os.path.join(root, self._distribution.project)
        return os.path.join(root, *rest.split("/"))

    def _relative(self, path: str) -> str:
        """The path as RECORD has it."""
        if path.startswith(self._library + os.sep):
            return path[len(self._library) + 1 :].replace(os.sep, "/")
        if os.path.splitdrive(path)[0].lower() != os.path.splitdrive(self._library)[0].lower():
            return path.replace(os.sep, "/")
        return os.path.relpath(path, self._library).replace(os.sep, "/")

    def _write(self, path: str, pieces: Iterable[bytes], *, executable: bool, mode: int = 0) -> None:
        folder = os.path.dirname(path)
        if folder not in self._site.folders:
            os.makedirs(folder, exist_ok=True)
            self._site.folders.add(folder)
        try:
            write_new(path, pieces, RUNNABLE if executable else READABLE | mode)
        except FileExistsError:
            digest = hashlib.sha256()
            for piece in pieces:
                digest.update(piece)
            self._site.twice.append((path, digest.digest(), self._distribution.filename))

    def _text(self, name: str) -> str:
        member = self._files.get("%s/%s" % (self._info, name))
        return "" if member is None else self._archive.read(member, MAX_METADATA).decode("utf-8")


def _rows(record: bytes, moved: Dict[str, str], changed: Mapping[str, _Row]) -> Iterator[_Row]:
    """The lines of a wheel's RECORD, with the places to which its files went, and what it forgot."""
    rest = dict(moved)
    for row in csv.reader(record.decode("utf-8").splitlines()):
        if row:
            name = row[0].replace("\\", "/")
            place_of, digest, size = rest.pop(name, row[0]), *[*row[1:], "", ""][:2]
            yield changed.get(name, (place_of, digest, size))
    for place_of in rest.values():
        yield place_of, "", ""


def _row(path: str, content: bytes) -> _Row:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
    return path, "sha256=" + digest, str(len(content))


def _scheme(name: str) -> str:
    """The scheme of a member below .data; empty for others."""
    top, _, rest = name.partition("/")
    return rest.partition("/")[0] if top.endswith(".data") else ""


def _is_executable(member: Member) -> bool:
    return stat.S_ISREG(member.mode) and bool(member.mode & EXECUTABLE)


def write_new(path: str, pieces: Iterable[bytes], mode: int) -> None:
    """Write a file that is not there, whatever the umask is."""
    handle = os.open(path, _NEW, mode)
    try:
        if mode & EXECUTABLE and os.name != "nt":
            os.fchmod(handle, mode)
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(handle, rest) :]
    finally:
        os.close(handle)
