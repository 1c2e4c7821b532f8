"""Files from somewhere, brought into the store without trusting whoever sends them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

import pytest

from wheelhouse_builder.adapters import sources
from wheelhouse_builder.adapters.index import Sink
from wheelhouse_builder.adapters.sources import bring, bring_any
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import DistributionError, IndexFailure

URL = "https://files.example.org/acme-1.0.tar.gz"


@dataclass
class Sending:
    """Sends ``pieces`` of 1 MiB; None: without an end. Then it fails, if it is to."""

    pieces: int | None
    fails: bool = False

    def download(self, url: str, sink: Sink) -> None:
        for piece in repeat(bytes(1 << 20)) if self.pieces is None else repeat(bytes(1 << 20), self.pieces):
            sink.write(piece)
        if self.fails:
            raise IndexFailure(f"{url}: gone", hint="")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_what_nobody_knows_the_digest_of_is_kept_under_its_own(store: Store) -> None:
    path, sha256 = bring_any(URL, "acme-1.0.tar.gz", store=store, client=Sending(3))
    assert sha256 == hashlib.sha256(bytes(3 << 20)).hexdigest()
    assert path == store.find_sound(sha256)
    assert path.stat().st_mode & 0o777 == 0o444


def test_what_an_interruption_left_is_no_beginning_of_another_file(store: Store) -> None:
    with pytest.raises(IndexFailure, match=r"acme-1\.0"):
        bring_any(URL, "acme-1.0.tar.gz", store=store, client=Sending(2, fails=True))
    assert bring_any(URL, "acme-1.0.tar.gz", store=store, client=Sending(3))[0].stat().st_size == 3 << 20


@pytest.mark.parametrize("bring_it", [bring_any, partial(bring, sha256="0" * 64)])
def test_a_file_without_an_end_is_refused_and_nothing_of_it_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch, bring_it: Callable[..., object]
) -> None:
    monkeypatch.setattr(sources, "MOST", 5 << 20)
    with pytest.raises(DistributionError, match=r"acme-1\.0\.tar\.gz: has more than 5242880 bytes"):
        bring_it(URL, "acme-1.0.tar.gz", store=store, client=Sending(None))
    assert [path for path in store.root.rglob("*") if path.is_file()] == []
