"""Skeletons: how one wheel is rebuilt from the pool, bit for bit (FORMAT.md, section 6).

A wheel is a ZIP archive: header, member data, header, member data, …, central directory. A skeleton tells of each member what its headers
say, which pool bytes its data was, and what was done to them::

    Skeleton ──encode──▶ bytes ──decode──▶ Skeleton ──rebuild(pool)──▶ the wheel

The packer encodes, the reader decodes and rebuilds. The digest of the rebuilt wheel proves the result, so the checks here are only for
what must hold before that: bounded memory, bounded output, no exception but BundleRefused.
"""

import hashlib
import zlib
from itertools import accumulate
from typing import BinaryIO, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from . import headers, records
from .errors import BundleRefused
from .headers import NOTHING, TEXTS, Facts, Header
from .records import DigestOf, completed
from .x86 import restored

MAGIC = b"WHSK\x01"
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

Read = Callable[[int, int], Iterable[bytes]]
"""Reads ``length`` bytes of the pool from ``offset``, in pieces."""


class Member(NamedTuple):
    """One member's data: which pool bytes, and what was done to them."""

    start: int
    length: int
    method: int


class Skeleton(NamedTuple):
    """How to rebuild one wheel."""

    members: Tuple[Member, ...]
    headers: Tuple[Header, ...]
    """Of the members, in their order."""
    comment: bytes = b""
    """At the end of the archive."""


def is_plain(method: int) -> bool:
    """Whether the content is the pool bytes as they are, or its deflate stream is."""
    return not method & _FLAGS


def content(method: int, chunks: Iterable[bytes], digest_of: DigestOf) -> Iterator[bytes]:
    """Turn the pool bytes ``chunks`` into what the member holds, as many bytes; by VERBATIM, into its deflate stream.

    ``digest_of`` knows the contents of the members before it, but for those that are VERBATIM.
    """
    if method & WITHOUT_DIGESTS:
        return iter([completed(b"".join(chunks), digest_of)])
    return restored(chunks) if method & FILTERED else iter(chunks)


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
    members = skeleton.members
    texts = list(zip(*[header[-TEXTS:] for header in skeleton.headers]))
    numbers = [len(members), *_start_differences(members), *(member.length for member in members)]
    parts = [MAGIC, _varints(numbers), bytes(member.method for member in members), headers.columns(skeleton.headers)]
    parts += [_varints(map(len, column)) for column in texts]
    parts += [text for column in texts for text in column]
    return b"".join([*parts, skeleton.comment])


def decode(data: bytes) -> Skeleton:
    """Read a skeleton. Raises BundleRefused for whatever :func:`encode` would not have written."""
    cursor = _Cursor(data)
    if cursor.take(len(MAGIC)) != MAGIC:
        raise _refused("a skeleton does not begin as one")
    [count] = cursor.varints(1)
    if count > headers.MAX_MEMBERS:
        raise _refused("a skeleton has %d members" % count)
    members = _members(cursor, count)
    numbers = cursor.take(headers.columns_size(count))
    lengths = [cursor.varints(count) for _ in range(TEXTS)]
    texts = [cursor.parts(column) for column in lengths]
    skeleton = Skeleton(members, headers.from_columns(numbers, zip(*texts), count), cursor.rest())
    if max(len(skeleton.comment), *(max(column, default=0) for column in lengths)) > headers.MAX_TEXT:
        raise _refused("a skeleton has a text that is too long")
    if encode(skeleton) != data:
        raise _refused("a skeleton is not encoded in the one way that the format allows")
    for member, header in zip(members, skeleton.headers):
        _check_member(member, header)
    return skeleton


def _check_member(member: Member, header: Header) -> None:
    if member.method != VERBATIM and (header.crc or header.size):
        raise _refused("a skeleton tells what follows from a member's content")
    if member.method & WITHOUT_DIGESTS and member.length > records.LIMIT:
        raise _refused("a skeleton has a RECORD without digests that is too large")


def rebuild(skeleton: Skeleton, read: Read, out: BinaryIO, limit: Optional[int] = None) -> None:
    """Write the wheel to the seekable ``out``, from its position on; at most ``limit`` bytes.

    Holds one piece of what ``read`` yields at a time. Raises BundleRefused.
    """
    writer = _Writer(out, limit)
    hashed = Digests(any(member.method & WITHOUT_DIGESTS for member in skeleton.members))
    facts = [_write_member(skeleton, index, read, writer, hashed) for index in range(len(skeleton.members))]
    writer.write(headers.directory(skeleton.headers, facts, skeleton.comment, writer.size))


def _write_member(skeleton: Skeleton, index: int, read: Read, writer: "_Writer", digests: "Digests") -> Facts:
    """Write one header and the data behind it; the header is written again when its data is known."""
    member, header = skeleton.members[index], skeleton.headers[index]
    offset = writer.size
    writer.write(headers.local_header(header, NOTHING))
    data_offset = writer.size
    held = _Measured(digests.heard(skeleton, index, content(member.method, read(member.start, member.length), digests.get)))
    for piece in deflate(member.method, held.pieces()):
        writer.write(piece)
    if held.size != member.length:
        raise _refused("a skeleton needs %d bytes of the pool and there are %d" % (member.length, held.size))
    crc, size = (header.crc, header.size) if member.method == VERBATIM else (held.crc, held.size)
    facts = Facts(crc, writer.size - data_offset, size, offset)
    writer.rewrite(offset, headers.local_header(header, facts))
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
        self._found[skeleton.headers[index].name] = digest.digest()


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

    def rest(self) -> bytes:
        """All that follows."""
        return self.take(len(self._data) - self._at)

    def parts(self, lengths: Sequence[int]) -> List[bytes]:
        """The next texts, of these ``lengths``."""
        whole = self.take(sum(lengths))
        ends = list(accumulate(lengths))
        return [whole[end - length : end] for length, end in zip(lengths, ends)]

    def varints(self, count: int) -> List[int]:
        """So many numbers: unsigned LEB128, each of at most ten bytes and 64 bits."""
        numbers: List[int] = []
        while len(numbers) < count:
            number = self._byte()
            numbers.append(number if number < 0x80 else self._long(number & 0x7F))
        return numbers

    def _long(self, number: int) -> int:
        """A number of several bytes, after the first of which it is ``number``."""
        for place in range(1, _VARINT_BYTES):
            byte = self._byte()
            number |= (byte & 0x7F) << (7 * place)
            if byte < 0x80 and number < 2**64:
                return number
        raise _refused("a skeleton holds a number that is too long")

    def _byte(self) -> int:
        if self._at == len(self._data):
            raise _refused("a skeleton ends in the middle")
        self._at += 1
        return self._data[self._at - 1]


def _members(cursor: _Cursor, count: int) -> Tuple[Member, ...]:
    differences = cursor.varints(count)
    lengths = cursor.varints(count)
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


def _varints(numbers: Iterable[int]) -> bytes:
    encoded = bytearray()
    for number in numbers:
        rest = number
        while rest >= 0x80:
            encoded.append(rest & 0x7F | 0x80)
            rest >>= 7
        encoded.append(rest)
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
