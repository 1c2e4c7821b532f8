"""The audit: whether what is installed is what was signed, file by file, and nothing else.

A fresh environment is compared with what each wheel's own RECORD says, read from signed bytes: no file may be missing, differ, or be there
without a reason. An environment that was audited once is compared with its RECORDs, whose digests the receipt holds.
"""

import base64
import csv
import hashlib
import io
import os
import posixpath
import re
import zlib
from typing import Container, Dict, Iterator, List, Mapping, NamedTuple, NoReturn, Optional, Sequence, Tuple

from .cores import processes, side_by_side
from .engine import Installation, Job, WheelRecord
from .payload import PIECE
from .receipt import Receipt
from .switch import Folder
from .wheel import HASHES, UNHASHED

Recorded = Dict[str, str]
"""Where an installed RECORD lies, ``path``, and its ``sha256``."""
Tree = Dict[str, str]
"""What is in a directory, by path with slashes: the digest of a file as RECORD writes it, or where a link points to."""
Scripts = Dict[str, Tuple[bytes, str]]
"""Scripts whose first line is rewritten: what it becomes, and the digest of the rest."""

_LINK = "link="
_SHA256 = "sha256"
_INSTALLERS = frozenset(["RECORD", "INSTALLER", "REQUESTED", "direct_url.json"])
"""What an installer adds to ``.dist-info`` of its own."""
_CACHED = re.compile(r"(?P<folder>(?:.*/)?)__pycache__/(?P<name>[^/]+)\.[^./]+(?:\.opt-[12])?\.pyc")

_DOTTED = re.compile(r"//|(?:^|/)\.\.?(?:/|$)|/$")
"""What normalizing changes in a path."""
_IN_WHEEL = re.compile(r"[^/]+\.data/scripts/")
"""How pip names scripts of a wheel that it did not install, for it made its own."""


class Row(NamedTuple):
    """A line of an installed RECORD: a path below the environment, and what it says of it (empty: nothing)."""

    path: str
    digest: str


def look_over(folder: Folder, parts: int = 1) -> Tree:
    """All files and links below ``folder``, read by this many processes. Raises OSError."""
    tree: Tree = {}
    for part in side_by_side(lambda number: [dict(_walk(folder, parts, number))], range(parts)):
        tree.update(part)
    return tree


def audit(job: Job, done: Installation, root: Folder, known: Tree) -> Tuple[List[str], Dict[str, Recorded]]:
    """What is wrong with the environment that an engine has filled, and the installed RECORD of each wheel, by its file name.

    ``known`` is what belongs there beside the distributions.
    """
    found = look_over(root, processes())
    here = _Here(job, root)
    wanted: Tree = dict(known)
    scripts: Scripts = {}
    wheels = {filename: here.wheel(record) for filename, record in done.records.items()}
    for each in wheels.values():
        wanted.update(each.members)
        scripts.update(each.scripts)
    rows, records = _recorded(root, {filename: each.record for filename, each in wheels.items()})
    problems = ["%s is missing." % path for path in sorted(set(wanted) - set(found))]
    for path in sorted(found):
        problem = _problem(path, found[path], wanted, scripts, rows, root, here)
        problems += ["%s %s." % (path, problem)] if problem else []
    return problems, records


def tree_of(placed: Sequence[Dict[str, str]]) -> Tree:
    """Files as the receipt tells them, as a :data:`Tree`."""
    return {each["path"]: _written(bytes.fromhex(each["sha256"]), _SHA256) for each in placed}


def damage(environment: Folder, receipt: Receipt) -> List[str]:
    """What is no longer as the receipt in ``environment`` says."""
    problems = []
    for each in receipt["distributions"]:
        path = each["record"]["path"]
        content = _content(environment, path)
        if content is None or hashlib.sha256(content).hexdigest() != each["record"]["sha256"]:
            problems.append("%s is not the one that was installed." % path)
            continue
        problems += ["%s was changed." % row.path for row in rows_of(content, path) if _differs(environment, row)]
    for each in receipt["files"]:
        content = _content(environment, each["path"])
        if content is None or hashlib.sha256(content).hexdigest() != each["sha256"]:
            problems.append("%s was changed." % each["path"])
    return problems


class _Wheel(NamedTuple):
    """What must be there of one wheel."""

    members: Tree
    scripts: Scripts
    record: str
    """Where its RECORD is installed."""


class _Here:
    """Where the members of a wheel lie in one environment."""

    def __init__(self, job: Job, root: Folder) -> None:
        top = os.path.realpath(root.path)
        self._schemes = {scheme: os.path.relpath(os.path.realpath(path), top).replace(os.sep, "/") for scheme, path in job.paths.items()}
        self._schemes["data"] = ""
        self.site_packages = self._schemes["purelib"]
        self.bin = self._schemes["scripts"]
        self._first_line = b"#!" + os.fsencode(job.executable)

    def wheel(self, record: WheelRecord) -> _Wheel:
        """What must be there of the wheel that says this of itself."""
        scripts = self._scripts(record)
        members = {path: digest for path, digest in self._members(record) if path not in scripts}
        folders = (posixpath.dirname(path) for path in members if path.endswith(".dist-info/METADATA"))
        own = next((each for each in folders if posixpath.dirname(each) == self.site_packages), "")  # others are those of what it vendors
        return _Wheel(members, scripts, posixpath.join(own, "RECORD"))

    def _scripts(self, record: WheelRecord) -> Scripts:
        return {
            self._place(name): (self._first_line, _digest(_after_first_line(content)))
            for name, content in record.scripts.items()
            if content.startswith(b"#!python")
        }

    def _members(self, record: WheelRecord) -> Iterator[Tuple[str, str]]:
        for row in csv.reader(io.StringIO(record.record.decode("utf-8"))):
            name = row[0].replace("\\", "/") if row else ""
            folder, _, base = name.rpartition("/")
            own = folder.endswith(".dist-info") and "/" not in folder
            if name and name not in record.replaced and not (own and base in UNHASHED):
                yield self._place(name), row[1]

    def _place(self, name: str) -> str:
        top, _, rest = name.partition("/")
        if not top.endswith(".data"):
            return "%s/%s" % (self.site_packages, name)
        scheme, _, rest = rest.partition("/")
        if scheme == "headers":
            rest = posixpath.join(top.split("-")[0], rest)
        return posixpath.join(self._schemes[scheme], rest)


def _problem(path: str, digest: str, wanted: Tree, scripts: Scripts, rows: Mapping[str, str], root: Folder, here: _Here) -> Optional[str]:
    """Why the file at ``path`` may not be what it is."""
    if path in wanted and not (rows.get(path) == "" and _is_compiled(path, wanted, scripts)):
        return None if _same(root, path, digest, wanted[path]) else "is not what was signed"
    if path in scripts:
        first, rest = scripts[path]
        content = _content(root, path) or b""
        return None if content.startswith(first) and _digest(_after_first_line(content)) == rest else "is not what was signed"
    if path not in rows:
        return "is in no RECORD"
    if rows[path] not in ("", digest):
        return "is not what its RECORD says"
    return None if _is_made_here(path, wanted, scripts, here) else "comes from no wheel"


def _is_compiled(path: str, wanted: Tree, scripts: Container[str]) -> bool:
    """Whether it is where what is compiled of a source goes; also in place of what a wheel brings along, which Python would not load."""
    cached = _CACHED.fullmatch(path)
    source = cached.group("folder") + cached.group("name") + ".py" if cached else ""
    return source in wanted or source in scripts


def _is_made_here(path: str, wanted: Tree, scripts: Container[str], here: _Here) -> bool:
    """Whether it is what an installer makes: a script for an entry point, compiled code, its own notes."""
    folder, _, name = path.rpartition("/")
    if _CACHED.fullmatch(path):
        return _is_compiled(path, wanted, scripts)
    if folder.endswith(".dist-info"):
        return name in _INSTALLERS and folder + "/METADATA" in wanted
    return folder == here.bin


def _recorded(root: Folder, paths: Mapping[str, str]) -> Tuple[Dict[str, str], Dict[str, Recorded]]:
    """What the installed RECORDs, which lie at ``paths``, say of each path; and what the receipt says of them."""
    rows: Dict[str, str] = {}
    records = {}
    for filename, path in paths.items():
        content = _content(root, path) or b""
        records[filename] = {"path": path, "sha256": hashlib.sha256(content).hexdigest()}
        rows.update(rows_of(content, path))
        rows[path] = ""
    return rows, records


def rows_of(content: bytes, path: str) -> List[Row]:
    """The lines of the RECORD at ``path``."""
    site_packages = posixpath.dirname(posixpath.dirname(path))
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8"))))
    except (UnicodeDecodeError, csv.Error):
        return []
    named = [(row[0].replace("\\", "/"), row[1]) for row in lines if len(row) == 3]
    return [Row(_below(site_packages, path), digest) for path, digest in named if not _IN_WHEEL.match(path)]


def _below(folder: str, path: str) -> str:
    """The path that leads there from ``folder``, in its shortest form."""
    joined = posixpath.join(folder, path)
    return posixpath.normpath(joined) if _DOTTED.search(joined) else joined


def _differs(root: Folder, row: Row) -> bool:
    """Whether the file of a RECORD's line is another now. Compiled code comes and goes."""
    return bool(row.digest) and not _same(root, row.path, "", row.digest)


def _same(root: Folder, path: str, digest: str, wanted: str) -> bool:
    """Whether the file at ``path``, whose SHA-256 is ``digest`` (empty: not known), has the digest ``wanted``."""
    algorithm = wanted.partition("=")[0]
    if digest and algorithm in (_SHA256, _LINK[:-1]):
        return digest == wanted
    content = _content(root, path) if algorithm in HASHES else None
    return content is not None and _digest(content, algorithm) == wanted


# Files


def _walk(folder: Folder, parts: int, part: int) -> Iterator[Tuple[str, str]]:
    """What is in the directories that fall to ``part``, by their names."""
    if folder.handle is None:
        for top, folders, names in os.walk(folder.path, onerror=_fail):
            here = os.path.relpath(top, folder.path).replace(os.sep, "/")
            if _falls_to(here, parts, part):
                for name in names + [each for each in folders if os.path.islink(os.path.join(top, each))]:
                    yield _seen(posixpath.normpath(posixpath.join(here, name)), os.path.join(top, name), None)
        return
    for top, folders, names, handle in os.fwalk(".", dir_fd=folder.handle, onerror=_fail):
        if _falls_to(top, parts, part):
            links = [each for each in folders if _is_link(each, handle)]
            for name in names + links:
                yield _seen(posixpath.normpath(posixpath.join(top, name)), name, handle)


def _falls_to(directory: str, parts: int, part: int) -> bool:
    return zlib.crc32(os.fsencode(directory)) % parts == part


def _fail(error: OSError) -> NoReturn:
    """What cannot be read was not looked over."""
    raise error


def _is_link(name: str, handle: int) -> bool:
    try:
        os.readlink(name, dir_fd=handle)
    except OSError:
        return False
    return True


def _seen(path: str, name: str, handle: Optional[int]) -> Tuple[str, str]:
    try:
        return path, _LINK + os.readlink(name, dir_fd=handle)
    except OSError:  # no link, or a system without any
        return path, _measure(name, handle)


def _measure(name: str, handle: Optional[int]) -> str:
    digest = hashlib.sha256()
    file = _open(name, handle)
    try:
        for piece in iter(lambda: os.read(file, PIECE), b""):
            digest.update(piece)
    finally:
        os.close(file)
    return _written(digest.digest(), _SHA256)


def _content(root: Folder, path: str) -> Optional[bytes]:
    """The content of a file, which is no link; None when it is not there."""
    name = path if root.handle is not None else os.path.join(root.path, *path.split("/"))
    try:
        with os.fdopen(_open(name, root.handle), "rb") as file:
            return file.read()
    except OSError:
        return None


def _open(name: str, handle: Optional[int]) -> int:
    return os.open(name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), dir_fd=handle)


def _digest(content: bytes, algorithm: str = _SHA256) -> str:
    return _written(hashlib.new(algorithm, content).digest(), algorithm)


def _written(digest: bytes, algorithm: str) -> str:
    return "%s=%s" % (algorithm, base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"))


def _after_first_line(content: bytes) -> bytes:
    return content.partition(b"\n")[2]
