"""Frames: which entry of the payload goes into which zstd frame, and the frames' bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zstandard import FLUSH_FRAME

from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.pack.crew import Pulse
from wheelhouse_builder.pack.effort import Effort
from wheelhouse_builder.pack.members import Content
from wheelhouse_builder.pack.pool import Group, size_of
from wheelhouse_builder.pack.x86 import filtered
from wheelhouse_builder.runtime.layout import TAR_END, pool_entry, tar_entry_size, tar_header, tar_padding, wheel_entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file of the payload's tar."""

    path: str
    """Below the root directory."""
    size: int
    pieces: Callable[[], Iterator[bytes]]
    """Yields the bytes, a piece at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """Entries that are compressed together."""

    root: str
    """The directory, with its slash, in which all entries lie."""
    entries: tuple[Entry, ...]
    last: bool
    """Whether the archive ends with it."""

    @property
    def tar_size(self) -> int:
        """Bytes before compression."""
        entries = sum(tar_entry_size(self.root + entry.path, entry.size) for entry in self.entries)
        return entries + (len(TAR_END) if self.last else 0)

    def pieces(self) -> Iterator[bytes]:
        """The frame's part of the tar archive."""
        for entry in self.entries:
            yield tar_header(self.root + entry.path, entry.size)
            yield from entry.pieces()
            yield bytes(tar_padding(entry.size))
        if self.last:
            yield TAR_END


def dense_frames(
    root: str,
    files: Mapping[str, bytes],
    groups: Sequence[Group],
    wheels: Sequence[Content] = (),
    more: Sequence[Mapping[str, bytes]] = (),
) -> tuple[Frame, ...]:
    """Frames of mode dense: ``files`` (skeletons among them) lead the first, then each group is one piece of the pool.

    ``wheels`` that are carried whole, and ``more``, files that not everybody reads, have frames of their own.
    """
    pieces = [(_pool_piece(number, group),) for number, group in enumerate(groups)]
    return _frames(root, files, [*pieces, *((_wheel(content),) for content in wheels), *map(_files, more)])


def plain_frames(
    root: str, files: Mapping[str, bytes], groups: Sequence[Group], more: Sequence[Mapping[str, bytes]] = ()
) -> tuple[Frame, ...]:
    """Frames of mode plain: ``files`` lead the first, then each group's contents are whole wheels; ``more`` as above."""
    return _frames(root, files, [*(tuple(_wheel(content) for content in group) for group in groups), *map(_files, more)])


def compress(frame: Frame, effort: Effort, path: Path, pulse: Pulse) -> None:
    """Write ``frame`` compressed to the new file ``path``. Raises OSError, and DistributionError when a wheel changed on the disk."""
    compressor = effort.compressor(frame.tar_size)
    with path.open("xb") as file:
        # not in a with statement: after an error its end would complain of a frame that is too short, and that would be told instead
        writer = compressor.stream_writer(file, size=frame.tar_size, closefd=False)
        for piece in frame.pieces():
            writer.write(piece)
            pulse(len(piece))
        writer.flush(FLUSH_FRAME)


def _frames(root: str, files: Mapping[str, bytes], groups: Sequence[tuple[Entry, ...]]) -> tuple[Frame, ...]:
    """``files`` and the first group in the first frame, each other group in one of its own."""
    first = _files(files)
    together = [first + groups[0], *groups[1:]] if groups else [first]
    return tuple(Frame(root=root, entries=entries, last=entries is together[-1]) for entries in together)


def _files(files: Mapping[str, bytes]) -> tuple[Entry, ...]:
    return tuple(_file(path, data) for path, data in files.items())


def _file(path: str, data: bytes) -> Entry:
    return Entry(path=path, size=len(data), pieces=lambda: iter((data,)))


def _wheel(content: Content) -> Entry:
    return Entry(path=wheel_entry(content.path), size=content.size, pieces=lambda: _checked(content))


def _pool_piece(number: int, group: Group) -> Entry:
    return Entry(path=pool_entry(number), size=size_of(group), pieces=lambda: (piece for content in group for piece in _pooled(content)))


def _pooled(content: Content) -> Iterator[bytes]:
    """The content's bytes as they stand in the pool."""
    return filtered(_checked(content)) if content.filtered else _checked(content)


def _checked(content: Content) -> Iterator[bytes]:
    """The content's bytes; once more proved to be the ones that were looked at before."""
    digest = hashlib.sha256()
    for piece in content.source.pieces():
        digest.update(piece)
        yield piece
    if digest.digest() != content.digest:
        raise DistributionError(f"{content.source.path} changed while it was packed", hint="nothing was written; run again")
