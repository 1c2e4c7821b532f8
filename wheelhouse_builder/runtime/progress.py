"""Progress of long work, as the reader tells it. The connected side's Reporter fits :class:`Progress`, so its progress bars do too."""

import contextlib
import threading
import time
from typing import TYPE_CHECKING, ContextManager, Dict, Iterator, Optional, TextIO

if TYPE_CHECKING:
    from typing import Protocol
else:  # Python 3.6 and 3.7 have none, and nothing asks for it at run time
    Protocol = object

_BETWEEN_DRAWINGS = 0.1
"""Seconds."""


class Step(Protocol):
    """One piece of long work."""

    def advance(self, amount: int = 1) -> None:
        """Tell that ``amount`` more of the total is done. May be called from any thread."""


class Progress(Protocol):
    """Someone to tell of long work."""

    def step(self, what: str, *, total: Optional[int] = None, unit: str = "") -> ContextManager[Step]:
        """Begin long work ``what`` ("decompressing"), of ``total`` (None: not known) of ``unit`` ("B")."""


class NoProgress(Progress):
    """Tells nobody."""

    def step(self, what: str, *, total: Optional[int] = None, unit: str = "") -> ContextManager[Step]:  # noqa: ARG002 - nobody listens
        """See :class:`Progress`."""
        return _SilentStep()


class TerminalProgress(Progress):
    """Draws one line on a terminal and takes it away when the work ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def step(self, what: str, *, total: Optional[int] = None, unit: str = "") -> ContextManager[Step]:  # noqa: ARG002 - per cent only
        """See :class:`Progress`."""
        return _DrawnStep(self._stream, what, total)


class TimedProgress(Progress):
    """Passes on to another, and notes how long each step took."""

    def __init__(self, told: Progress) -> None:
        self._told = told
        self.seconds: Dict[str, float] = {}
        """By what was done."""

    def step(self, what: str, *, total: Optional[int] = None, unit: str = "") -> ContextManager[Step]:
        """See :class:`Progress`."""
        return self._timed(what, self._told.step(what, total=total, unit=unit))

    @contextlib.contextmanager
    def _timed(self, what: str, step: ContextManager[Step]) -> Iterator[Step]:
        began = time.monotonic()
        try:
            with step as entered:
                yield entered
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.monotonic() - began


class _SilentStep(Step):
    def advance(self, amount: int = 1) -> None:
        """See :class:`Step`."""

    def __enter__(self) -> Step:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _DrawnStep(Step):
    def __init__(self, stream: TextIO, what: str, total: Optional[int]) -> None:
        self._stream = stream
        self._what = what
        self._total = total
        self._done = 0
        self._drawn = 0.0
        self._lock = threading.Lock()

    def advance(self, amount: int = 1) -> None:
        """See :class:`Step`."""
        with self._lock:
            self._done += amount
            if time.monotonic() - self._drawn >= _BETWEEN_DRAWINGS:
                self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        share = " %3d %%" % min(100, 100 * self._done // self._total) if self._total else ""
        self._write("\r\x1b[K%s%s" % (self._what, share))

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def __enter__(self) -> Step:
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self._write("\r\x1b[K")
