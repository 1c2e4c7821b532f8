"""Volumes: cut, carried, lost, found, joined."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import OURS, draft, with_members, write_trust
from wheelhouse_builder.errors import AlreadyThere, BundleRefused, EnvironmentFailure, UsageError
from wheelhouse_builder.pack.volumes import MEDIA, Split, join, parse_size, split
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.runtime.bundle import VerifiedBundle, open_bundle, verify
from wheelhouse_builder.runtime.layout import CHUNK_SIZE
from wheelhouse_builder.runtime.policy import Trust, read_trust
from wheelhouse_builder.runtime.source import File
from wheelhouse_builder.runtime.volumes import HEADER, Header, VolumeSet, decode_header, open_source

SIZE = 120_000
DATA, RECOVERY = 5, 2


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundle")
    path = directory / "acme.whb"
    path.write_bytes(draft(directory, bulk=500_000).signed(OURS))
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("other")
    path = directory / "other.whb"
    path.write_bytes(draft(directory, bulk=500_001).signed(OURS))
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "volumes").mkdir()
    return tmp_path / "volumes"


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return read_trust(str(write_trust(tmp_path_factory.mktemp("trust"), OURS)))


def cut(bundle: Path, place: Path, *, recovery: int = 0, size: int = SIZE) -> Split:
    return split(bundle, size, place, recovery=recovery, reporter=Silent())


def check(trust: Trust, path: Path, *others: Path) -> VerifiedBundle:
    with verify(str(path), trust, volumes=[str(each) for each in others]) as verified:
        return verified


def refused(trust: Trust, path: Path, *others: Path) -> str:
    with pytest.raises(BundleRefused) as caught:
        check(trust, path, *others)
    assert caught.value.hint
    return "\n".join(caught.value.problems)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


# Cutting


def test_volumes_are_no_larger_than_asked_and_hold_the_bundle(bundle: Path, place: Path) -> None:
    made = cut(bundle, place)
    assert [path.name for path in made.volumes] == [f"acme.whb.v{number:02}of{DATA:02}" for number in range(1, DATA + 1)]
    assert max(path.stat().st_size for path in made.volumes) == made.largest <= SIZE
    assert b"".join(path.read_bytes()[HEADER.size :] for path in made.volumes) == bundle.read_bytes()
    assert names(place) == [path.name for path in made.volumes]


def test_one_volume_is_enough_for_a_small_bundle(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place, size=10**9, recovery=1)
    assert len(made.volumes) == 1
    check(trust, made.volumes[0])
    made.volumes[0].unlink()
    check(trust, made.recovery[0])


def test_the_same_cut_makes_the_same_bytes(bundle: Path, place: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, second = cut(bundle, place, recovery=2), cut(bundle, tmp_path / "again", recovery=2)
    assert [path.read_bytes() for path in first.recovery] == [path.read_bytes() for path in second.recovery]


@pytest.mark.parametrize("size", range(40_000, 60_000, 3_333))
def test_the_last_volume_holds_the_whole_control_part(tmp_path: Path, place: Path, size: int, trust: Trust) -> None:
    control = {"__main__.py": b"#" * 30_000, "wheelhouse_runtime/__init__.py": b""}
    made = with_members(draft(tmp_path, bulk=100_000), control)
    path = tmp_path / "acme.whb"
    path.write_bytes(made.signed(OURS))
    done = cut(path, place, size=size)
    assert done.volumes[-1].stat().st_size - HEADER.size >= path.stat().st_size - len(made.payload)
    assert done.largest <= size
    check(trust, place)


def test_volumes_too_small_for_the_control_part_are_refused(bundle: Path, place: Path) -> None:
    with pytest.raises(UsageError, match="too small") as caught:
        cut(bundle, place, size=1000)
    assert "needs" in caught.value.hint
    assert not names(place)


def test_too_many_volumes_are_refused(bundle: Path, place: Path) -> None:
    with pytest.raises(UsageError, match="too many"):
        cut(bundle, place, recovery=251)


def test_what_is_there_is_not_overwritten(bundle: Path, place: Path) -> None:
    (place / "acme.whb.v02of05").write_text("mine")
    with pytest.raises(AlreadyThere, match="v02of05"):
        cut(bundle, place)
    assert names(place) == ["acme.whb.v02of05"]


def test_a_volume_is_not_cut_again(bundle: Path, place: Path, tmp_path: Path) -> None:
    made = cut(bundle, place)
    with pytest.raises(BundleRefused, match="is a volume"):
        cut(made.volumes[0], tmp_path)


@pytest.mark.parametrize(
    ("text", "size"),
    [("650M", 650_000_000), ("4G", 4 * 10**9), ("4Gi", 4 << 30), ("4GiB", 4 << 30), ("100", 100), ("7kB", 7000), ("DVD", MEDIA["dvd"])],
)
def test_sizes_are_read_as_media_are_sold(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "G", "4.5G", "-1", "4X", "4 G", "1" * 40])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no size"):
        parse_size(text)


# Reading as they lie


@pytest.mark.parametrize("number", range(DATA))
def test_any_volume_leads_to_the_others_beside_it(bundle: Path, place: Path, trust: Trust, number: int) -> None:
    made = cut(bundle, place)
    verified = check(trust, made.volumes[number])
    assert verified.digest == made.digest
    assert verified.size == bundle.stat().st_size


def test_a_directory_of_volumes_is_enough(bundle: Path, place: Path, trust: Trust) -> None:
    cut(bundle, place)
    (place / "README").write_text("not a volume")
    (place / "subdirectory").mkdir()
    check(trust, place)


def test_names_order_and_places_mean_nothing(bundle: Path, place: Path, tmp_path: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    places = []
    for number, path in enumerate(reversed(made.volumes)):
        places.append(tmp_path / f"medium {number}")
        places[-1].mkdir()
        path.rename(places[-1] / f"{number}.bin")
    check(trust, places[2] / "2.bin", places[4], places[0] / "0.bin", places[1], places[3])


def test_a_volume_that_is_there_twice_is_one(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    shutil.copy(made.volumes[2], place / "copy")
    check(trust, made.volumes[0], made.volumes[0], place, place)


def test_each_volume_is_opened_once_and_never_for_writing(bundle: Path, place: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cut(bundle, place, recovery=1)
    made.volumes[1].unlink()
    opened: list[tuple[str, int]] = []
    real = os.open

    def listening(path: str, flags: int, *more: int) -> int:
        opened.append((Path(path).name, flags))
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", listening)
    check(trust, made.volumes[0], place)
    assert sorted(name for name, _ in opened) == names(place)
    assert all(flags & os.O_ACCMODE == os.O_RDONLY for _, flags in opened)


def test_media_are_left_as_they_were(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place, recovery=1)
    made.volumes[1].unlink()
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in place.iterdir()}
    place.chmod(0o500)
    check(trust, place)
    place.chmod(0o700)
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in place.iterdir()} == before


def test_inspect_reads_volumes_too(bundle: Path, place: Path) -> None:
    cut(bundle, place)
    assert open_bundle(str(place)).digest == open_bundle(str(bundle)).digest


# Without recovery: what is wrong is named


@pytest.mark.parametrize("number", range(DATA))
def test_each_missing_volume_is_named(bundle: Path, place: Path, trust: Trust, number: int) -> None:
    made = cut(bundle, place)
    made.volumes[number].unlink()
    assert refused(trust, place) == f"Volume {number + 1} of {DATA} is missing."


def test_all_missing_volumes_are_named_at_once(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    made.volumes[1].unlink()
    made.volumes[3].unlink()
    assert refused(trust, place) == "Volume 2 of 5 is missing.\nVolume 4 of 5 is missing."


def test_a_foreign_volume_that_was_named_is_refused(bundle: Path, other: Path, place: Path, tmp_path: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    (tmp_path / "other").mkdir()
    foreign = cut(other, tmp_path / "other")
    said = refused(trust, made.volumes[0], foreign.volumes[1])
    assert f"{foreign.volumes[1]} is volume 2 of 5 of another bundle, sha256:{foreign.digest}" in said


def test_foreign_volumes_beside_are_no_hindrance_and_are_told_when_one_is_missing(
    bundle: Path, other: Path, place: Path, trust: Trust
) -> None:
    made = cut(bundle, place)
    foreign = cut(other, place)
    check(trust, made.volumes[0])
    made.volumes[1].unlink()
    said = refused(trust, made.volumes[0])
    assert "Volume 2 of 5 is missing." in said
    assert f"{foreign.volumes[1]} is volume 2 of 5 of another bundle" in said
    assert "another bundle" in refused(trust, place)


def test_the_same_bundle_cut_in_another_way_is_foreign(bundle: Path, place: Path, tmp_path: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    (tmp_path / "other").mkdir()
    foreign = cut(bundle, tmp_path / "other", size=SIZE - 1000)
    assert "cut or packed in another way" in refused(trust, made.volumes[0], foreign.volumes[0])


def test_a_double_with_other_contents_is_refused(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    data = made.volumes[1].read_bytes()
    header = decode_header(data[: HEADER.size])
    assert header is not None
    forged = header._replace(data_sha256=hashlib.sha256(b"evil").digest())
    (place / "double").write_bytes(forged.encode() + data[HEADER.size :])
    said = refused(trust, made.volumes[0])
    assert "both say that they are volume 2 of 5, and have different contents" in said
    assert "double" in said


def test_a_truncated_volume_is_named(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    os.truncate(made.volumes[2], 5000)
    said = refused(trust, place)
    assert "Volume 3 of 5 is missing." in said
    assert f"{made.volumes[2]} is volume 3 of 5 and is cut off: it has 5000 bytes of" in said


def test_a_volume_with_something_behind_is_named(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    with made.volumes[2].open("ab") as file:
        file.write(b"more")
    assert "is too long" in refused(trust, place)


def test_a_zero_filled_volume_is_named(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    made.volumes[2].write_bytes(bytes(made.volumes[2].stat().st_size))
    said = refused(trust, place)
    assert said == f"Volume 3 of 5 is missing.\n{made.volumes[2]} is no volume of a bundle."


@pytest.mark.parametrize("at", [*range(8), 16, 17, 18, 20, 22, 24, 31, 32, 40, 48, 80, 112, 144, 175])
def test_no_flip_of_a_header_is_overlooked(bundle: Path, place: Path, trust: Trust, at: int) -> None:
    made = cut(bundle, place)
    flip(made.volumes[1], at)
    assert "Volume 2 of 5 is missing." in refused(trust, place)


def test_a_flip_in_the_data_is_found_in_its_volume(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    flip(made.volumes[0], 100_000)
    assert f"({made.volumes[0]}, byte" in refused(trust, place)


def test_data_zeroed_by_a_bad_copy_is_refused(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    data = made.volumes[3].read_bytes()
    made.volumes[3].write_bytes(data[: HEADER.size] + bytes(len(data) - HEADER.size))
    assert "not what was signed" in refused(trust, place)


def test_a_header_that_names_another_bundle_than_it_holds_is_refused(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    for path in made.volumes:
        data = path.read_bytes()
        header = decode_header(data[: HEADER.size])
        assert header is not None
        path.write_bytes(header._replace(digest=bytes(32)).encode() + data[HEADER.size :])
    assert "the volumes say that they hold sha256:0000" in refused(trust, place)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 0},
        {"number": 6},
        {"volumes": 0},
        {"volumes": 4},
        {"volumes": 1000},
        {"recovery": 251},
        {"size": 2**63},
        {"size": 0},
        {"slice": 0},
        {"slice": 2**63},
        {"tail": 0},
        {"tail": 2**63},
    ],
)
def test_an_impossible_header_is_refused(bundle: Path, place: Path, trust: Trust, change: dict[str, Any]) -> None:
    made = cut(bundle, place)
    data = made.volumes[1].read_bytes()
    header = decode_header(data[: HEADER.size])
    assert header is not None
    made.volumes[1].write_bytes(header._replace(**change).encode() + data[HEADER.size :])
    assert "its header contradicts itself" in refused(trust, place)


def test_a_whole_bundle_has_no_volumes(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    assert "holds no volume" in refused(trust, bundle, made.volumes[0])


def test_an_empty_directory_holds_no_bundle(tmp_path: Path, trust: Trust) -> None:
    assert "holds no volume" in refused(trust, tmp_path)


def test_a_place_that_is_not_there_is_told(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place)
    with pytest.raises(EnvironmentFailure, match="nowhere"):
        check(trust, made.volumes[0], place / "nowhere")


# With recovery: any two may be lost


@pytest.mark.parametrize("lost", [*combinations(range(DATA), 1), *combinations(range(DATA), 2)])
def test_any_volumes_up_to_as_many_as_recover_may_be_lost(bundle: Path, place: Path, trust: Trust, lost: tuple[int, ...]) -> None:
    made = cut(bundle, place, recovery=RECOVERY)
    for number in lost:
        made.volumes[number].unlink()
    verified = check(trust, place)
    assert isinstance(verified.file, VolumeSet)
    assert verified.file.lost == [number + 1 for number in lost]


def spoilt(path: Path) -> None:
    flip(path, HEADER.size + 700)


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def without_its_data(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: HEADER.size] + bytes(len(data) - HEADER.size))


def halved(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def with_another_header(path: Path) -> None:
    flip(path, 20)


@pytest.mark.parametrize("damage", [spoilt, zeroed, without_its_data, halved, with_another_header])
@pytest.mark.parametrize("pair", [(0, 1), (3, 4), (2, 5), (4, 6), (5, 6)])
def test_damaged_volumes_are_replaced_like_lost_ones(
    bundle: Path, place: Path, trust: Trust, damage: Callable[[Path], None], pair: tuple[int, int]
) -> None:
    made = cut(bundle, place, recovery=RECOVERY)
    for number in pair:
        damage((*made.volumes, *made.recovery)[number])
    check(trust, place)


def test_one_lost_and_one_damaged_is_two(bundle: Path, place: Path, trust: Trust) -> None:
    made = cut(bundle, place, recovery=RECOVERY)
    made.volumes[0].unlink()
    spoilt(made.volumes[1])
    check(trust, place)
    made.recovery[0].unlink()
    said = refused(trust, place)
    assert "Volume 1 of 5 is missing." in said
    assert f"{made.volumes[1]} is volume 2 of 5 and is damaged." in said
    assert "2 data volumes are lost, and 1 of 2 recovery volumes are there." in said


def test_a_volume_that_cannot_be_read_is_replaced(bundle: Path, place: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cut(bundle, place, recovery=1)
    real = File.read

    def unreadable(self: File, offset: int, length: int) -> bytes:
        if self.path == str(made.volumes[2]) and offset >= HEADER.size:
            raise EnvironmentFailure(f"Cannot read {self.path}: Input/output error.")
        return real(self, offset, length)

    monkeypatch.setattr(File, "read", unreadable)
    check(trust, place)


def test_reads_anywhere_are_the_bundles_bytes(bundle: Path, place: Path) -> None:
    made = cut(bundle, place, recovery=RECOVERY)
    made.volumes[1].unlink()
    made.volumes[4].unlink()
    whole = bundle.read_bytes()
    source = open_source(str(place))
    for offset, length in [(0, len(whole)), (0, 0), (99_000, 40_000), (len(whole) - 1, 1), (len(whole) - 200_000, 200_000)]:
        assert source.read(offset, length) == whole[offset : offset + length]
    source.close()


# Joining


def test_joined_volumes_are_the_bundle(bundle: Path, place: Path, tmp_path: Path) -> None:
    made = cut(bundle, place, recovery=RECOVERY)
    made.volumes[0].unlink()
    spoilt(made.volumes[3])
    done = join(place, (), tmp_path / "joined.whb", reporter=Silent())
    assert done.path.read_bytes() == bundle.read_bytes()
    assert done.sha256 == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert done.recovered == ("volume 1 of 5", "volume 4 of 5")


def test_join_names_what_is_damaged_and_leaves_nothing(bundle: Path, place: Path, tmp_path: Path) -> None:
    made = cut(bundle, place)
    spoilt(made.volumes[3])
    with pytest.raises(BundleRefused) as caught:
        join(place, (), tmp_path / "joined.whb", reporter=Silent())
    assert f"{made.volumes[3]} is volume 4 of 5 and is damaged." in caught.value.problems
    assert names(tmp_path) == ["volumes"]


def test_there_is_nothing_to_join_in_a_whole_bundle(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to join"):
        join(bundle, (), tmp_path / "joined.whb", reporter=Silent())


def test_chunks_that_lie_in_two_volumes_are_one(tmp_path: Path, place: Path, trust: Trust) -> None:
    path = tmp_path / "large.whb"
    path.write_bytes(draft(tmp_path, bulk=CHUNK_SIZE + 100_000).signed(OURS))
    made = cut(path, place, size=900_000, recovery=1)
    made.volumes[2].unlink()
    check(trust, place)


def test_volumes_of_many_gigabytes_are_read_and_recovered(place: Path) -> None:
    """Sparse files: two volumes of 5 GiB that hold a few bytes each, and their XOR."""
    size = 5 << 30
    header = Header(1, 2, 1, 2 * size, size, size, bytes(32), bytes(32), bytes(32))
    marks = {1: b"first", 2: b"secnd", 3: bytes(one ^ other for one, other in zip(b"first", b"secnd", strict=True))}
    for number, mark in marks.items():
        with (place / str(number)).open("wb") as file:
            file.write(header._replace(number=number).encode())
            file.seek(HEADER.size + size - len(mark))
            file.write(mark)
    for _ in range(2):
        source = open_source(str(place))
        assert source.size == 10 << 30
        assert source.read(size - 5, 10) == b"first" + bytes(5)
        assert source.read(2 * size - 5, 5) == b"secnd"
        source.close()
        (place / "2").unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    before = len(names(Path("/proc/self/fd")))
    yield
    assert len(names(Path("/proc/self/fd"))) <= before
