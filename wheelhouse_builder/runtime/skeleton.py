"""Skeletons: how one wheel is rebuilt from the pool, bit for bit (FORMAT.md, section 6).

A wheel is a ZIP archive: header bytes, member data, header bytes, member data, …, central directory. A skeleton keeps the header bytes as
literals and says of each member's data which pool bytes it was and what was done to them::

    Skeleton ──encode──▶ bytes ──decode──▶ Skeleton ──rebuild(pool)──▶ the wheel

The packer encodes, the reader decodes and rebuilds. The digest of the rebuilt wheel proves the result, so the checks here are only for
what must hold before that: bounded memory, bounded output, no exception but BundleRefused.
"""

import hashlib
import struct
import zlib
from typing import BinaryIO, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from . import records
from .errors import BundleRefused
from .records import DigestOf, completed
from .x86 import restored

MAGIC = b"WHSK\x01"
DERIVED_FLAG = 1

STORED = 0
"""The member's data is the pool bytes."""
VERBATIM = 1
"""The member's data is the pool bytes, which are the original deflate stream."""
MEMORY_8 = 0x10
"""Plus the level: stock zlib's raw deflate of the pool bytes, memLevel 8."""
MEMORY_9 = 0x20
"""Plus the level: the same with memLevel 9."""
LEVELS = range(1, 10)
"""Level 0 is not here: where its stored blocks end depends on how the input arrives, so it is no function of the bytes."""
FILTERED = 0x40
"""Plus any method but VERBATIM: the same, of what :mod:`x86` makes of the pool bytes."""
WITHOUT_DIGESTS = 0x80
"""Plus any method but VERBATIM and without FILTERED: the same, of the RECORD of which :mod:`records` leaves the pool bytes."""
_PLAIN = frozenset([STORED] + [memory + level for memory in (MEMORY_8, MEMORY_9) for level in LEVELS])
METHODS = _PLAIN | {VERBATIM} | {flag + method for method in _PLAIN for flag in (FILTERED, WITHOUT_DIGESTS)}
_FLAGS = FILTERED | WITHOUT_DIGESTS

_VARINT_BYTES = 10
_LARGEST = 2**63 - 1
"""No pool ends after this byte."""
_LARGEST_WITHOUT_ZIP64 = 0xFFFFFFFE

# APPNOTE.TXT 4.3.7, 4.3.12 and 4.3.16; 14 and 16 are where CRC-32, compressed size and uncompressed size stand, in this order.
_LOCAL = struct.Struct("<4s2xH6x12xHH")
_LOCAL_FACTS = 14
_CENTRAL = struct.Struct("<4s4xH6x12xHHH12x")
_CENTRAL_FACTS = 16
_CENTRAL_OFFSET = 42
_END = struct.Struct("<4s16xH")
_DATA_DESCRIPTOR = 0x0008

Read = Callable[[int, int], Iterable[bytes]]
"""Reads ``length`` bytes of the pool from ``offset``, in pieces."""


class Member(NamedTuple):
    """One member's data: which pool bytes, and what was done to them."""

    start: int
    length: int
    method: int


class Skeleton(NamedTuple):
    """How to rebuild one wheel."""

    derived: bool
    """Whether the fields that follow from the data stand as zeros in the literals."""
    members: Tuple[Member, ...]
    literals: Tuple[bytes, ...]
    """One before each member's data, and one after the last."""


class Facts(NamedTuple):
    """What a member's headers say of its data and of their place."""

    method: int
    crc: int
    compressed: int
    size: int
    offset: int


def content(method: int, chunks: Iterable[bytes], digest_of: DigestOf) -> Iterator[bytes]:
    """Turn the pool bytes ``chunks`` into what the member holds, as many bytes; by VERBATIM, into its deflate stream.

    ``digest_of`` knows the contents of the members before it, but for those that are VERBATIM.
    """
    if method & WITHOUT_DIGESTS:
        return iter([completed(b"".join(chunks), digest_of)])
    return restored(chunks) if method & FILTERED else iter(chunks)


def member_name(skeleton: Skeleton, index: int) -> bytes:
    """The name of a member, as its local header has it; of a skeleton whose derived fields are cut out."""
    header = skeleton.literals[index]
    return header[_LOCAL.size : _LOCAL.size + int(_LOCAL.unpack_from(header)[2])]


def deflate(method: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Turn the content ``chunks`` into the member's data. The result does not depend on where the chunks end."""
    if method not in METHODS:
        raise _refused("a skeleton names a method 0x%02x, which this version does not know" % method)
    if method & ~_FLAGS in (STORED, VERBATIM):
        yield from chunks
        return
    compressor = zlib.compressobj(method & 0x0F, zlib.DEFLATED, -15, 9 if method & MEMORY_9 else 8)
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()


def encode(skeleton: Skeleton) -> bytes:
    """The one encoding of ``skeleton``."""
    members, literals = skeleton.members, skeleton.literals
    numbers = [DERIVED_FLAG if skeleton.derived else 0, len(members)]
    numbers += [len(literal) for literal in literals[:-1]]
    numbers += _start_differences(members)
    numbers += [member.length for member in members]
    parts = [MAGIC]
    parts += [_varint(number) for number in numbers]
    parts.append(bytes(member.method for member in members))
    parts.append(_varint(len(literals[-1])))
    parts += literals
    return b"".join(parts)


def decode(data: bytes) -> Skeleton:
    """Read a skeleton. Raises BundleRefused for whatever :func:`encode` would not have written."""
    cursor = _Cursor(data)
    if cursor.take(len(MAGIC)) != MAGIC:
        raise _refused("a skeleton does not begin as one")
    flags, count = cursor.varint(), cursor.varint()
    if flags not in (0, DERIVED_FLAG):
        raise _refused("a skeleton has flags %d, which this version does not know" % flags)
    if count > len(data):
        raise _refused("a skeleton claims %d members, more than it has bytes" % count)
    lengths = [cursor.varint() for _ in range(count)]
    members = _members(cursor, count)
    lengths.append(cursor.varint())
    literals = tuple(cursor.take(length) for length in lengths)
    skeleton = Skeleton(derived=bool(flags), members=members, literals=literals)
    if encode(skeleton) != data:
        raise _refused("a skeleton is not encoded in the one way that the format allows, or bytes follow it")
    if skeleton.derived and without_derived(skeleton) != skeleton:
        raise _refused("a skeleton's derived fields do not stand as zeros")
    for member in members:
        if member.method & WITHOUT_DIGESTS and (member.length > records.LIMIT or not skeleton.derived):
            raise _refused("a skeleton has a RECORD without digests that is too large, or not where its members have names")
    return skeleton


def without_derived(skeleton: Skeleton) -> Skeleton:
    """The same skeleton with its derived fields cut out.

    Raises BundleRefused when the literals are not plain headers in order, so that the fields cannot be filled in again. That
    they would be filled in with the same values is not checked: rebuild and compare.
    """
    if len(skeleton.literals) != len(skeleton.members) + 1:
        raise _refused("a skeleton has %d literals for %d members" % (len(skeleton.literals), len(skeleton.members)))
    nothing = [Facts(member.method, 0, 0, 0, 0) for member in skeleton.members]
    headers = [_filled_header(literal, facts) for literal, facts in zip(skeleton.literals, nothing)]
    return Skeleton(derived=True, members=skeleton.members, literals=(*headers, _filled_directory(skeleton.literals[-1], nothing)))


def rebuild(skeleton: Skeleton, read: Read, out: BinaryIO, limit: Optional[int] = None) -> None:
    """Write the wheel to the seekable ``out``, from its position on; at most ``limit`` bytes.

    Holds one piece of what ``read`` yields at a time. Raises BundleRefused.
    """
    writer = _Writer(out, limit)
    hashed = Digests(any(member.method & WITHOUT_DIGESTS for member in skeleton.members))
    facts = [_write_member(skeleton, index, read, writer, hashed) for index in range(len(skeleton.members))]
    directory = skeleton.literals[-1]
    writer.write(_filled_directory(directory, facts) if skeleton.derived else directory)


def _write_member(skeleton: Skeleton, index: int, read: Read, writer: "_Writer", digests: "Digests") -> Facts:
    """Write one literal and the data behind it; a derived header is written again when its data is known."""
    member, header = skeleton.members[index], skeleton.literals[index]
    offset = writer.size
    writer.write(header)
    data_offset = writer.size
    held = _Measured(digests.heard(skeleton, index, content(member.method, read(member.start, member.length), digests.get)))
    for piece in deflate(member.method, held.pieces()):
        writer.write(piece)
    if held.size != member.length:
        raise _refused("a skeleton needs %d bytes of the pool and there are %d" % (member.length, held.size))
    facts = Facts(member.method, held.crc, writer.size - data_offset, held.size, offset)
    if skeleton.derived:
        writer.rewrite(offset, _filled_header(header, facts))
    return facts


class Digests:
    """The SHA-256 of each member that was read, where a RECORD needs them."""

    def __init__(self, needed: bool) -> None:  # noqa: FBT001
        self._needed = needed
        self._found: Dict[bytes, bytes] = {}

    def get(self, name: bytes) -> Optional[bytes]:
        """See :data:`~records.DigestOf`."""
        return self._found.get(name)

    def heard(self, skeleton: Skeleton, index: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """``pieces``, the content of a member, which is known after the last one."""
        if not self._needed or skeleton.members[index].method == VERBATIM:
            yield from pieces
            return
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
            yield piece
        self._found[member_name(skeleton, index)] = digest.digest()


class _Measured:
    """Pieces that are counted while they pass."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.crc = 0
        self.size = 0

    def pieces(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.crc = zlib.crc32(piece, self.crc)
            self.size += len(piece)
            yield piece


class _Writer:
    """A file that grows to a limit, and whose headers may be written again."""

    def __init__(self, out: BinaryIO, limit: Optional[int]) -> None:
        self._out = out
        self._base = out.tell()
        self._limit = limit
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self._limit is not None and self.size > self._limit:
            raise _refused("a skeleton yields more than the %d bytes that the manifest gives its wheel" % self._limit)
        self._out.write(data)

    def rewrite(self, offset: int, data: bytes) -> None:
        self._out.seek(self._base + offset)
        self._out.write(data)
        self._out.seek(self._base + self.size)


# Derived fields


def _filled_header(literal: bytes, facts: Facts) -> bytes:
    """A local file header with its derived fields set from ``facts``. Raises BundleRefused when it is not exactly such a header."""
    if len(literal) < _LOCAL.size:
        raise _refused("a skeleton's literal is shorter than a local file header")
    signature, flags, name, extra = _LOCAL.unpack_from(literal)
    if signature != b"PK\x03\x04" or len(literal) != _LOCAL.size + name + extra or flags & _DATA_DESCRIPTOR:
        raise _refused("a skeleton's literal is not exactly one local file header without a data descriptor")
    return _with_facts(literal, _LOCAL_FACTS, facts)


def _filled_directory(literal: bytes, members: Sequence[Facts]) -> bytes:
    """The central directory and end record with their derived fields set. Raises BundleRefused when they are not exactly that."""
    entries: List[bytes] = []
    offset = 0
    for facts in members:
        entry = _central_entry(literal, offset)
        offset += len(entry)
        entry = _with_facts(entry, _CENTRAL_FACTS, facts)
        entries.append(_replaced(entry, _CENTRAL_OFFSET, struct.pack("<L", _without_zip64(facts.offset))))
    end = literal[offset:]
    if len(end) < _END.size or end[:4] != b"PK\x05\x06" or len(end) != _END.size + _END.unpack_from(end)[1]:
        raise _refused("a skeleton's last literal does not end in exactly one end record")
    return b"".join(entries) + end


def _central_entry(literal: bytes, offset: int) -> bytes:
    if len(literal) - offset < _CENTRAL.size:
        raise _refused("a skeleton's central directory is shorter than its members need")
    signature, flags, name, extra, comment = _CENTRAL.unpack_from(literal, offset)
    size = _CENTRAL.size + name + extra + comment
    if signature != b"PK\x01\x02" or flags & _DATA_DESCRIPTOR or len(literal) - offset < size:
        raise _refused("a skeleton's last literal is not a central directory")
    return literal[offset : offset + size]


def _with_facts(header: bytes, place: int, facts: Facts) -> bytes:
    """``header`` with CRC-32 and the sizes at ``place``; a verbatim member keeps the CRC-32 and the size that stand there."""
    compressed = struct.pack("<L", _without_zip64(facts.compressed))
    if facts.method == VERBATIM:
        return _replaced(header, place + 4, compressed)
    return _replaced(header, place, struct.pack("<L", facts.crc) + compressed + struct.pack("<L", _without_zip64(facts.size)))


def _without_zip64(number: int) -> int:
    if number > _LARGEST_WITHOUT_ZIP64:
        raise _refused("a skeleton derives a field of a wheel that would need ZIP64")
    return number


def _replaced(data: bytes, place: int, field: bytes) -> bytes:
    return data[:place] + field + data[place + len(field) :]


# Numbers


class _Cursor:
    """A place in bytes that must not run over their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        piece = self._data[self._at : self._at + length]
        if len(piece) != length:
            raise _refused("a skeleton ends in the middle")
        self._at += length
        return piece

    def varint(self) -> int:
        """Unsigned LEB128 of at most ten bytes and 64 bits."""
        number = 0
        for place in range(_VARINT_BYTES):
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << (7 * place)
            if byte < 0x80 and number < 2**64:
                return number
        raise _refused("a skeleton holds a number that is too long")


def _members(cursor: _Cursor, count: int) -> Tuple[Member, ...]:
    differences = [cursor.varint() for _ in range(count)]
    lengths = [cursor.varint() for _ in range(count)]
    methods = cursor.take(count)
    members: List[Member] = []
    end = 0
    for difference, length, method in zip(differences, lengths, methods):
        start = end + _unzigzag(difference)
        end = start + length
        if start < 0 or end > _LARGEST or method not in METHODS:
            raise _refused("a skeleton's member lies outside any pool, or has an unknown method")
        members.append(Member(start, length, method))
    return tuple(members)


def _start_differences(members: Iterable[Member]) -> List[int]:
    """How far each member's start lies from the end of the member before, zigzag."""
    differences: List[int] = []
    end = 0
    for member in members:
        differences.append(_zigzag(member.start - end))
        end = member.start + member.length
    return differences


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _unzigzag(number: int) -> int:
    return number // 2 if number % 2 == 0 else -(number + 1) // 2


def _refused(why: str) -> BundleRefused:
    return BundleRefused(
        "The payload cannot be read: %s." % why,
        hint="The signature holds, so the bundle was packed like this: ask its sender to pack it again with the current wheelhouse.",
    )
