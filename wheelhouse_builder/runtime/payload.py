"""The payload: the entries of its frames, and the pool that they make (FORMAT.md, section 6).

Each tar header is computed from the manifest and compared; none is ever interpreted. Contents pass in pieces.
"""

import bisect
import tempfile
import threading
from contextlib import closing
from typing import BinaryIO, Callable, Dict, Generator, Iterable, Iterator, List, NamedTuple, Sequence, Set, Tuple

from .bundle import VerifiedBundle
from .errors import BundleRefused
from .layout import BASE, DECODERS, POOL, TAR_END, tar_header, tar_padding
from .manifest import Manifest
from .skeleton import Skeleton
from .zstd import Decoder, choose_decoder

PIECE = 1024 * 1024
"""Bytes that are handled at once."""

EntryContent = Tuple[str, int, Iterator[bytes]]
"""An entry's path, its size in bytes, and its contents in pieces, to be read before the next entry is asked for."""


def decoder_for(bundle: VerifiedBundle, scratch: str) -> Decoder:
    """The best decoder that works here, proved where the bundle carries it; ``scratch`` is a private directory that stays meanwhile."""
    folder = tempfile.mkdtemp(prefix="decoder-", dir=scratch)
    return choose_decoder(bundle.control.get(DECODERS, b""), folder)


def read_entries(bundle: VerifiedBundle, frame_index: int, decoder: Decoder) -> Generator[EntryContent, None, None]:
    """Decompress one frame, entry by entry; what is left unread is skipped.

    Close it when you stop early: the decoder may be a process with a thread that feeds it.
    Raises BundleRefused when the frame does not hold exactly the entries that the manifest gives it. Only reading to the end proves that.
    """
    manifest = bundle.manifest
    frame = manifest.frames[frame_index]
    with closing(decoder.decompress(bundle.chunks(frame_index), frame.tar_size)) as tar:
        stream = _Stream(tar)
        for path, size in frame.entries:
            header = tar_header(manifest.root + path, size)
            stream.expect(header, "the header of %s" % path)
            contents = stream.pieces(size)
            yield path, size, contents
            for _ in contents:
                pass
            stream.expect(bytes(tar_padding(size)), "the padding of %s" % path)
        if frame_index == len(manifest.frames) - 1:
            stream.expect(TAR_END, "the end of the archive")
        stream.expect_end()


def frames_with(manifest: Manifest, paths: Iterable[str]) -> Tuple[int, ...]:
    """The frames, in file order, that hold at least one of the entries ``paths``."""
    wanted = set(paths)
    return tuple(index for index, frame in enumerate(manifest.frames) if any(entry.path in wanted for entry in frame.entries))


class Place(NamedTuple):
    """Where one entry of the pool lies in the pool, in bytes."""

    path: str
    start: int
    size: int


def pool_places(manifest: Manifest) -> Tuple[Place, ...]:
    """The pool's entries in order; for a delta, what it takes from wheels of its base comes first."""
    places: List[Place] = []
    start = 0
    for wheel in manifest.base.pool if manifest.base else ():
        places.append(Place(BASE + wheel.filename, start, wheel.pool_size))
        start += wheel.pool_size
    for frame in manifest.frames:
        for path, size in frame.entries:
            if path.startswith(POOL):
                places.append(Place(path, start, size))
                start += size
    return tuple(places)


class PoolSpool:
    """The part of the pool that was read, in one private file, and where each entry of it stands there."""

    def __init__(self, places: Sequence[Place], path: str) -> None:
        self.path = path
        self._places = tuple(places)
        self._starts = [place.start for place in places]
        self._sizes = {place.path: place.size for place in places}
        self._offsets: Dict[str, int] = {}
        self._size = 0
        self._lock = threading.Lock()
        with open(path, "xb"):
            pass

    def add(self, path: str, contents: Iterable[bytes]) -> None:
        """Put the entry ``path`` after those that are there. May run in several threads at once. Raises BundleRefused for another size."""
        with self._lock:
            offset, self._size = self._size, self._size + self._sizes[path]
        end = offset
        with open(self.path, "r+b") as file:
            file.seek(offset)
            for piece in contents:
                end += len(piece)
                if end > offset + self._sizes[path]:
                    break
                file.write(piece)
        if end != offset + self._sizes[path]:
            raise BundleRefused("The pool is to have %d bytes of %s, and there are others." % (self._sizes[path], path))
        self._offsets[path] = offset

    def missing(self, skeleton: Skeleton) -> Set[str]:
        """The entries that ``skeleton`` refers to and that were not added yet."""
        touched = (place for member in skeleton.members for place in self._touched(member.start, member.length))
        return {place.path for place in touched} - set(self._offsets)

    def size_of(self, paths: Iterable[str]) -> int:
        """Bytes of the entries ``paths``."""
        wanted = set(paths)
        return sum(place.size for place in self._places if place.path in wanted)

    def reader(self, spool: BinaryIO, between: Callable[[], None]) -> Callable[[int, int], Iterator[bytes]]:
        """A function that reads the pool from an offset, in pieces, calling ``between`` before each.

        ``spool`` is the file at :attr:`path`, opened for this one thread. The function
        raises BundleRefused for what lies outside the pool, or in an entry that was not added.
        """

        def read(start: int, length: int) -> Iterator[bytes]:
            for place in self._touched(start, length):
                if place.path not in self._offsets:
                    raise BundleRefused("A skeleton refers to %s, which was not read." % place.path)
                first = max(start, place.start) - place.start
                last = min(start + length, place.start + place.size) - place.start
                spool.seek(self._offsets[place.path] + first)
                yield from _read_pieces(spool, last - first, between)

        return read

    def _touched(self, start: int, length: int) -> Iterator[Place]:
        """The entries that the range overlaps."""
        if not length:
            return
        if start + length > self._pool_size():
            raise BundleRefused(
                "A skeleton refers to bytes after the end of the pool.", hint="The bundle was packed wrongly: ask its sender for another."
            )
        index = bisect.bisect_right(self._starts, start) - 1
        while index < len(self._places) and self._places[index].start < start + length:
            if self._places[index].start + self._places[index].size > start:
                yield self._places[index]
            index += 1

    def _pool_size(self) -> int:
        return self._places[-1].start + self._places[-1].size if self._places else 0


def _read_pieces(file: BinaryIO, length: int, between: Callable[[], None]) -> Iterator[bytes]:
    while length:
        between()
        piece = file.read(min(length, PIECE))
        if not piece:
            raise BundleRefused("The private copy of the pool was cut off while it was in use.")
        length -= len(piece)
        yield piece


class _Stream:
    """Pieces as one run of bytes, taken from the front."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._source = iter(pieces)
        self._piece = b""
        self._at = 0

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next ``size`` bytes, in pieces."""
        while size:
            if self._at == len(self._piece):
                self._piece, self._at = self._next(), 0
            part = self._piece[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            yield part

    def expect(self, wanted: bytes, what: str) -> None:
        """Require that the next bytes are ``wanted``."""
        if b"".join(self.pieces(len(wanted))) != wanted:
            raise BundleRefused(
                "The payload is not the archive that the manifest describes: %s differs." % what,
                hint="The signature holds, so the bundle was packed like this: ask its sender to pack it again.",
            )

    def expect_end(self) -> None:
        """Require that nothing follows; the decoder checks the frame's end on the way."""
        if self._at != len(self._piece) or any(self._source):
            raise BundleRefused("A frame of the payload holds more than the manifest says.")

    def _next(self) -> bytes:
        for piece in self._source:
            if piece:
                return piece
        raise BundleRefused("A frame of the payload ends before its last entry.")
