"""Source files, sdists and the like, brought into the store one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wheelhouse_builder.adapters.index import Sink
from wheelhouse_builder.adapters.store import Partial, Store
from wheelhouse_builder.errors import DistributionError, IndexFailure

MOST = 4 << 30
"""Bytes of one file: a server that sends more does not come to an end."""


class Downloads(Protocol):
    """What brings files; :class:`~wheelhouse_builder.adapters.index.IndexClient` does."""

    def download(self, url: str, sink: Sink) -> None:
        """Bring the bytes at ``url`` into ``sink``. Raises IndexFailure."""
        ...


@dataclass(kw_only=True, slots=True)
class _Arriving:
    """A :class:`Sink` that is a file of the store."""

    partial: Partial

    @property
    def size(self) -> int:
        return self.partial.size

    def expect(self, size: int) -> None:
        """The digest decides."""

    def write(self, data: bytes) -> None:
        self.partial.write(data)
        if self.size > MOST:
            self.restart()
            raise DistributionError(f"has more than {MOST} bytes")

    def restart(self) -> None:
        self.partial.restart()


def bring(url: str, filename: str, sha256: str, *, store: Store, client: Downloads) -> Path:
    """The file with this digest, from the store or from ``url``. Raises IndexFailure, DistributionError, EnvironmentFailure."""
    if (path := store.find_sound(sha256)) is not None:
        return path
    with _named(filename), store.partial(sha256) as partial:
        if (path := store.find_sound(sha256)) is not None:
            return path
        partial.restart()
        client.download(url, _Arriving(partial=partial))
        return partial.commit()


def bring_any(url: str, filename: str, *, store: Store, client: Downloads) -> tuple[Path, str]:
    """The file at ``url``, whatever it is, and its SHA-256. Raises as :func:`bring` does."""
    with _named(filename), store.partial(hashlib.sha256(url.encode()).hexdigest()) as partial:
        partial.restart()
        client.download(url, _Arriving(partial=partial))
        return partial.settle()


@contextmanager
def _named(filename: str) -> Iterator[None]:
    """Say of ``filename`` what goes wrong with it."""
    try:
        yield
    except IndexFailure as failure:
        raise IndexFailure(*(f"{filename}: {problem}" for problem in failure.problems), hint=failure.hint) from failure
    except DistributionError as error:
        problems = (f"{filename}: {problem}" for problem in error.problems)
        raise DistributionError(*problems, hint="somebody serves another file than was meant: find out why") from error
