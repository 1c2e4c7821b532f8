"""Streams: the data of members, and how zlib makes it again.

Trying that takes most of the time of taking wheels apart, so a deflate stream that stands in many wheels is looked at once.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from wheelhouse_builder.pack.crew import Pulse
from wheelhouse_builder.runtime import skeleton
from wheelhouse_builder.runtime.skeleton import LEVELS, MEMORY_8, MEMORY_9, STORED, VERBATIM

PIECE = 256 * 1024
"""Bytes read or inflated at a time."""
TRIED = 32 * 1024
"""The same where a few are usually enough."""
USUAL = MEMORY_8 + 6
"""What zipfile does: 99 of 100 members."""
OTHERS = tuple(memory + level for memory in (MEMORY_8, MEMORY_9) for level in LEVELS if memory + level != USUAL)

_ENCRYPTED = 0x0001
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

    def pieces(self, size: int = PIECE) -> Iterator[bytes]:
        """The bytes, inflated if need be, ``size`` at a time. Raises zlib.error and EOFError for a stream that is not whole."""
        return self._inflated(size) if self.deflated else self._raw(size)

    def _raw(self, size: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            left = self.length
            while left:
                piece = file.read(min(left, size))
                if not piece:
                    raise EOFError(f"{self.path} ends too early")
                left -= len(piece)
                yield piece

    def _inflated(self, size: int) -> Iterator[bytes]:
        inflator = zlib.decompressobj(-15)
        for piece in self._raw(size):
            data = piece
            while data:
                if inflator.eof:
                    raise EOFError("bytes follow a member's deflate stream")
                yield inflator.decompress(data, size)
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
class Data:
    """A member's data."""

    source: Source
    compression: int
    """The ZIP archive's number for it."""
    flags: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """What is known of a member's data: what it holds, and how it is made again of that."""

    method: int
    """One of FORMAT.md, section 6. VERBATIM: it cannot be made again, so the rest is told of the data itself."""
    digest: bytes
    """SHA-256 of the content."""
    size: int
    crc: int
    compiled: bool
    """Machine code, by its first bytes."""
    x86: bool
    """The same for x86 processors."""

    def holds(self, size: int, crc: int) -> bool:
        """Whether the content is as a header says; what a verbatim stream holds follows from nothing else."""
        return self.method == VERBATIM or (self.size, self.crc) == (size, crc)


@dataclass(frozen=True, kw_only=True, slots=True)
class Streams:
    """Deflate streams that were looked at, by digest and length; threads share it."""

    _known: dict[tuple[bytes, int], Stream | Future[Stream]] = field(default_factory=dict)

    def of(self, members: Sequence[Data], pulse: Pulse) -> Sequence[Stream]:
        """What is to be known of ``members``. What another thread is looking at is waited for at the end."""
        found = []
        for member in members:
            found.append(self._deflated(member.source, pulse) if _is_deflated(member) else _as_it_is(member, pulse))
            pulse(member.source.length)
        return [each if isinstance(each, Stream) else each.result() for each in found]

    def _deflated(self, data: Source, pulse: Pulse) -> Stream | Future[Stream]:
        as_it_is = looked_at(data, VERBATIM, pulse)
        key = as_it_is.digest, data.length
        if (held := self._known.get(key)) is not None:
            return held
        ours: Future[Stream] = Future()
        held = self._known.setdefault(key, ours)  # somebody may have been faster
        if held is not ours:
            return held
        try:
            ours.set_result(_made_again(data, pulse) or as_it_is)
        except BaseException as error:
            ours.set_exception(error)
            raise
        self._known[key] = ours.result()
        return ours.result()


def looked_at(source: Source, method: int, pulse: Pulse) -> Stream:
    """What ``source`` yields, by ``method``. Reads it once."""
    reading = _Reading(source, pulse)
    reading.finish()
    return reading.stream(method)


def is_x86(head: bytes) -> bool:
    """Whether a file that begins like this is machine code for x86 processors and no others."""
    if head.startswith(b"MZ"):
        start = int.from_bytes(head[60:64], "little")  # where the header is that counts
        return head[start : start + 6] in _X86_PE
    return (head[:4] == b"\x7fELF" and head[18:20] in _X86_ELF) or head[:8] == _X86_MACH_O


class _Reading:
    """Pieces of a source that are measured while they pass."""

    def __init__(self, source: Source, pulse: Pulse) -> None:
        self._pieces = source.pieces()
        self._pulse = pulse
        self._digest = hashlib.sha256()
        self._size = 0
        self._crc = 0
        self._head = b""

    def pieces(self) -> Iterator[bytes]:
        """Those that nobody has had yet."""
        for piece in self._pieces:
            self._head = self._head or piece
            self._digest.update(piece)
            self._crc = zlib.crc32(piece, self._crc)
            self._size += len(piece)
            self._pulse(0)
            yield piece

    def finish(self) -> None:
        """Read what is left."""
        for _ in self.pieces():
            pass

    def stream(self, method: int) -> Stream:
        """What was read, which is made into a member's data by ``method``; a deflate stream is no machine code, whatever it looks like."""
        code = method != VERBATIM and self._head.startswith(_EXECUTABLE_MAGICS)
        x86 = method != VERBATIM and is_x86(self._head)
        return Stream(method=method, digest=self._digest.digest(), size=self._size, crc=self._crc, compiled=code, x86=x86)


def _is_deflated(member: Data) -> bool:
    return member.compression == zipfile.ZIP_DEFLATED and not member.flags & _ENCRYPTED


def _as_it_is(member: Data, pulse: Pulse) -> Stream:
    stored = member.compression == zipfile.ZIP_STORED and not member.flags & _ENCRYPTED
    return looked_at(member.source, STORED if stored else VERBATIM, pulse)


def _made_again(data: Source, pulse: Pulse) -> Stream | None:
    """What the deflate stream holds, and the method that makes it again; None: there is none."""
    deflated = replace(data, deflated=True)
    reading = _Reading(deflated, pulse)
    try:
        usual = _makes(USUAL, reading.pieces(), data)
        reading.finish()
    except (zlib.error, EOFError):
        return None
    if usual:
        return reading.stream(USUAL)
    return next((reading.stream(method) for method in OTHERS if _makes(method, deflated.pieces(TRIED), data)), None)


def _makes(method: int, pieces: Iterator[bytes], data: Source) -> bool:
    """Whether ``method`` makes just ``data`` of ``pieces``; ends at the first byte that differs."""
    compared = 0
    with data.path.open("rb") as file:
        file.seek(data.offset)
        for piece in skeleton.deflate(method, pieces):
            if file.read(len(piece)) != piece:
                return False
            compared += len(piece)
    return compared == data.length
