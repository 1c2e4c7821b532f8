"""The outside of a zstd frame (RFC 8878, section 3.1.1): header, block headers and checksum, read strictly before any decoder sees a byte.

Every decoder in :mod:`zstd` is fed by this one reader, so all of them accept and refuse the same frames.
"""

from typing import Iterable, Iterator, List, NamedTuple

from .errors import BundleRefused
from .layout import MAX_WINDOW

MAGIC = b"\x28\xb5\x2f\xfd"
BLOCK_LIMIT = 1 << 17
"""Bytes that a block may stand for."""

LEAST_COMPRESSED = 2
"""Bytes of the smallest compressed block: one to say that there are no literals, one for no sequences. Not all libraries ask for it."""

RAW, RLE, COMPRESSED = 0, 1, 2

CONTENT_SIZE_BYTES = (0, 2, 4, 8)
HINT = "The file was damaged or changed: fetch it again from where it was made."


def refused(what: str) -> BundleRefused:
    """The error for a zstd frame that is not as it must be."""
    return BundleRefused("a zstd frame of the payload is refused: " + what, hint=HINT)


class Block(NamedTuple):
    """One block of a frame, still as it was written."""

    header: bytes
    kind: int
    """RAW, RLE or COMPRESSED."""
    size: int
    """Bytes that it stands for if RAW or RLE, else bytes of ``content``."""
    content: bytes


class Frame:
    """One zstd frame that stands for exactly ``size`` bytes and is all that ``chunks`` hold.

    Read once, front to back: by ``blocks()`` and then ``checksum()``, or by ``pieces()``; ``require_end()`` tells whether that happened.
    Errors: BundleRefused.
    """

    def __init__(self, chunks: Iterable[bytes], size: int) -> None:
        self._source = _Source(chunks)
        self._header = _read_header(self._source, size)
        self.window = self._header.window
        """Bytes that a match may reach back."""
        self.block_limit = min(self.window, BLOCK_LIMIT)
        """Bytes that one block may stand for."""
        self._ended = False

    def blocks(self) -> Iterator[Block]:
        """The blocks, each checked as far as its header tells."""
        last = False
        while not last:
            header = self._source.take(3)
            number = int.from_bytes(header, "little")
            last = bool(number & 1)
            kind, size = number >> 1 & 3, number >> 3
            if kind > COMPRESSED:
                raise refused("a block has the reserved type")
            if size > self.block_limit or (kind == COMPRESSED and size < LEAST_COMPRESSED):
                raise refused("a block has a size that the frame does not allow")
            yield Block(header, kind, size, self._source.take(1 if kind == RLE else size))

    def checksum(self) -> bytes:
        """The four bytes after the last block, which are the last of all."""
        found = self._source.take(4)
        if not self._source.at_end():
            raise refused("data follows its end")
        self._ended = True
        return found

    def require_end(self) -> None:
        """Refuse a frame that a decoder did not read to its end."""
        if not self._ended:
            raise refused("its decoder stopped before its end")

    def pieces(self) -> Iterator[bytes]:
        """The frame's bytes as they are, for a decoder that reads them itself."""
        yield self._header.raw
        for block in self.blocks():
            yield block.header + block.content
        yield self.checksum()


class _Source:
    """Bytes from chunks of any size, taken in exact numbers."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._position = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, all of them."""
        found = self._from_chunk(count)
        if len(found) == count:
            return found
        parts: List[bytes] = [found]
        missing = count - len(found)
        while missing:
            if self.at_end():
                raise refused("it is cut off")
            parts.append(self._from_chunk(missing))
            missing -= len(parts[-1])
        return b"".join(parts)

    def at_end(self) -> bool:
        """Whether there is nothing more to take."""
        while self._position == len(self._chunk):
            chunk = next(self._chunks, None)
            if chunk is None:
                return True
            self._chunk, self._position = chunk, 0
        return False

    def _from_chunk(self, count: int) -> bytes:
        found = self._chunk[self._position : self._position + count]
        self._position += len(found)
        return found


class _Header(NamedTuple):
    raw: bytes
    window: int


def _read_header(source: _Source, size: int) -> _Header:
    """The frame header, which must promise ``size`` bytes, a checksum, and a window within bounds."""
    magic = source.take(4)
    if magic != MAGIC:
        raise refused("it does not begin as one")
    descriptor = source.take(1)
    flags = descriptor[0]
    single_segment = bool(flags & 0x20)
    _check_flags(flags)
    window_field = b"" if single_segment else source.take(1)
    size_field = source.take(CONTENT_SIZE_BYTES[flags >> 6] or 1)
    promised = int.from_bytes(size_field, "little") + (256 if len(size_field) == 2 else 0)
    if promised != size:
        raise refused("it promises {} bytes, the manifest says {}".format(promised, size))
    window = promised if single_segment else _window(window_field[0])
    if window > MAX_WINDOW:
        raise refused("its window of {} bytes is larger than {}".format(window, MAX_WINDOW))
    return _Header(magic + descriptor + window_field + size_field, window)


def _check_flags(flags: int) -> None:
    if flags & 0x08:
        raise refused("a reserved bit of its header is set")
    if flags & 0x03:
        raise refused("it needs a dictionary")
    if not flags & 0x04:
        raise refused("it carries no checksum")
    if not flags & 0xE0:
        raise refused("it does not tell its content's size")


def _window(descriptor: int) -> int:
    base = 1 << (10 + (descriptor >> 3))
    return base + base // 8 * (descriptor & 7)
