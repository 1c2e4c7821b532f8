"""Members: taking a wheel apart into contents and headers, such that it can be put together again bit for bit.

For each deflated member the packer looks for the way in which zlib makes the same bytes again; where there is none, the deflated
bytes themselves are the content (streams.py). Headers are made by the code that will do it on the far side, and so is the data; both
are compared with what stands in the file, byte by byte. What cannot be made again is carried whole.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wheelhouse_builder.errors import BundleRefused, DistributionError
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.pack.crew import Pulse
from wheelhouse_builder.pack.headers import headers_of
from wheelhouse_builder.pack.remembered import Memory
from wheelhouse_builder.pack.streams import Data, Source, Stream, Streams, Text, looked_at
from wheelhouse_builder.runtime import records, skeleton
from wheelhouse_builder.runtime.headers import Facts, Header, directory, local_header
from wheelhouse_builder.runtime.skeleton import FILTERED, STORED, VERBATIM, WITHOUT_DIGESTS, Skeleton

_LOCAL_HEADER = struct.Struct("<26xHH")
"""A local file header before its name; it ends in the lengths of name and extra field (APPNOTE.TXT 4.3.7)."""


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
    """A wheel taken apart. Of its parts and headers the far side makes the same file: each byte was compared."""

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


class Shared:
    """Parts and headers that several wheels have, as those of one release for several targets do: each is held once."""

    def __init__(self) -> None:
        self._parts: dict[tuple[bytes, str, bool, int], Part] = {}
        self._headers: dict[Header, Header] = {}

    def of(self, anatomy: Anatomy) -> Anatomy:
        """The same, made of what is held already. Of two alike parts it does not matter which is held: the bytes are the same."""
        parts = tuple(self._parts.setdefault(_alike(part), part) for part in anatomy.parts)
        headers = tuple(self._headers.setdefault(header, header) for header in anatomy.headers)
        return replace(anatomy, parts=parts, headers=headers)


def _alike(part: Part) -> tuple[bytes, str, bool, int]:
    return part.content.digest, part.content.path, part.content.x86, part.method


def take_apart(
    wheel: Wheel, pulse: Pulse, known: Streams | None = None, memory: Memory | None = None, *, thorough: bool = False
) -> Anatomy:
    """The anatomy of ``wheel``. Raises DistributionError, EnvironmentFailure, OSError.

    A deflate stream of ``known`` is not looked at again, nor is a wheel of ``memory``, and both learn.
    ``thorough``: the digests in RECORD that follow from the other members are left out.
    """
    whole = whole_content(wheel, pulse)
    cut = _cut(wheel, known or Streams(), memory, pulse)
    if cut is None or not _can_be_told(cut):
        return Anatomy(wheel=wheel, parts=(Part(content=whole, method=STORED),), whole=True)
    return _without_digests(cut) if thorough else cut


def whole_content(wheel: Wheel, pulse: Pulse) -> Content:
    """The wheel's file as one content. Raises DistributionError when it is not what it was."""
    source = Source(path=wheel.path, offset=0, length=wheel.path.stat().st_size)
    content = _content(looked_at(source, STORED, pulse), source, wheel.filename)
    if content.digest.hex() != wheel.sha256:
        raise _changed(wheel)
    return content


def _cut(wheel: Wheel, known: Streams, memory: Memory | None, pulse: Pulse) -> Anatomy | None:
    """The wheel cut at its members; None where they do not make it again."""
    try:
        members = _members(wheel.path)
        headers, comment = _headers(wheel.path, members)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, BundleRefused):
        return None
    streams = _streams(wheel, members, known, memory, pulse)
    if not all(stream.holds(info.file_size, info.CRC) for (info, _), stream in zip(members, streams, strict=True)):
        return None
    parts = tuple(_part(stream, info, data) for (info, data), stream in zip(members, streams, strict=True))
    told = tuple(_told(header, info, stream) for header, (info, _), stream in zip(headers, members, streams, strict=True))
    return Anatomy(wheel=wheel, parts=parts, headers=told, comment=comment)


def _members(path: Path) -> list[tuple[zipfile.ZipInfo, Source]]:
    """Each member with where its data lies, in file order. Raises BadZipFile for members that overlap."""
    found, end = [], 0
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            file.seek(info.header_offset)
            name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            start = info.header_offset + _LOCAL_HEADER.size + name + extra
            if info.header_offset < end or start + info.compress_size > archive.start_dir:
                raise zipfile.BadZipFile("members overlap")
            found.append((info, Source(path=path, offset=start, length=info.compress_size)))
            end = start + info.compress_size
    return found


def _headers(path: Path, members: Sequence[tuple[zipfile.ZipInfo, Source]]) -> tuple[tuple[Header, ...], bytes]:
    """The headers as a skeleton tells them, and the archive's comment.

    Raises ValueError, BundleRefused where the far side would not make the same bytes of them, if the data is what they say.
    """
    before, facts, end = [], [], 0
    with path.open("rb") as file:
        for info, data in members:
            file.seek(end)
            before.append(file.read(data.offset - end))
            facts.append(Facts(info.CRC, info.compress_size, info.file_size, end))
            end = data.offset + data.length
        file.seek(end)
        rest = file.read()
    headers, comment = headers_of(before, rest)
    if list(map(local_header, headers, facts)) != before or directory(headers, facts, comment, end) != rest:
        raise ValueError("a header says more than a skeleton tells")
    return headers, comment


def _streams(
    wheel: Wheel, members: Sequence[tuple[zipfile.ZipInfo, Source]], known: Streams, memory: Memory | None, pulse: Pulse
) -> Sequence[Stream]:
    """What is to be known of each member's data."""
    if (found := memory.find(wheel) if memory else None) and len(found) == len(members):
        pulse(wheel.size)
        return found
    found = known.of([Data(source=data, compression=info.compress_type, flags=info.flag_bits) for info, data in members], pulse)
    if memory:
        memory.keep(wheel, found)
    return found


def _part(stream: Stream, info: zipfile.ZipInfo, data: Source) -> Part:
    source = replace(data, deflated=stream.method not in (STORED, VERBATIM))
    return Part(content=_content(stream, source, info.filename), method=stream.method)


def _told(header: Header, info: zipfile.ZipInfo, stream: Stream) -> Header:
    """With what does not follow from a verbatim stream."""
    return header._replace(crc=info.CRC, size=info.file_size) if stream.method == VERBATIM else header


def _content(stream: Stream, source: Source, path: str) -> Content:
    return Content(digest=stream.digest, size=stream.size, path=path, compiled=stream.compiled, source=source, x86=stream.x86)


def _can_be_told(anatomy: Anatomy) -> bool:
    """Whether the far side reads the skeleton, which has bounds."""
    told = anatomy.skeleton(_own_starts(anatomy))
    try:
        return skeleton.decode(skeleton.encode(told)) == told
    except BundleRefused:
        return False


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
    whole = b"".join(part.content.source.pieces())
    text = records.cut(whole, digests.get)
    if records.completed(text, digests.get) != whole:
        return part
    source = Text(path=wheel.path, data=text)
    content = replace(part.content, digest=hashlib.sha256(text).digest(), source=source)
    return Part(content=content, method=part.method | WITHOUT_DIGESTS)


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
