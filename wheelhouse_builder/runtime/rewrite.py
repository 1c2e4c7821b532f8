"""A wheel's content in a container of our own, for a host whose zlib does not make the signed bytes again (FORMAT.md, section 8).

Every byte of the pool and of the skeletons hangs on the signature, so the content is what was signed though the container is not. Members
are stored, in their order, with their names, times and permissions: so each host that has to do this writes the same file.
"""

import zipfile
import zlib
from typing import BinaryIO, Iterable, Iterator

from .errors import BundleRefused
from .headers import Header
from .skeleton import VERBATIM, WITHOUT_DIGESTS, Digests, Member, Read, Skeleton, content

_UNIX = 3
_ENCRYPTED, _UTF_8 = 0x0001, 0x0800
"""Flags."""
_OVERHEAD = 64
"""Bytes of a header, or more, without the name."""
_PIECE = 1 << 20


def rewrite(skeleton: Skeleton, read: Read, out: BinaryIO) -> None:
    """Write the wheel of ``skeleton`` to ``out``, a piece at a time. Raises BundleRefused for what cannot be told anew."""
    digests = Digests(any(member.method & WITHOUT_DIGESTS for member in skeleton.members))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for index, (header, member) in enumerate(zip(skeleton.headers, skeleton.members)):
            info = _info(header, member)
            if info.filename in archive.NameToInfo:
                raise _refused(header, "another one has its name")
            with archive.open(info, "w") as file:
                crc = 0
                for piece in digests.heard(skeleton, index, _content(header, member, read, digests)):
                    crc = zlib.crc32(piece, crc)
                    file.write(piece)
            if member.method == VERBATIM and crc != header.crc:  # elsewhere no CRC-32 travels
                raise _refused(header, "its CRC-32 is another")


def size_of(skeleton: Skeleton) -> int:
    """About how many bytes :func:`rewrite` needs on the disk."""
    return sum(member.length for member in skeleton.members) * 2 + sum(len(header.name) + _OVERHEAD for header in skeleton.headers) * 2


def _info(header: Header, member: Member) -> zipfile.ZipInfo:
    try:
        name = header.name.decode("utf-8" if header.flags & _UTF_8 else "cp437")
    except UnicodeDecodeError as error:
        raise _refused(header, "its name is not UTF-8") from error
    date, time = header.moment >> 16, header.moment & 0xFFFF
    moment = ((date >> 9) + 1980, date >> 5 & 0x0F, date & 0x1F, time >> 11, time >> 5 & 0x3F, (time & 0x1F) * 2)
    info = zipfile.ZipInfo(name, moment)
    info.create_system = _UNIX
    info.external_attr = header.external
    info.file_size = header.size if member.method == VERBATIM else member.length  # decides on ZIP64
    return info


def _content(header: Header, member: Member, read: Read, digests: Digests) -> Iterator[bytes]:
    """What the member holds, decompressed."""
    pieces = read(member.start, member.length)
    if member.method != VERBATIM or header.compression == zipfile.ZIP_STORED:
        return content(member.method, pieces, digests.get)
    if header.compression != zipfile.ZIP_DEFLATED or header.flags & _ENCRYPTED:
        raise _refused(header, "it is neither stored nor deflated")
    return _inflated(header, pieces)


def _inflated(header: Header, pieces: Iterable[bytes]) -> Iterator[bytes]:
    inflator = zlib.decompressobj(-15)
    try:
        for piece in pieces:
            yield inflator.decompress(piece, _PIECE)
            while inflator.unconsumed_tail:
                yield inflator.decompress(inflator.unconsumed_tail, _PIECE)
        yield inflator.flush()
    except zlib.error as error:
        raise _refused(header, str(error)) from error
    if not inflator.eof:
        raise _refused(header, "its deflate stream is cut off")


def _refused(header: Header, why: str) -> BundleRefused:
    return BundleRefused("The wheel's member %s cannot be written: %s." % (ascii(header.name)[1:], why))
