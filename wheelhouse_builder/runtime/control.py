"""The control part: a ZIP archive with one possible encoding (FORMAT.md section 3).

It is read before any signature is checked, so this reader believes nothing: it finds the members, writes the archive anew
and requires the same bytes. The standard library's zipfile accepts far too much for that.
"""

import binascii
import struct
from typing import Dict, List, Mapping, NamedTuple, Tuple

from .errors import BundleRefused
from .layout import MAX_CONTROL_MEMBERS, MAX_CONTROL_SIZE, paths_problem

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"

_NEEDED = 20  # version 2.0
_MADE_BY = 3 * 256 + 20  # Unix, version 2.0
_TIME, _DATE = 0, 0x21  # 1 January 1980
_MODE = 0o100644 << 16

END_SIZE = _END.size
"""The bytes at the end of the file that say how long the control part is."""


class _Central(NamedTuple):
    """What the central directory says of one member."""

    name: str
    size: int
    offset: int


def encode_control(members: Mapping[str, bytes]) -> bytes:
    """The control part that holds ``members``, by name.

    Raises BundleRefused for a name that is not portable, for too many members or too many bytes.
    """
    _require_names(list(members))
    body: List[bytes] = []
    directory: List[bytes] = []
    offset = 0
    for name in sorted(members):
        local, central = _headers(name, members[name], offset)
        body += [local, members[name]]
        directory.append(central)
        offset += len(local) + len(members[name])
    size = sum(map(len, directory))
    if offset + size + END_SIZE > MAX_CONTROL_SIZE:
        raise _too_large(offset + size + END_SIZE)
    return b"".join(body + directory) + _END.pack(_END_MAGIC, 0, 0, len(members), len(members), size, offset, 0)


def decode_control(data: bytes) -> Dict[str, bytes]:
    """The members of the control part ``data``, by name.

    Raises BundleRefused if ``data`` is anything but what :func:`encode_control` makes.
    """
    if len(data) > MAX_CONTROL_SIZE:
        raise _too_large(len(data))
    members: Dict[str, bytes] = {}
    position = 0
    for central in _central_directory(data):
        start = position + _LOCAL.size + len(central.name)
        if central.offset != position or start + central.size > len(data) or central.name in members:
            raise _malformed("its members do not follow one another")
        members[central.name] = data[start : start + central.size]
        position = start + central.size
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
    size, name_size, offset = record[8], record[10], record[16]
    try:
        name = data[start : start + name_size].decode("ascii")
    except UnicodeDecodeError:
        raise _malformed("a member's name is not ASCII") from None
    return _Central(name, size, offset), start + name_size


def _headers(name: str, content: bytes, offset: int) -> Tuple[bytes, bytes]:
    raw = name.encode("ascii")
    common = (_NEEDED, 0, 0, _TIME, _DATE, binascii.crc32(content), len(content), len(content), len(raw), 0)
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
