"""Where everything lies in a bundle: each name, bound and header of FORMAT.md, known here and nowhere else."""

import re
from typing import Dict, Iterable, Optional

SKIPPABLE_MAGIC = b"\x57\x2a\x4d\x18"
"""0x184D2A57 as it stands in the file: the zstd skippable frame that holds the control part."""
SKIPPABLE_HEADER_SIZE = 8
"""The magic and the control part's length, four bytes each."""
CHUNK_SIZE = 4 * 1024 * 1024
"""Bytes of compressed payload under one digest."""
MAX_WINDOW = 1 << 27
"""The largest zstd window, in bytes: what decoders take by default."""

FORMAT = "wheelhouse-bundle"
VERSION = 1
NAMESPACE = "wheelhouse-bundle-v1"
"""The SSHSIG namespace; it carries the version, so a signature over one version's manifest is none over another's."""

MAX_CONTROL_SIZE = 256 * 1024 * 1024
MAX_CONTROL_MEMBERS = 4096
MAX_MANIFEST_SIZE = 64 * 1024 * 1024
MAX_SIGNATURE_SIZE = 64 * 1024
MAX_SIGNATURES = 64
MAX_PATH = 1024
MAX_MODULES = 256
MAX_MODULE_SIZE = 1 << 20
"""Bytes of one file of the reader that travels."""
MAX_ATTESTATIONS = 1 << 20
"""Bytes of the attestations of one distribution; real ones have about 10,000."""
MAX_SIZE = (1 << 63) - 1
"""No size in a manifest is larger: what a file system can hold."""

MAIN = "__main__.py"
MANIFEST = "manifest.json"
DECODERS = "decoders.tar.xz"
SIGNATURES = "signatures/"
RUNTIME = "wheelhouse_runtime/"

README = "README.txt"
WHEELS = "wheels/"
SKELETONS = "skeletons/"
POOL = "pool/"
BASE = "base/"
"""Begins the names that we give to wheels of a delta's base where they lead the pool; no entry has such a path."""
TARGETS = "targets/"
PLACED = "files/"
"""Begins the payload paths of files that are placed beside the distributions, and their paths in an environment."""
ATTESTATIONS = "attestations/"
BYTECODE = "bytecode/"
PYLOCK = "pylock.toml"
REQUIREMENTS = "requirements.txt"
LOCK_FILES = (PYLOCK, REQUIREMENTS)
"""What each target's directory holds, sorted."""

_FORBIDDEN = re.compile(r'[^\x20-\x7e]|[<>:"|?*\\]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[1-9]|lpt[1-9]) *(?:\..*)?", re.IGNORECASE)


def wheel_entry(filename: str) -> str:
    """The payload path of a whole wheel, and its path after unpacking."""
    return WHEELS + filename


def skeleton_entry(filename: str) -> str:
    """The payload path of the skeleton of the wheel ``filename`` (mode dense)."""
    return SKELETONS + filename


def pool_entry(number: int) -> str:
    """The payload path of the ``number``-th piece of the pool, counted from 0."""
    return "{}{:04d}".format(POOL, number)


def lock_entry(target: str, filename: str) -> str:
    """The payload path of one of a target's :data:`LOCK_FILES`."""
    return "{}{}/{}".format(TARGETS, target, filename)


def attestations_entry(filename: str) -> str:
    """The payload path of what was attested of the wheel ``filename``, and its path after unpacking."""
    return "{}{}.json".format(ATTESTATIONS, filename)


def placed_entry(path: str) -> str:
    """The payload path of a file that is placed at ``path``, and its path in an environment."""
    return PLACED + path


def bytecode_entry(interpreter: str, filename: str) -> str:
    """The payload path of what was compiled of the wheel ``filename`` for ``interpreter`` (``cp312``)."""
    return "{}{}/{}".format(BYTECODE, interpreter, filename)


def root_directory(name: str, version: str) -> str:
    """The directory, with its slash, in which all entries of the bundle ``name`` ``version`` lie."""
    return "{}-{}/".format(name, version)


def path_problem(path: str) -> Optional[str]:
    """Why ``path`` is not portable (FORMAT.md section 7), or None if it is."""
    if len(path) > MAX_PATH:
        return "is longer than {} bytes".format(MAX_PATH)
    forbidden = _FORBIDDEN.search(path)
    if forbidden:
        return "holds the character {}".format(ascii(forbidden.group()))
    for part in path.split("/"):
        problem = _part_problem(part)
        if problem:
            return problem
    return None


def _part_problem(part: str) -> Optional[str]:
    if not part:
        return "has an empty part, or begins or ends with a slash"
    if part in (".", ".."):
        return "has the part {!r}".format(part)
    if part[-1] in ". ":
        return "has a part that ends in a dot or space"
    if _RESERVED.fullmatch(part):
        return "has the part {!r}, a name that Windows reserves".format(part)
    return None


def paths_problem(paths: Iterable[str]) -> Optional[str]:
    """Why ``paths`` cannot stand in one list: the first that is not portable, or two that differ in case only."""
    seen: Dict[str, str] = {}
    for path in paths:
        problem = path_problem(path)
        if problem:
            return "{} {}".format(ascii(path), problem)
        if path.lower() in seen:
            return _twins(seen[path.lower()], path)
        seen[path.lower()] = path
    return None


def _twins(first: str, second: str) -> str:
    return "{!r} is there twice".format(first) if first == second else "{!r} and {!r} differ in case only".format(first, second)


# The tar of the payload (section 6): one possible header for a path and a size.

TAR_BLOCK = 512
TAR_END = bytes(2 * TAR_BLOCK)
"""What the last frame holds after the last entry."""
_USTAR_NAME = 100
_USTAR_SIZE = 8 << 30
"""The first size, in bytes, that eleven octal digits cannot say."""


def tar_header(path: str, size: int) -> bytes:
    """The header blocks of an entry; ``path`` begins with the bundle's root directory, ``size`` is in bytes."""
    name = path.encode("ascii")
    records = b""
    if len(name) > _USTAR_NAME:
        records += _pax_record(b"path", name)
    if size >= _USTAR_SIZE:
        records += _pax_record(b"size", b"%d" % size)
    header = _ustar(name[:_USTAR_NAME], size if size < _USTAR_SIZE else 0, b"0")
    if not records:
        return header
    return _ustar(b"././@PaxHeader", len(records), b"x", mode=0) + records + bytes(tar_padding(len(records))) + header


def tar_padding(size: int) -> int:
    """How many NUL bytes follow contents of ``size`` bytes."""
    return -size % TAR_BLOCK


def tar_entry_size(path: str, size: int) -> int:
    """How many bytes of the tar an entry takes: header, contents, padding."""
    return len(tar_header(path, size)) + size + tar_padding(size)


def _pax_record(key: bytes, value: bytes) -> bytes:
    """Length, space, key=value, newline; the length counts the whole record, itself included (POSIX, pax extended header)."""
    rest = len(key) + len(value) + 3
    length = rest + len(b"%d" % rest)
    length = rest + len(b"%d" % length)
    return b"%d %s=%s\n" % (length, key, value)


def _ustar(name: bytes, size: int, kind: bytes, mode: int = 0o644) -> bytes:
    """As Python's tarfile makes it from 3.9 on, which writes no device numbers where there is no device."""
    before = name.ljust(_USTAR_NAME, b"\0") + b"%07o\0" % mode + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    after = kind + bytes(100) + b"ustar\0" + b"00" + bytes(247)
    checksum = sum(before) + sum(after) + 8 * ord(" ")  # the field counts itself as spaces
    return before + b"%06o\0 " % checksum + after
