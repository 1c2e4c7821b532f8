"""Whether a file is a wheel that every installer understands in the same way, and that is true to its own RECORD.

1. The file name has the parts of the binary distribution format: project, version, build, tags.
2. It is a strict ZIP archive: see :mod:`ziparchive`.
3. Each member's name is portable to every platform; no two are alike where case does not count, none is a file and a directory.
4. There is one ``.dist-info`` directory, and at most one ``.data``, both named after the file.
5. METADATA and WHEEL agree with the file name; the version of the wheel format is 1.x.
6. Each member is what its headers and RECORD say, by size and digest, and RECORD knows every member.
7. Entry points have names that stay inside the directory of scripts.
8. Compiled code that an interpreter would load is for the machine that the tags name, and needs no newer C library than they say.

Where real wheels differ from the letter of the specification, what is let pass is said beside the check. Source: the PyPA specifications
"Binary distribution format" and "Recording installed projects". Needs the standard library only, Python 3.6.
"""

import base64
import configparser
import csv
import email.parser
import hashlib
import io
import re
import tempfile
import unicodedata
from email.message import Message
from typing import BinaryIO, Callable, Dict, FrozenSet, List, NamedTuple, Optional, Set

from . import native
from .layout import path_problem
from .versions import same_version
from .ziparchive import Member, ZipArchive, ZipRefused, member_problems, quoted, zip_problems

__all__ = ["wheel_problems", "zip_problems"]

HASHES = frozenset(["sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b"])
"""What RECORD may use: "sha256 or better"."""
UNHASHED = ("RECORD", "RECORD.jws", "RECORD.p7s")
"""RECORD cannot hold its own digest, and need not hold those of its signatures, which are made later."""
SCHEMES = frozenset(["purelib", "platlib", "headers", "scripts", "data"])
MAX_METADATA = 32 << 20
"""Bytes of METADATA, WHEEL or entry_points.txt."""
MAX_RECORD = 128 << 20
SPOOLED = 16 << 20
"""Bytes of a file of compiled code that are held in memory; the rest of a larger one goes to the temporary directory."""
MAX_PART = 255
"""Bytes of one part of a path, on every file system."""

_FILENAME = re.compile(
    r"(?P<project>[a-z0-9](?:[a-z0-9._]*[a-z0-9])?)-(?P<version>[a-z0-9_.!+]+)(?:-(?P<build>[0-9][a-z0-9_.]*))?"
    r"-(?P<python>[a-z0-9_.]+)-(?P<abi>[a-z0-9_.]+)-(?P<platform>[a-z0-9_.]+)\.whl",
    re.IGNORECASE | re.ASCII,
)
_PURE_ASCII = re.compile(r"[\x00-\x7f]*")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")


class WheelName(NamedTuple):
    """The parts of a wheel's file name."""

    project: str
    """Normalized, as PEP 503 has it."""
    version: str
    build: str
    tags: FrozenSet[str]
    """Expanded: each ``python-abi-platform``, lower case."""


class _Entry(NamedTuple):
    """A line of RECORD."""

    algorithm: str
    digest: str
    size: Optional[int]


def wheel_problems(file: BinaryIO, filename: str) -> List[str]:
    """All that is wrong with the wheel in the seekable ``file``, sentence by sentence; empty: it is good."""
    try:
        return archive_problems(ZipArchive(file), filename)
    except ZipRefused as error:
        return [str(error)]


def archive_problems(archive: ZipArchive, filename: str) -> List[str]:
    """The same of a wheel that was opened already."""
    name = parse_wheel_filename(filename)
    return ["the file name is not that of a wheel"] if name is None else _Check(archive, name).problems


def parse_wheel_filename(filename: str) -> Optional[WheelName]:
    """The parts of ``filename``, or None if it is not that of a wheel."""
    match = _FILENAME.fullmatch(filename)
    if match is None:
        return None
    tags = _expanded("-".join(match.group("python", "abi", "platform")))
    return WheelName(_normalized(match.group("project")), match.group("version"), match.group("build") or "", tags)


class _Check:
    """One wheel under examination; numbers are those of the module's docstring."""

    def __init__(self, archive: ZipArchive, name: WheelName) -> None:
        self.archive = archive
        self.name = name
        self.problems = list(archive.problems)
        self.files = {member.name: member for member in archive.members if not member.is_directory}
        self._check_names()
        self.info = self._dist_info()
        self.unhashed = frozenset("{}{}".format(self.info, name) for name in UNHASHED)
        if archive.problems or self.info is None:
            return
        self._check_data()
        self._check_metadata()
        self._check_wheel()
        self._promise = native.promise({tag.split("-")[-1] for tag in self.name.tags})
        self._check_contents(self._record())
        self._check_entry_points()

    def _tell(self, name: str, problem: str) -> None:
        self.problems.append("{}: {}".format(quoted(name), problem))

    # 3

    def _check_names(self) -> None:
        for member in self.archive.members:
            problem = name_problem(member.name)
            if problem:
                self._tell(member.name, problem)
        landed = {}  # type: Dict[str, str]
        for name in self.files:
            path = _folded(_landing(name))
            if path in landed:
                self._tell(name, "would be written to the same place as {}".format(quoted(landed[path])))
            landed[path] = name
        for parent in sorted({parent for path in landed for parent in _parents(path)}.intersection(landed)):
            self._tell(landed[parent], "is a file, and a directory of other files")

    # 4

    def _dist_info(self) -> Optional[str]:
        """The .dist-info directory, with its slash; None when what follows would make no sense."""
        found = self._top_directories(".dist-info")
        if len(found) != 1:
            self.problems.append(
                "has {} .dist-info directories instead of one: {}".format(len(found), ", ".join(map(quoted, found)) or "none")
            )
            return None
        self._check_stem(found[0], ".dist-info")
        return found[0] + "/"

    def _check_data(self) -> None:
        for directory in self._top_directories(".data"):
            self._check_stem(directory, ".data")
            prefix = directory + "/"
            schemes = {name[len(prefix) :].split("/")[0] for name in self.files if name.startswith(prefix)}
            for scheme in sorted(schemes - SCHEMES):
                self._tell(prefix + scheme, "is not one of {}".format(", ".join(sorted(SCHEMES))))

    def _top_directories(self, suffix: str) -> List[str]:
        tops = {name.split("/", 1)[0] for name in self.files if "/" in name}
        return sorted(top for top in tops if top.endswith(suffix))

    def _check_stem(self, directory: str, suffix: str) -> None:
        """Let pass: other spellings of the same name and version, which old build backends wrote."""
        project, _, version = directory[: -len(suffix)].partition("-")
        if _normalized(project) != self.name.project or not same_version(version, self.name.version):
            self._tell(directory, "does not agree with the file name")

    # 5

    def _check_metadata(self) -> None:
        headers = self._headers("METADATA")
        if headers is None:
            return
        if self._single(headers, "METADATA", "Metadata-Version") is not None:
            project = self._single(headers, "METADATA", "Name")
            version = self._single(headers, "METADATA", "Version")
            if project is not None and _normalized(project) != self.name.project:
                self.problems.append(
                    "METADATA says that the project is {}, the file name says {}".format(quoted(project), self.name.project)
                )
            if version is not None and not same_version(version, self.name.version):
                self.problems.append(
                    "METADATA says that the version is {}, the file name says {}".format(quoted(version), self.name.version)
                )

    def _check_wheel(self) -> None:
        headers = self._headers("WHEEL")
        if headers is None:
            return
        version = self._single(headers, "WHEEL", "Wheel-Version")
        if version is not None and version.split(".")[0] != "1":
            self.problems.append("WHEEL says that the wheel format is {}; 1.x is known".format(quoted(version)))
        pure = self._single(headers, "WHEEL", "Root-Is-Purelib")
        if pure is not None and pure.lower() not in ("true", "false"):
            self.problems.append("WHEEL says neither true nor false for Root-Is-Purelib")
        tags = frozenset(tag for line in headers.get_all("Tag", []) for tag in _expanded(str(line).strip()))
        # let pass: a file name with fewer tags, as people rename wheels to keep them from some Pythons
        if not self.name.tags <= tags:
            self.problems.append("WHEEL has the tags {}, the file name has {}".format(_listed(tags), _listed(self.name.tags)))

    def _headers(self, name: str) -> Optional[Message]:
        text = self._text(name, MAX_METADATA)
        return None if text is None else email.parser.HeaderParser().parsestr(text)

    def _single(self, headers: Message, file: str, name: str) -> Optional[str]:
        values = headers.get_all(name, [])
        if len(values) != 1 or not str(values[0]).strip():
            self.problems.append("{} has {} lines {} instead of one".format(file, len(values), name))
            return None
        return str(values[0]).strip()

    def _text(self, name: str, limit: int) -> Optional[str]:
        """A file of the .dist-info directory; it must be there."""
        member = self.files.get("{}{}".format(self.info, name))
        if member is None:
            self.problems.append("has no {}".format(name))
            return None
        try:
            return self.archive.read(member, limit).decode("utf-8")
        except (ZipRefused, UnicodeDecodeError) as error:
            self.problems.append("{} cannot be read: {}".format(name, error))
            return None

    # 6

    def _record(self) -> Optional[Dict[str, _Entry]]:
        text = self._text("RECORD", MAX_RECORD)
        if text is None:
            return None
        record = {}  # type: Dict[str, _Entry]
        try:
            rows = list(csv.reader(io.StringIO(text), strict=True))
        except csv.Error as error:
            self.problems.append("RECORD is not CSV: {}".format(error))
            return None
        for row in rows:
            if row:
                self._take_row(row, record)
        return record

    def _take_row(self, row: List[str], record: Dict[str, _Entry]) -> None:
        # let pass: backslashes, which the specification allows on Windows; no member's name holds one
        path, entry = row[0].replace("\\", "/"), _parse_entry(row)
        if entry is None:
            self.problems.append("RECORD has a malformed line for {}".format(quoted(path)))
        elif path in record:
            self.problems.append("RECORD lists {} twice".format(quoted(path)))
        elif path not in self.files:
            self.problems.append("RECORD lists {}, which is not in the wheel".format(quoted(path)))
        elif path == "{}RECORD".format(self.info):
            if entry.algorithm:
                self.problems.append("RECORD has a digest for itself, which can have none")
        elif entry.algorithm not in HASHES and (entry.algorithm or path not in self.unhashed):
            self.problems.append("RECORD has {} for {}".format(quoted(entry.algorithm) if entry.algorithm else "no digest", quoted(path)))
        if entry is not None:
            record.setdefault(path, entry)

    def _check_contents(self, record: Optional[Dict[str, _Entry]]) -> None:
        """Read every member once, with all that there is to compare it with."""
        for member in self.archive.members:
            entry = None if record is None or member.name == "{}RECORD".format(self.info) else record.get(member.name)
            if record is not None and member.name not in record and member.name not in self.unhashed and not member.is_directory:
                self._tell(member.name, "is not in RECORD")
            for problem in self._content_problems(member, entry):
                self._tell(member.name, problem)

    def _content_problems(self, member: Member, entry: Optional[_Entry]) -> List[str]:
        if self._promise is None or not native.is_module(member.name):
            return _content_problems(self.archive, member, entry, None)
        with tempfile.SpooledTemporaryFile(SPOOLED) as copy:
            problems = _content_problems(self.archive, member, entry, copy.write)
            return problems or _code_problems(copy, self._promise)  # type: ignore[arg-type,unused-ignore]

    # 7

    def _check_entry_points(self) -> None:
        if "{}entry_points.txt".format(self.info) not in self.files:
            return
        text = self._text("entry_points.txt", MAX_METADATA)
        parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            parser.read_string(text or "")
        except configparser.Error:
            self.problems.append("entry_points.txt is malformed")
            return
        for section in ("console_scripts", "gui_scripts"):
            for command in parser.options(section) if parser.has_section(section) else []:
                if "/" in command or name_problem(command):
                    self.problems.append("entry_points.txt: {} is no name for a script".format(quoted(command)))


def _content_problems(archive: ZipArchive, member: Member, entry: Optional[_Entry], copy: Optional[Callable[[bytes], object]]) -> List[str]:
    if entry is None or entry.algorithm not in HASHES:
        return member_problems(archive, member, copy)
    digest = hashlib.new(entry.algorithm)
    problems = member_problems(archive, member, _both(digest.update, copy) if copy else digest.update)
    if not problems and entry.size not in (None, member.size):
        problems.append("has {} bytes, RECORD says {}".format(member.size, entry.size))
    if not problems and base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode("ascii") != entry.digest:
        problems.append("has another {} than RECORD says".format(entry.algorithm))
    return problems


def _both(one: Callable[[bytes], object], other: Callable[[bytes], object]) -> Callable[[bytes], object]:
    def listen(data: bytes) -> None:
        one(data)
        other(data)

    return listen


def _code_problems(file: BinaryIO, promise: native.Promise) -> List[str]:
    """Let pass: what has the name of a module and is none, as linker scripts have and files of tests."""
    try:
        code = native.read_code(file)
    except native.Malformed as error:
        return ["{}, as compiled code".format(error)]
    problem = native.problem(code, promise) if code else None
    return [problem] if problem else []


def _parse_entry(row: List[str]) -> Optional[_Entry]:
    """A line of RECORD: path, ``algorithm=digest`` in URL-safe base64 without padding, size; the size may be left out."""
    if len(row) != 3 or not re.fullmatch(r"\d*", row[2], re.ASCII):
        return None
    algorithm, equals, digest = row[1].partition("=")
    if bool(row[1]) != bool(equals and algorithm and digest):
        return None
    return _Entry(algorithm, digest, int(row[2]) if row[2] else None)


# Names


def name_problem(name: str) -> Optional[str]:
    """Why a member's name is not portable, or None if it is: the rules for paths in a bundle, and letters of all scripts (NFC)."""
    path = name[:-1] if name.endswith("/") else name
    if not _PURE_ASCII.fullmatch(path):
        if unicodedata.normalize("NFC", path) != path:
            return "is not in the normal form NFC"
        if any(unicodedata.category(character) in _INVISIBLE for character in path):
            return "holds an invisible character"
        if any(len(part.encode("utf-8")) > MAX_PART for part in path.split("/")):
            return "has a part of more than {} bytes".format(MAX_PART)
        # NFKC: Windows takes COM¹ for COM1, and a fullwidth slash is not to be mistaken for a slash
        path = _NOT_ASCII.sub("x", unicodedata.normalize("NFKC", path))
    elif any(len(part) > MAX_PART for part in path.split("/")):
        return "has a part of more than {} bytes".format(MAX_PART)
    return path_problem(path)


def _landing(name: str) -> str:
    """Where a member is installed, as far as it shares a place with others: both libraries are one in an environment."""
    parts = name.split("/", 2)
    if len(parts) == 3 and parts[0].endswith(".data") and parts[1] in ("purelib", "platlib"):
        return parts[2]
    return name


def _folded(path: str) -> str:
    """The same for all names that some file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def _parents(path: str) -> Set[str]:
    parts = path.split("/")
    return {"/".join(parts[:i]) for i in range(1, len(parts))}


def _normalized(project: str) -> str:
    return re.sub(r"[-_.]+", "-", project).lower()


def _expanded(tag: str) -> FrozenSet[str]:
    """The single tags of a compressed set (PEP 425)."""
    parts = [part.split(".") for part in tag.lower().split("-")]
    if len(parts) != 3:
        return frozenset([tag.lower()])
    return frozenset("-".join((python, abi, platform)) for python in parts[0] for abi in parts[1] for platform in parts[2])


def _listed(tags: FrozenSet[str]) -> str:
    return " ".join(quoted(tag)[1:-1] for tag in sorted(tags)) or "none"
