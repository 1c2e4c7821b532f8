"""Bytecode that travels, looked at where nothing is installed: each of it belongs to a source of its wheel, by the hash that PEP 552 has.

The hash is SipHash of the source, under the magic number of the CPython that compiled: with two rounds a block and four at the end up to
3.10, with one and three since. Where the running Python has the same, it computes; else that is done here, a few megabytes a second.
"""

import hashlib
import importlib.util
import os
import struct
from contextlib import closing
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from .bundle import VerifiedBundle
from .carried import CPYTHON, members_of
from .errors import BundleRefused
from .host import this_host
from .layout import BYTECODE, wheel_entry
from .manifest import ManifestFile
from .payload import decoder_for, frames_with, read_entries
from .progress import Progress
from .ziparchive import Member, ZipArchive

Hash = Callable[[int, bytes], bytes]
"""Of a magic number as a number, and a source."""

_MASK = (1 << 64) - 1
_HASHED = struct.Struct("<4sL8s")
"""How a .pyc begins: magic, flags, hash of the source."""
_UNCHECKED = 1
"""The flags: valid by a hash, which is not compared when it is loaded."""
_FEWER_ROUNDS = (3, 11)
"""The first CPython with one round a block."""
_MAX_SOURCE = 64 << 20


class Rounds(NamedTuple):
    """Of SipHash."""

    block: int
    end: int


OLD, NEW = Rounds(2, 4), Rounds(1, 3)


def require_compiled(bundle: VerifiedBundle, tree: str, scratch: str, progress: Progress) -> None:
    """Raise BundleRefused unless the bytecode in ``bundle``, whose wheels were unpacked to ``tree``, is that of their sources.

    ``scratch`` is a private directory.
    """
    files = {each.path: each for each in bundle.manifest.files if each.path.startswith(BYTECODE)}
    if not files:
        return
    decoder = decoder_for(bundle, scratch)
    frames = frames_with(bundle.manifest, files)
    magics: Dict[str, bytes] = {this_host().interpreter: importlib.util.MAGIC_NUMBER}
    problems: List[str] = []
    with progress.step("looking at bytecode", total=len(frames)) as step:
        for index in frames:
            with closing(read_entries(bundle, index, decoder)) as entries:
                for path, _, contents in entries:
                    if path in files:
                        found = _entry_problems(path, b"".join(contents), files, tree, magics)
                        problems += ["%s: %s." % (path, problem) for problem in found]
            step.advance(1)
    if problems:
        raise BundleRefused(*problems, hint="The signature holds, so the bundle was packed like this: ask its sender to pack it again.")


def siphash(rounds: Rounds, key: int, data: bytes) -> bytes:
    """SipHash of ``data`` under a key whose upper half is 0, as eight bytes."""
    v0, v1, v2, v3 = (
        start ^ part
        for start, part in zip((0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573), (key, 0, key, 0))
    )
    whole = len(data) // 8
    last = int.from_bytes(data[whole * 8 :], "little") | (len(data) & 0xFF) << 56
    for word in (*struct.unpack_from("<%dQ" % whole, data), last, None):
        count = rounds.block
        if word is None:
            v2 ^= 0xFF
            count = rounds.end
        else:
            v3 ^= word
        for _ in range(count):
            v0 = (v0 + v1) & _MASK
            v1 = ((v1 << 13 | v1 >> 51) & _MASK) ^ v0
            v0 = (v0 << 32 | v0 >> 32) & _MASK
            v2 = (v2 + v3) & _MASK
            v3 = ((v3 << 16 | v3 >> 48) & _MASK) ^ v2
            v0 = (v0 + v3) & _MASK
            v3 = ((v3 << 21 | v3 >> 43) & _MASK) ^ v0
            v2 = (v2 + v1) & _MASK
            v1 = ((v1 << 17 | v1 >> 47) & _MASK) ^ v2
            v2 = (v2 << 32 | v2 >> 32) & _MASK
        v0 ^= word or 0
    return struct.pack("<Q", v0 ^ v1 ^ v2 ^ v3)


def hash_for(interpreter: str) -> Hash:
    """The hash of sources that the CPython with this tag computes."""
    version = int(interpreter[2]), int(interpreter[3:])
    rounds = NEW if version >= _FEWER_ROUNDS else OLD
    own = _own_hash()
    if own and own(1, b"which") == siphash(rounds, 1, b"which"):
        return own
    return lambda magic, source: siphash(rounds, magic, source)


def _own_hash() -> Optional[Hash]:
    """That of the running Python; None where it has none."""
    try:
        from _imp import source_hash  # noqa: PLC0415 # CPython 3.7 and newer
    except ImportError:
        return None
    found: Hash = source_hash
    return found


def _entry_problems(path: str, data: bytes, files: Mapping[str, ManifestFile], tree: str, magics: Dict[str, bytes]) -> Iterator[str]:
    interpreter, filename = path[len(BYTECODE) :].split("/")
    if (len(data), hashlib.sha256(data).hexdigest()) != (files[path].size, files[path].sha256):
        yield "size or SHA-256 is not what the manifest says"
        return
    if not interpreter.startswith(CPYTHON):
        yield "it is for no CPython"
        return
    with open(os.path.join(tree, *wheel_entry(filename).split("/")), "rb") as file:
        archive = ZipArchive(file)
        sources, hash_of = dict(_sources(archive)), hash_for(interpreter)
        for name, compiled in members_of(path, data):
            member = sources.pop(name, None)
            if member is None:
                yield "%s is no source of its wheel, or there twice" % ascii(name)
                continue
            problem = _problem(compiled, archive.read(member, _MAX_SOURCE), hash_of, magics.setdefault(interpreter, compiled[:4]))
            if problem:
                yield "%s %s" % (ascii(name), problem)


def _problem(compiled: bytes, source: bytes, hash_of: Hash, magic: bytes) -> Optional[str]:
    if len(compiled) <= _HASHED.size:
        return "is cut off"
    found, flags, digest = _HASHED.unpack_from(compiled)
    if found != magic or flags != _UNCHECKED:
        return "was compiled by another Python, or is not valid by a hash"
    return None if digest == hash_of(int.from_bytes(magic, "little"), source) else "was compiled of another source"


def _sources(archive: ZipArchive) -> Iterator[Tuple[str, Member]]:
    """The Python sources of a wheel, by the path at which they are installed, below purelib or platlib."""
    for member in archive.members:
        top, _, rest = member.name.partition("/")
        scheme, _, inner = rest.partition("/")
        path = member.name
        if top.endswith(".data"):
            path = inner if scheme in ("purelib", "platlib") else ""
        if path.endswith(".py"):
            yield path, member
