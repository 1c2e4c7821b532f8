"""How stages tell of their progress; the command line draws it, tests listen or do not."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Step(Protocol):
    """One piece of long work."""

    def advance(self, amount: int = 1) -> None:
        """Tell that ``amount`` more of the total is done. May be called from any thread."""
        ...

    def expect(self, amount: int) -> None:
        """Tell that the total is ``amount`` more than was known. May be called from any thread."""
        ...


class Reporter(Protocol):
    """Someone who listens to a run."""

    def step(self, what: str, *, total: int | None = None, unit: str = "") -> AbstractContextManager[Step]:
        """Begin long work: ``what`` ("resolving"), of ``total`` (None: not known) of ``unit`` ("B", "targets")."""
        ...

    def note(self, text: str) -> None:
        """Tell one thing worth a line."""
        ...


class _Nothing:
    def advance(self, amount: int = 1) -> None:
        """Nobody listens."""

    def expect(self, amount: int) -> None:
        """Nobody listens."""


class Silent:
    """A :class:`Reporter` that tells nobody."""

    def step(self, what: str, *, total: int | None = None, unit: str = "") -> AbstractContextManager[Step]:
        """See :class:`Reporter`."""
        return nullcontext(_Nothing())

    def note(self, text: str) -> None:
        """See :class:`Reporter`."""
