"""Threads that work on many things at once, and stop together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from wheelhouse_builder.reporter import Step
from wheelhouse_builder.runtime.cores import cores

T = TypeVar("T")
R = TypeVar("R")

Pulse = Callable[[int], None]
"""Told of each piece of work done, in bytes; raises :class:`Stopped` when the work is no longer wanted."""


class Stopped(Exception):
    """Someone else failed or was interrupted, so this work ends too."""


class Crew:
    """A pool of threads. zlib, zstd and SHA-256 let go of the interpreter's lock, so threads use all cores.

    When the ``with`` block ends, by an error or Ctrl-C too, what waits is dropped and what runs ends at its next pulse.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._executor = ThreadPoolExecutor(threads or cores())
        self._over = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def pulse(self, step: Step) -> Pulse:
        """The pulse that advances ``step`` and stops the work when this crew does."""

        def beat(amount: int) -> None:
            if self._over.is_set():
                raise Stopped
            step.advance(amount)

        return beat

    def each(self, work: Callable[[T], R], items: Sequence[T], *, weight: Callable[[T], int]) -> Iterator[R]:
        """The results of ``work`` on ``items``, in their order; the heaviest items are begun first, so that no core waits at the end."""
        heaviest_first = sorted(range(len(items)), key=lambda index: -weight(items[index]))
        results = {index: self._executor.submit(work, items[index]) for index in heaviest_first}
        for index in range(len(items)):
            yield results.pop(index).result()
