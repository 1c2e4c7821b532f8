"""ZIP files as no library here writes them: header by header, with whatever a member's data and headers shall be."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STORED, DEFLATED = 0, 8
ENCRYPTED, DESCRIPTOR = 0x0001, 0x0008
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_DOS_DATE = 0x21


@dataclass(frozen=True, kw_only=True, slots=True)
class ZipMember:
    """One member: what it holds, and the data that stands for it."""

    name: str
    content: bytes
    data: bytes
    """``content`` after compression."""
    method: int = DEFLATED
    flags: int = 0
    extra: bytes = b""


def deflated(content: bytes, *, level: int = 6, memory: int = 8, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    """``content`` as a raw deflate stream."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15, memory, strategy)
    return compressor.compress(content) + compressor.flush()


def flushed_halfway(content: bytes) -> bytes:
    """The usual stream up to the middle, then one flush that no compressor's parameters make again."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15, 8)
    middle = len(content) // 2
    return (
        compressor.compress(content[:middle])
        + compressor.flush(zlib.Z_FULL_FLUSH)
        + compressor.compress(content[middle:])
        + compressor.flush()
    )


def write_zip(
    path: Path, members: Sequence[ZipMember], *, before: bytes = b"", comment: bytes = b"", directory_order: Sequence[int] | None = None
) -> Path:
    """Write ``members``, in order; the central directory lists them in ``directory_order``. ``before`` precedes the archive."""
    body, entries = before, []
    for member in members:
        entries.append(_central(member, len(body)))
        body += _local(member)
    directory = b"".join(entries[index] for index in (directory_order or range(len(entries))))
    path.write_bytes(body + directory + _end(len(entries), len(directory), len(body), comment) + comment)
    return path


def write_zip_with_overlap(path: Path, member: ZipMember) -> Path:
    """Two entries of the central directory for the same bytes."""
    body = _local(member)
    directory = _central(member, 0) * 2
    path.write_bytes(body + directory + _end(2, len(directory), len(body), b""))
    return path


def _facts(member: ZipMember) -> tuple[int, int, int]:
    return zlib.crc32(member.content), len(member.data), len(member.content)


def _local(member: ZipMember) -> bytes:
    name = member.name.encode()
    facts = (0, 0, 0) if member.flags & DESCRIPTOR else _facts(member)
    header = _LOCAL.pack(b"PK\x03\x04", 20, member.flags, member.method, 0, _DOS_DATE, *facts, len(name), len(member.extra))
    descriptor = struct.pack("<4s3I", b"PK\x07\x08", *_facts(member)) if member.flags & DESCRIPTOR else b""
    return header + name + member.extra + member.data + descriptor


def _central(member: ZipMember, offset: int) -> bytes:
    name = member.name.encode()
    fixed = (b"PK\x01\x02", 0x0314, 20, member.flags, member.method, 0, _DOS_DATE, *_facts(member), len(name), len(member.extra), 0, 0, 0)
    return _CENTRAL.pack(*fixed, 0o100644 << 16, offset) + name + member.extra


def _end(count: int, size: int, offset: int, comment: bytes) -> bytes:
    return _END.pack(b"PK\x05\x06", 0, 0, count, count, size, offset, len(comment))
