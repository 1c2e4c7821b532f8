"""The stock: entries of the pool, each held as long as somebody needs it, so that any part can be looked at without copying it."""

import bisect
import contextlib
import mmap
import os
import threading
from typing import Container, Dict, Iterable, List, Sequence, Set, Union

from .errors import BundleRefused
from .payload import Place
from .skeleton import Skeleton

HELD = 256 << 20
"""Bytes that are held in memory at most; an entry for which there is no room lies in a private file."""


class Stock:
    """Entries that were added and not yet dropped. Several threads may use it."""

    def __init__(self, places: Sequence[Place], folder: str) -> None:
        self._places = {place.path: place for place in places}
        self._order = [place for place in places if place.size]
        self._starts = [place.start for place in self._order]
        self._folder = folder
        self._lock = threading.Lock()
        self._room = HELD
        self._held: Dict[str, memoryview] = {}
        self._backing: Dict[str, Union[bytearray, mmap.mmap]] = {}

    def touched(self, skeleton: Skeleton) -> Set[str]:
        """The entries to which ``skeleton`` refers. Raises BundleRefused when it refers to none that there is."""
        return {place.path for member in skeleton.members for place in self._touched(member.start, member.length)}

    def add(self, path: str, contents: Iterable[bytes]) -> None:
        """Hold the entry ``path``."""
        size = self._places[path].size
        with self._lock:
            in_memory = size <= self._room
            self._room -= size if in_memory else 0
        backing = bytearray(size) if in_memory or not size else self._mapped(path, size)
        at = 0
        for piece in contents:
            backing[at : at + len(piece)] = piece
            at += len(piece)
        self._backing[path] = backing
        self._held[path] = memoryview(backing)

    def size_of(self, paths: Iterable[str]) -> int:
        """Bytes of the entries ``paths``."""
        return sum(self._places[path].size for path in paths)

    def drop(self, path: str) -> None:
        """Hold the entry ``path`` no longer."""
        with self._lock:
            view, backing = self._held.pop(path, None), self._backing.pop(path, None)
            if isinstance(backing, bytearray):
                self._room += len(backing)
        if view is not None:
            with contextlib.suppress(BufferError):  # somebody who failed still looks at it
                view.release()
                if isinstance(backing, mmap.mmap):
                    backing.close()

    def keep(self, paths: Container[str]) -> None:
        """Hold nothing but the entries ``paths``."""
        for path in [path for path in self._held if path not in paths]:
            self.drop(path)

    def view(self, start: int, length: int) -> memoryview:
        """The pool's bytes from ``start`` on, ``length`` of them. Raises BundleRefused when they are not held."""
        parts: List[memoryview] = []
        for place in self._touched(start, length):
            held = self._held.get(place.path)
            if held is None:
                raise BundleRefused("A skeleton refers to %s, which was not read." % place.path)
            parts.append(held[max(start - place.start, 0) : start + length - place.start])
        return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))

    def _touched(self, start: int, length: int) -> Sequence[Place]:
        """The entries that the range overlaps."""
        if not length:
            return ()
        first = bisect.bisect_right(self._starts, start) - 1
        if first >= 0 and start + length <= self._starts[first] + self._order[first].size:  # as nearly always
            return self._order[first : first + 1]
        last = bisect.bisect_left(self._starts, start + length, max(first, 0))
        found = self._order[max(first, 0) : last]
        if first < 0 or not found or start + length > found[-1].start + found[-1].size:
            raise BundleRefused(
                "A skeleton refers to bytes after the end of the pool.", hint="The bundle was packed wrongly: ask its sender for another."
            )
        return found

    def _mapped(self, path: str, size: int) -> mmap.mmap:
        """A private file of ``size`` bytes, as memory."""
        with open(os.path.join(self._folder, path.replace("/", "-")), "x+b") as file:
            file.truncate(size)
            return mmap.mmap(file.fileno(), size)
