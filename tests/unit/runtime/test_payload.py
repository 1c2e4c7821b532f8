"""The payload is the archive that the manifest describes, byte for byte, or it is refused."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from tests.support.bundles import OURS, Draft, compress, draft, frame, write_trust
from wheelhouse_builder.runtime.bundle import VerifiedBundle, verify
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.payload import PIECE, Place, PoolSpool, frames_with, pool_places, read_entries
from wheelhouse_builder.runtime.policy import read_trust
from wheelhouse_builder.runtime.skeleton import STORED, Member, Skeleton
from wheelhouse_builder.runtime.zstd import Decoder, choose_decoder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return draft(tmp_path_factory.mktemp("wheels"), bulk=3 * PIECE)


@pytest.fixture
def decoder(tmp_path: Path) -> Decoder:
    return choose_decoder(b"", str(tmp_path))


def opened(directory: Path, made: Draft) -> VerifiedBundle:
    path = directory / "acme.whb"
    path.write_bytes(made.signed(OURS))
    return verify(str(path), read_trust(str(write_trust(directory, OURS))))


def repacked(made: Draft, change: Callable[[bytearray], bytes], *, number: int = 0) -> Draft:
    """The same with another tar in a frame, which the manifest still describes as it was."""
    documents = copy.deepcopy(made.document["transport"]["frames"])
    parts, at = [], 0
    for index, each in enumerate(documents):
        part = made.payload[at : at + each["size"]]
        at += each["size"]
        if index == number:
            part = compress(change(bytearray(zstandard.ZstdDecompressor().decompress(part))))
            each.update(frame([], part), entries=each["entries"])
        parts.append(part)
    made = made.changed(lambda document: document["transport"].update(frames=documents))
    return replace(made, payload=b"".join(parts))


def read_all(bundle: VerifiedBundle, decoder: Decoder) -> dict[str, bytes]:
    found = {}
    for index in range(len(bundle.manifest.frames)):
        for path, size, contents in read_entries(bundle, index, decoder):
            found[path] = b"".join(contents)
            assert len(found[path]) == size
    return found


def test_every_entry_is_read(tmp_path: Path, plain: Draft, decoder: Decoder) -> None:
    with opened(tmp_path, plain) as bundle:
        found = read_all(bundle, decoder)
    assert found["README.txt"].startswith(b"acme-web 2026.11\n")
    assert found["wheels/demo-1.0-py3-none-any.whl"].startswith(b"PK")
    assert list(found) == [entry.path for frame in bundle.manifest.frames for entry in frame.entries]


def test_what_is_not_read_is_skipped(tmp_path: Path, plain: Draft, decoder: Decoder) -> None:
    with opened(tmp_path, plain) as bundle:
        assert [path for path, _size, _contents in read_entries(bundle, 1, decoder)] == [
            "wheels/demo-1.0-py3-none-any.whl",
            "wheels/pip-26.3-py3-none-any.whl",
        ]


def test_contents_come_in_pieces(tmp_path: Path, plain: Draft, decoder: Decoder) -> None:
    with opened(tmp_path, plain) as bundle:
        entries = read_entries(bundle, 1, decoder)
        _path, size, contents = next(entries)
        assert size > 3 * PIECE
        assert all(len(piece) <= PIECE for piece in contents)


def changed_at(offset: int, value: int = 1) -> Callable[[bytearray], bytes]:
    def change(tar: bytearray) -> bytes:
        tar[offset] ^= value
        return bytes(tar)

    return change


@pytest.mark.parametrize("offset", [0, 100, 107, 124, 136, 148, 156, 257, 345, 511])
def test_a_header_that_is_not_the_computed_one_is_refused(tmp_path: Path, plain: Draft, decoder: Decoder, offset: int) -> None:
    with opened(tmp_path, repacked(plain, changed_at(offset))) as bundle, pytest.raises(BundleRefused, match=r"header of README\.txt"):
        read_all(bundle, decoder)


def test_padding_that_is_not_nul_is_refused(tmp_path: Path, plain: Draft, decoder: Decoder) -> None:
    with opened(tmp_path, repacked(plain, changed_at(1023))) as bundle, pytest.raises(BundleRefused, match=r"padding of README\.txt"):
        read_all(bundle, decoder)


def test_an_end_that_is_not_nul_is_refused(tmp_path: Path, plain: Draft, decoder: Decoder) -> None:
    with opened(tmp_path, repacked(plain, changed_at(-1), number=1)) as bundle, pytest.raises(BundleRefused, match="end of the archive"):
        read_all(bundle, decoder)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("change", [lambda tar: bytes(tar[:-512]), lambda tar: bytes(tar) + bytes(512)], ids=["shorter", "longer"])
def test_a_frame_of_another_size_is_refused(
    tmp_path: Path, plain: Draft, decoder: Decoder, number: int, change: Callable[[bytearray], bytes]
) -> None:
    with opened(tmp_path, repacked(plain, change, number=number)) as bundle, pytest.raises(BundleRefused):
        read_all(bundle, decoder)


def test_only_the_frames_that_hold_what_is_wanted_are_named(tmp_path: Path, plain: Draft) -> None:
    with opened(tmp_path, plain) as bundle:
        assert frames_with(bundle.manifest, ["README.txt"]) == (0,)
        assert frames_with(bundle.manifest, ["wheels/demo-1.0-py3-none-any.whl"]) == (1,)
        assert frames_with(bundle.manifest, []) == ()


# The pool


def nothing() -> None:
    pass


def test_the_pool_is_the_run_of_its_entries(tmp_path: Path, plain: Draft) -> None:
    (tmp_path / "dense").mkdir()
    with opened(tmp_path / "dense", draft(tmp_path / "dense", mode="dense")) as bundle:
        first, second = [entry.size for frame in bundle.manifest.frames for entry in frame.entries if entry.path.startswith("pool/")]
        assert pool_places(bundle.manifest) == (Place("pool/0000", 0, first), Place("pool/0001", first, second))
    with opened(tmp_path, plain) as bundle:
        assert pool_places(bundle.manifest) == ()


@pytest.fixture
def pool(tmp_path: Path) -> PoolSpool:
    """Entries 0, 2 and 3 of four, added out of order; 3 is empty."""
    places = [Place("pool/0000", 0, 4), Place("pool/0001", 4, 4), Place("pool/0002", 8, 4), Place("pool/0003", 12, 0)]
    spool = PoolSpool(places, str(tmp_path / "pool"))
    spool.add("pool/0002", [b"89", b"ab"])
    spool.add("pool/0000", [b"0123"])
    spool.add("pool/0003", [])
    return spool


def read(pool: PoolSpool, start: int, length: int) -> bytes:
    def pieces() -> Iterator[bytes]:
        with Path(pool.path).open("rb") as file:
            yield from pool.reader(file, nothing)(start, length)

    return b"".join(pieces())


def test_the_pool_is_read_from_where_its_entries_were_put(pool: PoolSpool) -> None:
    assert read(pool, 0, 4) == b"0123"
    assert read(pool, 1, 2) == b"12"
    assert read(pool, 8, 4) == b"89ab"
    assert read(pool, 12, 0) == b""
    pool.add("pool/0001", [b"4567"])
    assert read(pool, 0, 12) == b"0123456789ab"
    assert read(pool, 3, 6) == b"345678"


def test_entries_are_added_side_by_side(tmp_path: Path) -> None:
    places = [Place(f"pool/{number:04}", number * 5000, 5000) for number in range(8)]
    spool = PoolSpool(places, str(tmp_path / "pool"))
    together = threading.Barrier(8)

    def add(place: Place) -> None:
        together.wait()
        spool.add(place.path, (place.path[-1].encode() * 500 for _ in range(10)))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, places))
    assert read(spool, 0, 40_000) == b"".join(b"%d" % number * 5000 for number in range(8))


@pytest.mark.parametrize("contents", [b"456", b"45678"])
def test_an_entry_of_another_size_is_refused(pool: PoolSpool, contents: bytes) -> None:
    with pytest.raises(BundleRefused, match="4 bytes of pool/0001"):
        pool.add("pool/0001", [contents])
    with pytest.raises(BundleRefused, match="pool/0001"):
        read(pool, 4, 1)


def test_an_entry_that_was_not_added_is_missing_and_never_read_as_nothing(pool: PoolSpool) -> None:
    spanning = Skeleton((Member(3, 3, STORED), Member(8, 1, STORED)), ())
    assert pool.missing(spanning) == {"pool/0001"}
    assert pool.size_of({"pool/0001", "pool/0002"}) == 8
    with pytest.raises(BundleRefused, match="pool/0001"):
        read(pool, 3, 3)


@pytest.mark.parametrize(("start", "length"), [(0, 13), (12, 1), (2**62, 1)])
def test_bytes_after_the_pool_are_refused(pool: PoolSpool, start: int, length: int) -> None:
    with pytest.raises(BundleRefused, match="after the end of the pool"):
        read(pool, start, length)


def test_bytes_of_an_empty_pool_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="after the end of the pool"):
        PoolSpool([], str(tmp_path / "pool")).missing(Skeleton((Member(0, 1, STORED),), ()))
