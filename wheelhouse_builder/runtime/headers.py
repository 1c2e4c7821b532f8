"""Headers: what a ZIP archive says of its members, and the bytes that say it (FORMAT.md, section 6, Skeletons).

Each member has a header before its data and one in the central directory. They repeat each other, and much of what they say follows
from the data: what is left is a few numbers and a name. (APPNOTE.TXT 4.3.7, 4.3.12 and 4.3.16.)
"""

import struct
from typing import Iterable, List, NamedTuple, Sequence, Tuple

from .errors import BundleRefused

LOCAL = struct.Struct("<4s3H4L2H")
CENTRAL = struct.Struct("<4s4H4L5H2L")
END = struct.Struct("<4s4H2LH")

NUMBERS = "HHHHLHLLL"
"""How the numbers of a header are written, by :mod:`struct`."""
TEXTS = 4
MAX_MEMBERS = 0xFFFE
MAX_TEXT = 0xFFFF
_LARGEST_WITHOUT_ZIP64 = 0xFFFFFFFE


class Header(NamedTuple):
    """What is told of one member: first the :data:`NUMBERS`, then the :data:`TEXTS`."""

    made_by: int
    needed: int
    flags: int
    compression: int
    moment: int
    """Time and date, as DOS has them."""
    internal: int
    external: int
    """Attributes."""
    crc: int
    size: int
    """CRC-32 and size of a member that is carried verbatim; 0 where they follow from the content."""
    name: bytes
    extra: bytes = b""
    """The extra field of the local header."""
    central_extra: bytes = b""
    comment: bytes = b""


class Facts(NamedTuple):
    """What follows from a member's data and its place."""

    crc: int
    compressed: int
    size: int
    offset: int


NOTHING = Facts(0, 0, 0, 0)


def known(header: Header) -> Facts:
    """What is known before the data is: of a member that is carried verbatim CRC-32 and size."""
    return Facts(header.crc, 0, header.size, 0)


def local_header(header: Header, facts: Facts) -> bytes:
    """What stands before the member's data. Raises BundleRefused."""
    _require_without_zip64(facts[1:])
    sizes = (facts.crc, facts.compressed, facts.size, len(header.name), len(header.extra))
    return LOCAL.pack(b"PK\3\4", header.needed, header.flags, header.compression, header.moment, *sizes) + header.name + header.extra


def directory(headers: Sequence[Header], members: Sequence[Facts], comment: bytes, offset: int) -> bytes:
    """The central directory, which begins at ``offset``, and the end record. Raises BundleRefused."""
    data = b"".join(map(_central_header, headers, members))
    _require_without_zip64((offset, len(data)))
    return data + END.pack(b"PK\5\6", 0, 0, len(headers), len(headers), len(data), offset, len(comment)) + comment


def columns(headers: Sequence[Header]) -> bytes:
    """The numbers, each kind of all headers together: so what hardly changes stands side by side."""
    values = zip(*[header[: len(NUMBERS)] for header in headers])
    return b"".join(struct.pack(_column(kind, len(headers)), *column) for kind, column in zip(NUMBERS, values))


def columns_size(count: int) -> int:
    """Bytes of the numbers of ``count`` headers."""
    return sum(struct.calcsize(_column(kind, count)) for kind in NUMBERS)


def from_columns(data: bytes, texts: Iterable[Tuple[bytes, ...]], count: int) -> Tuple[Header, ...]:
    """The ``count`` headers whose numbers are ``data``, and whose texts these are."""
    values: List[Tuple[int, ...]] = []
    at = 0
    for kind in NUMBERS:
        values.append(struct.unpack_from(_column(kind, count), data, at))
        at += struct.calcsize(_column(kind, count))
    return tuple(Header(*numbers, *text) for numbers, text in zip(zip(*values), texts))


def _column(kind: str, count: int) -> str:
    return "<%d%s" % (count, kind)


def _central_header(header: Header, facts: Facts) -> bytes:
    _require_without_zip64(facts[1:])
    lengths = (len(header.name), len(header.central_extra), len(header.comment))
    numbers = (header.made_by, header.needed, header.flags, header.compression, header.moment, facts.crc, facts.compressed, facts.size)
    fixed = CENTRAL.pack(b"PK\1\2", *numbers, *lengths, 0, header.internal, header.external, facts.offset)
    return fixed + header.name + header.central_extra + header.comment


def _require_without_zip64(numbers: Iterable[int]) -> None:
    if max(numbers) > _LARGEST_WITHOUT_ZIP64:
        raise BundleRefused("The payload cannot be read: a skeleton makes a wheel that would need ZIP64.")
