"""A strict reader of ZIP files: it accepts only those that every other reader understands in the same way.

The rules are those of PyPI's uploads, and a few more. Structure, in the words of APPNOTE.TXT:

1. The file ends with its end of central directory record, whose comment holds no second one. A ZIP64 record and locator stand
   directly before it, or neither of them.
2. From the first byte on, members, central directory and end records follow each other without gap, overlap or remainder.
3. No two members have the same name. A name is ASCII, or UTF-8 and marked so. No member has a comment.
4. Local and central header of a member agree in every field. None is encrypted, in parts, or of another method than stored and
   deflated. None has a data descriptor: whoever reads the file as a stream would have to guess where the member ends.
5. Only files and directories: no links, no devices.
6. Sizes and CRC-32 are true, a deflate stream ends exactly where its member does, and nothing inflates beyond reason.

Needs the standard library only, Python 3.6; holds the central directory and one piece of one member in memory.
"""

import os
import stat
import struct
import zlib
from collections import Counter
from typing import BinaryIO, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
CENTRAL = struct.Struct("<4s6H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
END_MAGIC = b"PK\x05\x06"
END64_MAGIC = b"PK\x06\x06"
LOCATOR_MAGIC = b"PK\x06\x07"
CENTRAL_MAGIC = b"PK\x01\x02"
LOCAL_MAGIC = b"PK\x03\x04"

STORED, DEFLATED = 0, 8
FLAG_ENCRYPTED = 1 << 0
FLAG_DESCRIPTOR = 1 << 3
FLAG_UTF8 = 1 << 11
HARMLESS_FLAGS = 1 << 1 | 1 << 2 | FLAG_UTF8
"""How hard the deflater tried, and that the name is UTF-8."""
EXTRA_ZIP64 = 0x0001
SECOND_NAMES = (0x7075, 0x6375)
"""Info-ZIP's Unicode path and comment: a second name, which some readers prefer and others do not see."""
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF

PIECE = 1 << 18
"""Bytes read, and at most inflated, at once."""
MAX_DIRECTORY = 256 << 20
"""Bytes of a central directory."""
MAX_MEMBERS = 1 << 20
BOMB_SIZE = 64 << 20
BOMB_RATIO = 50
"""All members together may not inflate beyond BOMB_SIZE bytes and BOMB_RATIO times the file: PyPI's bounds."""
DEFLATE_RATIO = 1100
"""More than any deflate stream can inflate."""


class Member(NamedTuple):
    """A member as its central header has it, sizes and offset resolved from ZIP64."""

    name: str
    raw_name: bytes
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    compressed: int
    size: int
    offset: int
    mode: int
    """Unix type and permissions, or 0."""

    @property
    def is_directory(self) -> bool:
        """Its name says that it is one."""
        return self.name.endswith("/")


class ZipRefused(Exception):
    """The file, or one member, cannot be read on; the text says why."""


class ZipArchive:
    """A ZIP file whose structure was looked at; ``problems`` tells what is wrong with it. Rule numbers are those above.

    Raises ZipRefused where nothing more can be said than that this is no ZIP file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self.problems = []  # type: List[str]
        directory, end, count = self._read_end()
        self.members = self._read_directory(directory, end, count)  # type: List[Member]
        self._check_layout(directory)
        self._check_names()
        for member in self.members:
            self.problems.extend(central_problems(member))
        self._check_bomb()

    # Rule 1

    def _read_end(self) -> Tuple[int, int, int]:
        """Offset and end of the central directory, and its number of members."""
        tail_size = min(self.size, END.size + FULL16)
        tail = self._read_at(self.size - tail_size, tail_size)
        at = end_record(tail)
        _, disk, first_disk, here, count, size, offset, _ = END.unpack_from(tail, at)
        end = self.size - tail_size + at
        if (disk, first_disk) not in ((0, 0), (FULL16, FULL16)) or here != count:
            raise ZipRefused("is a part of a ZIP archive in several files")
        locator = self._read_at(end - LOCATOR.size, LOCATOR.size) if end >= LOCATOR.size else b""
        if locator.startswith(LOCATOR_MAGIC):
            end, size, offset, count = self._read_end64(locator, end - LOCATOR.size, size, offset, count)
        if offset + size != end:
            raise ZipRefused(
                "its central directory, {} bytes at {}, does not end where the end record at {} begins".format(size, offset, end)
            )
        if size > MAX_DIRECTORY or count > MAX_MEMBERS:
            raise ZipRefused("has more than {} members or {} bytes of central directory".format(MAX_MEMBERS, MAX_DIRECTORY))
        return offset, end, count

    def _read_end64(self, locator: bytes, locator_at: int, size: int, offset: int, count: int) -> Tuple[int, int, int, int]:
        _, disk, at, disks = LOCATOR.unpack(locator)
        if at + END64.size != locator_at or disk != 0 or disks != 1:
            raise ZipRefused("its ZIP64 locator does not point at a record directly before it")
        record = END64.unpack(self._read_at(at, END64.size))
        magic, length, _, _, disk, first_disk, here, count64, size64, offset64 = record
        if magic != END64_MAGIC or length != END64.size - 12 or disk != 0 or first_disk != 0 or here != count64:
            raise ZipRefused("its ZIP64 end record is malformed")
        for value, full, value64 in ((size, FULL32, size64), (offset, FULL32, offset64), (count, FULL16, count64)):
            if value not in (full, value64):
                raise ZipRefused("its two end records disagree: {} and {}".format(value, value64))
        return at, size64, offset64, count64

    def _read_directory(self, offset: int, end: int, count: int) -> List[Member]:
        data = self._read_at(offset, end - offset)
        members = []
        at = 0
        while at < len(data):
            member, at = central_header(data, at)
            members.append(member)
        if len(members) != count:
            raise ZipRefused("its end record counts {} members, its central directory has {}".format(count, len(members)))
        return sorted(members, key=lambda member: member.offset)

    # Rules 2, 3 and 6

    def _check_layout(self, directory: int) -> None:
        """Members touch each other; where a local header is damaged, :meth:`contents` tells it."""
        expected = 0
        for member in self.members:
            if member.offset != expected:
                what = "overlaps what stands before it" if member.offset < expected else "follows bytes that belong to nothing"
                self.problems.append("{}: {}".format(quoted(member.name), what))
            try:
                expected = self._data_offset(member) + member.compressed
            except ZipRefused as error:
                self.problems.append("{}: {}".format(quoted(member.name), error))
                return
        if expected != directory:
            self.problems.append("the central directory is not directly behind the last member")

    def _check_names(self) -> None:
        for name, times in Counter(member.name for member in self.members).items():
            if times > 1:
                self.problems.append("{} is there {} times".format(quoted(name), times))

    def _check_bomb(self) -> None:
        total = sum(member.size for member in self.members)
        if total > BOMB_SIZE and total > BOMB_RATIO * self.size:
            self.problems.append("inflates from {} to {} bytes, more than {} times".format(self.size, total, BOMB_RATIO))

    # Rules 4 and 6

    def _data_offset(self, member: Member) -> int:
        header = self._read_at(member.offset, LOCAL.size)
        name_size, extra_size = LOCAL.unpack(header)[-2:]
        return member.offset + LOCAL.size + int(name_size) + int(extra_size)

    def local_problems(self, member: Member) -> List[str]:
        """In what the local header differs from the central one."""
        try:
            header = self._read_at(member.offset, LOCAL.size)
            magic, needed, flags, method, time, date, crc, compressed, size, name_size, extra_size = LOCAL.unpack(header)
            name = self._read_at(member.offset + LOCAL.size, name_size)
            extra = _extra_fields(self._read_at(member.offset + LOCAL.size + name_size, extra_size))
            if magic != LOCAL_MAGIC:
                return ["has no local header"]
            size, compressed, _ = _zip64(extra, size, compressed, 0, local=True)
        except ZipRefused as error:
            return ["local header: {}".format(error)]
        fields = (
            ("name", name, member.raw_name),
            ("version needed", needed, member.needed),
            ("flags", flags, member.flags),
            ("method", method, member.method),
            ("time", (date, time), (member.date, member.time)),
            ("CRC-32", crc, member.crc),
            ("compressed size", compressed, member.compressed),
            ("size", size, member.size),
        )
        return ["local and central header disagree in its {}".format(field) for field, local, central in fields if local != central]

    def contents(self, member: Member) -> Iterator[bytes]:
        """The member's bytes in pieces; raises ZipRefused when they are not as its header says. Never yields more than ``member.size``."""
        crc = size = 0
        for piece in self._content(member):
            size += len(piece)
            if size > member.size:
                raise ZipRefused("is longer than the {} bytes of its header".format(member.size))
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != member.size:
            raise ZipRefused("has {} bytes, its header says {}".format(size, member.size))
        if crc != member.crc:
            raise ZipRefused("has CRC-32 {:08x}, its header says {:08x}".format(crc, member.crc))

    def read(self, member: Member, limit: int) -> bytes:
        """The member's bytes; raises ZipRefused when they are more than ``limit``, or not as its header says."""
        if member.size > limit:
            raise ZipRefused("has {} bytes, more than {}".format(member.size, limit))
        return b"".join(self.contents(member))

    def _content(self, member: Member) -> Iterator[bytes]:
        return self._pieces(member) if member.method == STORED else _inflated(self._pieces(member))

    def _pieces(self, member: Member) -> Iterator[bytes]:
        """The member's bytes as they stand in the file."""
        at = self._data_offset(member)
        end = at + member.compressed
        while at < end:
            piece = self._read_at(at, min(PIECE, end - at))
            at += len(piece)
            yield piece

    def _read_at(self, offset: int, size: int) -> bytes:
        if offset < 0 or offset + size > self.size:
            raise ZipRefused("is cut off: {} bytes at {} lie outside of the file".format(size, offset))
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise ZipRefused("became shorter while it was read")
        return data


def quoted(name: str) -> str:
    """A member's name for a message, whatever it holds."""
    return ascii(name)


def zip_problems(file: BinaryIO) -> List[str]:
    """All that is wrong with a seekable ZIP file, sentence by sentence; empty: it is well-formed."""
    try:
        archive = ZipArchive(file)
    except ZipRefused as error:
        return [str(error)]
    problems = list(archive.problems)
    if not problems:  # only where the structure holds do members mean anything
        for member in archive.members:
            problems.extend("{}: {}".format(quoted(member.name), problem) for problem in member_problems(archive, member))
    return problems


def member_problems(archive: ZipArchive, member: Member, listen: Optional[Callable[[bytes], object]] = None) -> List[str]:
    """What is wrong with one member; ``listen`` is given its bytes, piece by piece."""
    problems = archive.local_problems(member)
    try:
        for piece in archive.contents(member):
            if listen is not None:
                listen(piece)
    except ZipRefused as error:
        problems.append(str(error))
    return problems


def end_record(tail: bytes) -> int:
    """Where in the file's last bytes the one end record stands. Raises ZipRefused."""
    at = len(tail) - END.size
    if not tail.startswith(END_MAGIC, max(at, 0)) or tail[-2:] != b"\0\0":
        at = tail.rfind(END_MAGIC)
    if at < 0:
        raise ZipRefused("is not a ZIP file: it has no end of central directory record")
    if not _reaches_end(tail, at):
        raise ZipRefused("does not end with its end of central directory record")
    earlier = tail.rfind(END_MAGIC, 0, at)
    while earlier >= 0:
        if _reaches_end(tail, earlier):  # the one that readers find who search in the other direction
            raise ZipRefused("has two end of central directory records")
        earlier = tail.rfind(END_MAGIC, 0, earlier)
    return at


def _reaches_end(tail: bytes, at: int) -> bool:
    """Whether an end record at ``at``, with its comment, ends where the file does."""
    return at + END.size <= len(tail) and at + END.size + int(END.unpack_from(tail, at)[-1]) == len(tail)


def central_header(data: bytes, at: int) -> Tuple[Member, int]:
    """The member whose central header begins at ``at``, and where the next one begins."""
    if len(data) - at < CENTRAL.size or data[at : at + 4] != CENTRAL_MAGIC:
        raise ZipRefused("its central directory holds something else than headers of members")
    fields = CENTRAL.unpack_from(data, at)
    (
        _,
        _made_by,
        needed,
        flags,
        method,
        time,
        date,
        crc,
        compressed,
        size,
        name_size,
        extra_size,
        comment_size,
        disk,
        _,
        attributes,
        offset,
    ) = fields
    name_at = at + CENTRAL.size
    extra_at = name_at + name_size
    end = extra_at + extra_size + comment_size
    if end > len(data):
        raise ZipRefused("its central directory is cut off")
    raw_name = data[name_at:extra_at]
    name = _decoded(raw_name, flags)
    if comment_size:
        raise ZipRefused("{}: has a comment".format(quoted(name)))
    if disk:
        raise ZipRefused("{}: lies in another part of the archive".format(quoted(name)))
    try:
        size, compressed, offset = _zip64(_extra_fields(data[extra_at:end]), size, compressed, offset, local=False)
    except ZipRefused as error:
        raise ZipRefused("{}: {}".format(quoted(name), error)) from None
    return Member(name, raw_name, needed, flags, method, time, date, crc, compressed, size, offset, attributes >> 16), end


def _decoded(raw_name: bytes, flags: int) -> str:
    try:
        return raw_name.decode("utf-8" if flags & FLAG_UTF8 else "ascii")
    except UnicodeDecodeError:
        raise ZipRefused("{}: the name is neither ASCII nor marked as UTF-8".format(ascii(raw_name))) from None


def _extra_fields(extra: bytes) -> Dict[int, bytes]:
    """The extra fields of a header by their id."""
    fields = {}  # type: Dict[int, bytes]
    at = 0
    while at < len(extra):
        if len(extra) - at < 4:
            raise ZipRefused("has a malformed extra field")
        kind, size = struct.unpack_from("<2H", extra, at)
        if at + 4 + size > len(extra) or kind in fields:
            raise ZipRefused("has a malformed or repeated extra field")
        if kind in SECOND_NAMES:
            raise ZipRefused("has a second name in an extra field")
        fields[kind] = extra[at + 4 : at + 4 + size]
        at += 4 + size
    return fields


def _zip64(extra: Dict[int, bytes], size: int, compressed: int, offset: int, *, local: bool) -> Tuple[int, int, int]:
    """Size, compressed size and offset, taken from the ZIP64 field where the header has no room for them (APPNOTE.TXT 4.5.3).

    The field holds those values that the header lacks; in a local header both sizes or none. Some writers, protobuf's among them,
    add both sizes where none is lacking: then they must be the same ones.
    """
    values = [size, compressed, offset]
    lacking = [i for i, value in enumerate(values) if value == FULL32]
    field = extra.get(EXTRA_ZIP64)
    if field is None:
        return size, compressed, offset
    held = [0, 1] if len(field) == 16 and (local or 2 not in lacking) else lacking
    if len(field) != 8 * len(held) or (local and held not in ([], [0, 1])):
        raise ZipRefused("has a ZIP64 field of {} bytes, which is not what its header lacks".format(len(field)))
    for i, value in zip(held, struct.unpack("<{}Q".format(len(held)), field)):
        if values[i] not in (FULL32, value):
            raise ZipRefused("has two values for one size: {} and {}".format(values[i], value))
        values[i] = value
    return values[0], values[1], values[2]


def central_problems(member: Member) -> List[str]:
    """What the central header alone shows to be wrong: rules 4 to 6."""
    problems = []
    if member.flags & FLAG_ENCRYPTED:
        problems.append("is encrypted")
    elif member.flags & FLAG_DESCRIPTOR:
        problems.append("has a data descriptor")
    elif member.flags & ~HARMLESS_FLAGS:
        problems.append("has unknown flags {:#06x}".format(member.flags))
    if member.method not in (STORED, DEFLATED):
        problems.append("has compression method {}; only stored and deflated are allowed".format(member.method))
    if member.method == STORED and member.size != member.compressed:
        problems.append("is stored, yet its two sizes differ: {} and {}".format(member.compressed, member.size))
    if member.size > BOMB_SIZE and member.size > DEFLATE_RATIO * member.compressed:
        problems.append("cannot inflate from {} to {} bytes".format(member.compressed, member.size))
    return ["{}: {}".format(quoted(member.name), problem) for problem in problems + _type_problems(member)]


def _type_problems(member: Member) -> List[str]:
    kind = stat.S_IFMT(member.mode)
    if member.is_directory:
        if kind not in (0, stat.S_IFDIR):
            return ["has the name of a directory and the type of something else"]
        return ["is a directory with contents"] if member.size else []
    if kind == stat.S_IFLNK:
        return ["is a symbolic link"]
    return [] if kind in (0, stat.S_IFREG) else ["is no regular file"]


def _inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The deflate stream ``pieces``, inflated; it must end with the last of them."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if inflater.eof:
                    raise ZipRefused("has bytes after the end of its deflate stream")
                yield inflater.decompress(rest, PIECE)
                rest = inflater.unconsumed_tail or inflater.unused_data
        while not inflater.eof:
            inflated = inflater.decompress(b"", PIECE)
            if not inflated:
                raise ZipRefused("its deflate stream is cut off")
            yield inflated
    except zlib.error as error:
        raise ZipRefused("its deflate stream is damaged: {}".format(error)) from None
