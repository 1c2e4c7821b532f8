"""A wheel's content in a container of our own, for a host whose zlib does not make the signed bytes again (FORMAT.md, section 8).

Every byte of the pool and of the skeletons hangs on the signature, so the content is what was signed though the container is not. Members
are stored, in their order, with their names, times and permissions: so each host that has to do this writes the same file.
"""

import io
import struct
import zipfile
import zlib
from typing import BinaryIO, Iterable, Iterator, List

from .errors import BundleRefused
from .skeleton import VERBATIM, WITHOUT_DIGESTS, Digests, Member, Read, Skeleton, content

_UNIX = 3
_PIECE = 1 << 20


def rewrite(skeleton: Skeleton, read: Read, out: BinaryIO) -> None:
    """Write the wheel of ``skeleton`` to ``out``, a piece at a time. Raises BundleRefused for what cannot be told anew."""
    entries = _entries(skeleton)
    digests = Digests(any(member.method & WITHOUT_DIGESTS for member in skeleton.members))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for index, (entry, member) in enumerate(zip(entries, skeleton.members)):
            with archive.open(_info(entry, member), "w") as file:
                crc = 0
                for piece in digests.heard(skeleton, index, _content(entry, member, read, digests)):
                    crc = zlib.crc32(piece, crc)
                    file.write(piece)
            if crc != entry.CRC and (member.method == VERBATIM or not skeleton.derived):  # elsewhere no CRC-32 travels
                raise _refused(entry, "its CRC-32 is another")


def size_of(skeleton: Skeleton) -> int:
    """About how many bytes :func:`rewrite` needs on the disk."""
    return sum(member.length for member in skeleton.members) * 2 + sum(map(len, skeleton.literals))


def _entries(skeleton: Skeleton) -> List[zipfile.ZipInfo]:
    """What the central directory says of each member, in the members' order."""
    try:
        with zipfile.ZipFile(io.BytesIO(skeleton.literals[-1])) as directory:
            entries = directory.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise BundleRefused("A wheel's central directory cannot be read: %s." % error) from error
    if len(entries) != len(skeleton.members):
        raise BundleRefused("A wheel has %d members, its central directory %d." % (len(skeleton.members), len(entries)))
    return entries if skeleton.derived else sorted(entries, key=lambda entry: entry.header_offset)


def _info(entry: zipfile.ZipInfo, member: Member) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(entry.filename, entry.date_time)
    info.create_system = _UNIX
    info.external_attr = entry.external_attr
    info.file_size = entry.file_size if member.method == VERBATIM else member.length  # decides on ZIP64
    return info


def _content(entry: zipfile.ZipInfo, member: Member, read: Read, digests: Digests) -> Iterator[bytes]:
    """What the member holds, decompressed."""
    pieces = read(member.start, member.length)
    if member.method != VERBATIM or entry.compress_type == zipfile.ZIP_STORED:
        return content(member.method, pieces, digests.get)
    if entry.compress_type != zipfile.ZIP_DEFLATED or entry.flag_bits & 1:
        raise _refused(entry, "it is neither stored nor deflated")
    return _inflated(entry, pieces)


def _inflated(entry: zipfile.ZipInfo, pieces: Iterable[bytes]) -> Iterator[bytes]:
    inflator = zlib.decompressobj(-15)
    try:
        for piece in pieces:
            yield inflator.decompress(piece, _PIECE)
            while inflator.unconsumed_tail:
                yield inflator.decompress(inflator.unconsumed_tail, _PIECE)
        yield inflator.flush()
    except zlib.error as error:
        raise _refused(entry, str(error)) from error
    if not inflator.eof:
        raise _refused(entry, "its deflate stream is cut off")


def _refused(entry: zipfile.ZipInfo, why: str) -> BundleRefused:
    return BundleRefused("The wheel's member %r cannot be written: %s." % (entry.filename, why))
