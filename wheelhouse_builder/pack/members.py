"""Members: taking a wheel apart into contents and headers, such that it can be put together again bit for bit.

For each deflated member the packer looks for the way in which zlib makes the same bytes again; where there is none, the deflated
bytes themselves are the content. Then the wheel is rebuilt by the code that will do it on the far side, and compared. What cannot be
rebuilt is carried whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wheelhouse_builder.errors import BundleRefused, DistributionError
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.pack.crew import Pulse
from wheelhouse_builder.pack.headers import headers_of
from wheelhouse_builder.runtime import records, skeleton
from wheelhouse_builder.runtime.headers import Header
from wheelhouse_builder.runtime.skeleton import FILTERED, LEVELS, MEMORY_8, MEMORY_9, STORED, VERBATIM, WITHOUT_DIGESTS, Skeleton

PIECE = 256 * 1024
"""Bytes read or inflated at a time."""
PROBED = 64 * 1024
"""Deflated bytes that are compared before a method is believed; rebuilding the wheel proves it, or asks for a closer look."""
USUAL_FIRST = (MEMORY_8 + 6, *(memory + level for memory in (MEMORY_8, MEMORY_9) for level in LEVELS if (memory, level) != (MEMORY_8, 6)))
"""Level 6, memLevel 8 is what zipfile does: 99 of 100 members."""

_ENCRYPTED = 0x0001
_LOCAL_HEADER = struct.Struct("<26xHH")
"""A local file header before its name; it ends in the lengths of name and extra field (APPNOTE.TXT 4.3.7)."""
_EXECUTABLE_MAGICS = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""ELF, PE, Mach-O in 64 and 32 bits, and Mach-O for several processors."""
_X86_ELF = (b"\x03\0", b"\x3e\0")
_X86_PE = (b"PE\0\0\x4c\x01", b"PE\0\0\x64\x86")
_X86_MACH_O = b"\xcf\xfa\xed\xfe\x07\0\0\x01"
"""How they tell the processor: e_machine, and the beginnings of the two other headers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where bytes lie: a range of a file, as it is or deflated."""

    path: Path
    offset: int
    length: int
    deflated: bool = False

    def pieces(self) -> Iterator[bytes]:
        """The bytes, inflated if need be, a piece at a time. Raises zlib.error and EOFError for a stream that is not whole."""
        return self._inflated() if self.deflated else self._raw()

    def raw(self) -> Source:
        """The same range as it stands in the file."""
        return Source(path=self.path, offset=self.offset, length=self.length)

    def _raw(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            left = self.length
            while left:
                piece = file.read(min(left, PIECE))
                if not piece:
                    raise EOFError(f"{self.path} ends too early")
                left -= len(piece)
                yield piece

    def _inflated(self) -> Iterator[bytes]:
        inflator = zlib.decompressobj(-15)
        for piece in self._raw():
            data = piece
            while data:
                if inflator.eof:
                    raise EOFError("bytes follow a member's deflate stream")
                yield inflator.decompress(data, PIECE)
                data = inflator.unused_data or inflator.unconsumed_tail
        yield inflator.flush()
        if not inflator.eof:
            raise EOFError("a member's deflate stream is cut off")


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A RECORD without digests, which lies nowhere but here."""

    path: Path
    """Of the wheel."""
    data: bytes

    def pieces(self) -> Iterator[bytes]:
        """All of it at once."""
        yield self.data


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Bytes of the pool, known by their digest."""

    digest: bytes
    """SHA-256."""
    size: int
    path: str
    """The member's path in the wheel where it was found."""
    compiled: bool
    """Machine code, by its first bytes."""
    source: Source | Text
    x86: bool = False
    """Machine code for x86 processors, by its first bytes."""
    filtered: bool = False
    """It stands in the pool as the filter for such code makes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A member's data: a content, and how to make the data of it (the methods of FORMAT.md, section 6)."""

    content: Content
    method: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Anatomy:
    """A wheel taken apart. It was put together again once, and was the same."""

    wheel: Wheel
    parts: tuple[Part, ...]
    """One for each of :attr:`headers`. Of a wheel that is carried whole, its file."""
    headers: tuple[Header, ...] = ()
    comment: bytes = b""
    """Of the archive."""
    whole: bool = False
    """No skeleton makes the wheel: it is carried as it is."""

    def skeleton(self, starts: Mapping[bytes, int], filtered: Container[bytes] = ()) -> Skeleton:
        """The wheel's skeleton, where ``starts`` says by digest at which byte of the pool each content begins.

        ``filtered`` has the digests of those contents that stand there as the filter for machine code makes them.
        """
        members, end = [], 0
        for part in self.parts:
            start = starts[part.content.digest] if part.content.size else end
            end = start + part.content.size
            flag = FILTERED if part.content.digest in filtered else 0
            members.append(skeleton.Member(start, part.content.size, part.method | flag))
        return Skeleton(tuple(members), self.headers, self.comment)


def take_apart(wheel: Wheel, scratch: Path, pulse: Pulse, *, thorough: bool = False) -> Anatomy:
    """The anatomy of ``wheel``. Rebuilds it in the directory ``scratch`` and compares. Raises DistributionError, OSError.

    Tries the cheapest way first: what is usual, then a look at the beginning of each deflate stream, then at all of it, then the
    file as a whole.
    ``thorough``: the digests in RECORD that follow from the other members are left out.
    """
    return next(anatomy for anatomy in _attempts(wheel, pulse, thorough=thorough) if _rebuilds(anatomy, scratch, pulse))


def content_of(source: Source, path: str, pulse: Pulse) -> Content:
    """The content that ``source`` yields, found at ``path``. Reads it once."""
    digest, size, head = hashlib.sha256(), 0, b""
    for piece in source.pieces():
        head = head or piece
        digest.update(piece)
        size += len(piece)
        pulse(0)
    compiled = head.startswith(_EXECUTABLE_MAGICS)
    return Content(digest=digest.digest(), size=size, path=path, compiled=compiled, source=source, x86=is_x86(head))


def is_x86(head: bytes) -> bool:
    """Whether a file that begins like this is machine code for x86 processors and no others."""
    if head.startswith(b"MZ"):
        start = int.from_bytes(head[60:64], "little")  # where the header is that counts
        return head[start : start + 6] in _X86_PE
    return (head[:4] == b"\x7fELF" and head[18:20] in _X86_ELF) or head[:8] == _X86_MACH_O


def whole_content(wheel: Wheel, pulse: Pulse) -> Content:
    """The wheel's file as one content. Raises DistributionError when it is not what it was."""
    content = content_of(Source(path=wheel.path, offset=0, length=wheel.path.stat().st_size), wheel.filename, pulse)
    if content.digest.hex() != wheel.sha256:
        raise _changed(wheel)
    return content


def _attempts(wheel: Wheel, pulse: Pulse, *, thorough: bool) -> Iterator[Anatomy]:
    """Ways to take the wheel apart, cheapest first; each is made only when it is asked for."""
    for probed in (0, PROBED, wheel.size):
        cut = _cut(wheel, probed, pulse)
        if cut is None:
            break
        yield _without_digests(cut) if thorough else cut
    yield Anatomy(wheel=wheel, parts=(Part(content=whole_content(wheel, pulse), method=STORED),), whole=True)


def _cut(wheel: Wheel, probed: int, pulse: Pulse) -> Anatomy | None:
    """The wheel cut at its members; None where its ZIP structure makes no sense.

    Of each member ``probed`` bytes are compared; where that is 0, the method is taken to be the usual one.
    """
    try:
        ranges = _ranges(wheel.path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
        return None
    parts, before, end = [], [], 0
    for info, start in ranges:
        before.append(_bytes(wheel.path, end, start))
        parts.append(_part(wheel.path, info, start, probed, pulse))
        end = start + info.compress_size
        pulse(info.compress_size)
    try:
        headers, comment = headers_of(before, _bytes(wheel.path, end, wheel.path.stat().st_size), [part.method for part in parts])
    except ValueError:
        return None
    return Anatomy(wheel=wheel, parts=tuple(parts), headers=headers, comment=comment)


def _without_digests(cut: Anatomy) -> Anatomy:
    """The same without the digests in RECORD that follow from the members before it."""
    digests: dict[bytes, bytes] = {}
    for number, (part, header) in enumerate(zip(cut.parts, cut.headers, strict=True)):
        if part.method == VERBATIM:
            continue
        if header.name.endswith(b".dist-info/RECORD") and part.content.size <= records.LIMIT:
            parts = (*cut.parts[:number], _cut_record(part, digests, cut.wheel), *cut.parts[number + 1 :])
            return replace(cut, parts=parts)
        digests[header.name] = part.content.digest
    return cut


def _cut_record(part: Part, digests: Mapping[bytes, bytes], wheel: Wheel) -> Part:
    text = records.cut(b"".join(part.content.source.pieces()), digests.get)
    source = Text(path=wheel.path, data=text)
    content = replace(part.content, digest=hashlib.sha256(text).digest(), source=source)
    return Part(content=content, method=part.method | WITHOUT_DIGESTS)


def _ranges(path: Path) -> list[tuple[zipfile.ZipInfo, int]]:
    """Each member with the offset of its data, in file order. Raises BadZipFile for members that overlap."""
    found, end = [], 0
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            file.seek(info.header_offset)
            name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            start = info.header_offset + _LOCAL_HEADER.size + name + extra
            if info.header_offset < end or start + info.compress_size > archive.start_dir:
                raise zipfile.BadZipFile("members overlap")
            found.append((info, start))
            end = start + info.compress_size
    return found


def _part(path: Path, info: zipfile.ZipInfo, start: int, probed: int, pulse: Pulse) -> Part:
    """One member's data as a part; its deflated bytes themselves where nothing makes them again."""
    data = Source(path=path, offset=start, length=info.compress_size)
    if info.flag_bits & _ENCRYPTED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return _verbatim(data, info, pulse)
    if info.compress_type == zipfile.ZIP_STORED:
        return Part(content=content_of(data, info.filename, pulse), method=STORED)
    with contextlib.suppress(zlib.error, EOFError):
        deflated = replace(data, deflated=True)
        content = content_of(deflated, info.filename, pulse)
        for method in USUAL_FIRST:
            if not probed or _reproduces(deflated, method, probed):
                return Part(content=content, method=method)
    return _verbatim(data, info, pulse)


def _verbatim(data: Source, info: zipfile.ZipInfo, pulse: Pulse) -> Part:
    """A member's data as it stands, which is no machine code, whatever it looks like."""
    return Part(content=replace(content_of(data, info.filename, pulse), compiled=False, x86=False), method=VERBATIM)


def _reproduces(source: Source, method: int, probed: int) -> bool:
    """Whether ``method`` makes the same deflate stream again, as far as ``probed`` bytes of it tell."""
    compared = 0
    with source.path.open("rb") as file:
        file.seek(source.offset)
        for piece in skeleton.deflate(method, source.pieces()):
            if file.read(len(piece)) != piece:
                return False
            compared += len(piece)
            if compared >= probed:
                return True
    return compared == source.length


def _rebuilds(anatomy: Anatomy, scratch: Path, pulse: Pulse) -> bool:
    """Whether the far side's code makes the wheel again from its parts, bit for bit."""
    if anatomy.whole:
        return True
    starts = _own_starts(anatomy)
    contents = {starts[part.content.digest]: part.content for part in anatomy.parts if part.content.size}

    def read(offset: int, length: int) -> Iterator[bytes]:
        for piece in contents[offset].source.pieces() if length else ():
            pulse(0)
            yield piece

    with tempfile.TemporaryFile(dir=scratch) as out:
        try:
            skeleton.rebuild(skeleton.decode(skeleton.encode(anatomy.skeleton(starts))), read, out, anatomy.wheel.size)
        except (BundleRefused, zlib.error, EOFError):
            return False
        out.seek(0)
        return hashlib.file_digest(out, "sha256").hexdigest() == anatomy.wheel.sha256


def _own_starts(anatomy: Anatomy) -> dict[bytes, int]:
    """Where the contents would begin in a pool of this wheel's own."""
    starts: dict[bytes, int] = {}
    end = 0
    for part in anatomy.parts:
        if part.content.digest not in starts:
            starts[part.content.digest] = end
            end += part.content.size
    return starts


def _changed(wheel: Wheel) -> DistributionError:
    return DistributionError(
        f"{wheel.filename} in the store is not the file that was fetched: its SHA-256 is no longer {wheel.sha256}",
        hint=f"remove {wheel.path} and run again: it will be fetched anew",
    )


def _bytes(path: Path, start: int, end: int) -> bytes:
    """The file's bytes from ``start`` to ``end``."""
    return b"".join(Source(path=path, offset=start, length=end - start).pieces())
