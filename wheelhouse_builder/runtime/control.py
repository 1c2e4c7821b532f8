"""The control part: a ZIP archive with one possible encoding (FORMAT.md section 3).

It is read before any signature is checked, so this reader believes nothing: it finds the members, writes the archive anew
and requires the same bytes. The standard library's zipfile accepts far too much for that.

The modules of the reader that travels stand deflated, and are inflated only when a signature vouches for how they stand. Until then each is
what gzip would make of it: a ZIP archive and gzip hold the same deflate stream, CRC-32 and size.
"""

import binascii
import hashlib
import struct
import zlib
from typing import Dict, List, Mapping, NamedTuple, Tuple

from .errors import BundleRefused
from .layout import DECODERS, MAX_CONTROL_MEMBERS, MAX_CONTROL_SIZE, RUNTIME, paths_problem

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"

_NEEDED = 20  # version 2.0
_MADE_BY = 3 * 256 + 20  # Unix, version 2.0
_TIME, _DATE = 0, 0x21  # 1 January 1980
_MODE = 0o100644 << 16

_DEFLATED = 8
_GZIP = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
_GZIP_END = struct.Struct("<II")  # CRC-32 and size

END_SIZE = _END.size
"""The bytes at the end of the file that say how long the control part is."""


class _Standing(NamedTuple):
    """A member's bytes as they stand in the archive, and what its headers say of them."""

    data: bytes
    method: int
    crc: int
    size: int
    """Bytes of the content."""


class _Central(NamedTuple):
    """What the central directory says of one member."""

    name: str
    crc: int
    compressed: int
    size: int
    offset: int


def deflated(content: bytes) -> bytes:
    """The member that holds the module ``content``."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return _GZIP + compressor.compress(content) + compressor.flush() + _GZIP_END.pack(binascii.crc32(content), len(content))


def inflated(name: str, member: bytes, size: int) -> bytes:
    """The content, of ``size`` bytes, of a deflated member. Raises BundleRefused for one that has another size or CRC-32."""
    inflator = zlib.decompressobj(31)
    try:
        content = inflator.decompress(member, size + 1)
    except zlib.error as error:
        raise _malformed("{} cannot be inflated: {}".format(name, error)) from error
    if len(content) != size or not inflator.eof or inflator.unused_data:
        raise _malformed("{} has not the {} bytes that the manifest says".format(name, size))
    return content


def is_deflated(name: str) -> bool:
    """Whether the member ``name`` stands deflated."""
    return name.startswith(RUNTIME)


def compressed_part(members: Mapping[str, bytes]) -> Tuple[int, str]:
    """Size and SHA-256 of what stands compressed among ``members``, back to back in the order of their names."""
    data = b"".join(_standing(name, members[name]).data for name in sorted(members) if is_deflated(name) or name == DECODERS)
    return len(data), hashlib.sha256(data).hexdigest()


def encode_control(members: Mapping[str, bytes]) -> bytes:
    """The control part that holds ``members``, by name; those that stand deflated as :func:`deflated` makes them.

    Raises BundleRefused for a name that is not portable, for too many members or too many bytes.
    """
    _require_names(list(members))
    body: List[bytes] = []
    directory: List[bytes] = []
    offset = 0
    for name in sorted(members):
        standing = _standing(name, members[name])
        local, central = _headers(name, standing, offset)
        body += [local, standing.data]
        directory.append(central)
        offset += len(local) + len(standing.data)
    size = sum(map(len, directory))
    if offset + size + END_SIZE > MAX_CONTROL_SIZE:
        raise _too_large(offset + size + END_SIZE)
    return b"".join(body + directory) + _END.pack(_END_MAGIC, 0, 0, len(members), len(members), size, offset, 0)


def decode_control(data: bytes) -> Dict[str, bytes]:
    """The members of the control part ``data``, by name; nothing is inflated.

    Raises BundleRefused if ``data`` is anything but what :func:`encode_control` makes.
    """
    if len(data) > MAX_CONTROL_SIZE:
        raise _too_large(len(data))
    members: Dict[str, bytes] = {}
    position = 0
    for central in _central_directory(data):
        start = position + _LOCAL.size + len(central.name)
        if central.offset != position or start + central.compressed > len(data) or central.name in members:
            raise _malformed("its members do not follow one another")
        content = data[start : start + central.compressed]
        members[central.name] = _GZIP + content + _GZIP_END.pack(central.crc, central.size) if is_deflated(central.name) else content
        position = start + central.compressed
    if encode_control(members) != data:
        raise _malformed("it is not written in the one way that the format allows")
    return members


def is_end_record(data: bytes) -> bool:
    """Whether ``data`` is an end record without a comment."""
    return len(data) == END_SIZE and data.startswith(_END_MAGIC) and data.endswith(b"\0\0")


def control_size(end_record: bytes) -> int:
    """The length in bytes of the control part, from the :data:`END_SIZE` bytes with which the file ends.

    Raises BundleRefused if they are no end record, or tell of a control part beyond its bound.
    """
    if not is_end_record(end_record):
        raise _malformed("it has no end record")
    _magic, _disk, _first, _here, count, size, offset, _comment = _END.unpack(end_record)
    if count > MAX_CONTROL_MEMBERS:
        raise _malformed("it has {} members, {} are allowed".format(count, MAX_CONTROL_MEMBERS))
    total = END_SIZE + int(size) + int(offset)
    if total > MAX_CONTROL_SIZE:
        raise _too_large(total)
    return total


def _central_directory(data: bytes) -> List[_Central]:
    if control_size(data[-END_SIZE:]) != len(data):
        raise _malformed("its end record does not fit its length")
    count, _size, position = _END.unpack(data[-END_SIZE:])[4:7]
    members = []
    for _ in range(count):
        member, position = _central_record(data, position)
        members.append(member)
    return members


def _central_record(data: bytes, position: int) -> Tuple[_Central, int]:
    """The record at ``position``, and where the next one begins. What is not read here, the encoder compares."""
    start = position + _CENTRAL.size
    if start > len(data):
        raise _malformed("its directory is cut off")
    record = _CENTRAL.unpack_from(data, position)
    crc, compressed, size, name_size, offset = *record[7:11], record[16]
    try:
        name = data[start : start + name_size].decode("ascii")
    except UnicodeDecodeError:
        raise _malformed("a member's name is not ASCII") from None
    return _Central(name, crc, compressed, size, offset), start + name_size


def _standing(name: str, member: bytes) -> _Standing:
    if not is_deflated(name):
        return _Standing(member, 0, binascii.crc32(member), len(member))
    if not member.startswith(_GZIP):
        raise ValueError("{} is not deflated".format(name))
    crc, size = _GZIP_END.unpack(member[-_GZIP_END.size :])
    return _Standing(member[len(_GZIP) : -_GZIP_END.size], _DEFLATED, crc, size)


def _headers(name: str, standing: _Standing, offset: int) -> Tuple[bytes, bytes]:
    raw = name.encode("ascii")
    data, method, crc, size = standing
    common = (_NEEDED, 0, method, _TIME, _DATE, crc, len(data), size, len(raw), 0)
    local = _LOCAL.pack(_LOCAL_MAGIC, *common)
    central = _CENTRAL.pack(_CENTRAL_MAGIC, _MADE_BY, *common, 0, 0, 0, _MODE, offset)
    return local + raw, central + raw


def _require_names(names: List[str]) -> None:
    if len(names) > MAX_CONTROL_MEMBERS:
        raise _malformed("it has {} members, {} are allowed".format(len(names), MAX_CONTROL_MEMBERS))
    problem = paths_problem(names)
    if problem:
        raise _malformed("the name " + problem)


def _too_large(size: int) -> BundleRefused:
    return _malformed("it has {} bytes, {} are allowed".format(size, MAX_CONTROL_SIZE))


def _malformed(why: str) -> BundleRefused:
    return BundleRefused(
        "The control part of the bundle is malformed: {}.".format(why),
        hint="The file is cut off, was changed, or is no bundle. Copy it again and compare its SHA-256 with the sender's.",
    )
