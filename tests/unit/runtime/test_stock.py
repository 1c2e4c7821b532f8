"""The stock gives any part of what it holds, in memory or in a file, and nothing else."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from wheelhouse_builder.runtime import stock
from wheelhouse_builder.runtime.cores import Stopped, in_threads
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.payload import Place
from wheelhouse_builder.runtime.skeleton import STORED, Member, Skeleton
from wheelhouse_builder.runtime.stock import Stock

PLACES = (Place("pool/0000", 0, 4), Place("pool/0001", 4, 0), Place("pool/0002", 4, 6))


def held(folder: Path) -> Stock:
    made = Stock(PLACES, str(folder))
    made.add("pool/0000", iter([b"ab", b"cd"]))
    made.add("pool/0001", iter([]))
    made.add("pool/0002", iter([b"efghij"]))
    return made


@pytest.mark.parametrize("room", [0, 4, 100])
def test_parts_within_and_across_entries_in_memory_and_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(stock, "HELD", room)
    made = held(tmp_path)
    assert [bytes(made.view(*part)) for part in ((0, 4), (1, 2), (4, 6), (3, 3), (0, 10), (7, 0))] == [
        b"abcd", b"bc", b"efghij", b"def", b"abcdefghij", b""
    ]  # fmt: skip
    assert len(list(tmp_path.iterdir())) == {0: 2, 4: 1, 100: 0}[room]
    made.keep(())
    with pytest.raises(BundleRefused, match="was not read"):
        made.view(0, 1)


@pytest.mark.parametrize("part", [(9, 2), (10, 1), (-1, 2), (100, 1)])
def test_what_lies_outside_is_refused(tmp_path: Path, part: tuple[int, int]) -> None:
    with pytest.raises(BundleRefused, match="after the end of the pool"):
        held(tmp_path).view(*part)


def test_what_is_dropped_is_not_there_and_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "HELD", 6)
    made = held(tmp_path)
    made.drop("pool/0000")
    with pytest.raises(BundleRefused, match="was not read"):
        made.view(0, 1)
    made.drop("pool/0002")
    made.add("pool/0002", iter([b"123456"]))
    assert bytes(made.view(5, 2)) == b"23"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_skeleton_touches(tmp_path: Path) -> None:
    def touched(*members: tuple[int, int]) -> set[str]:
        return held(tmp_path).touched(Skeleton(tuple(Member(start, length, STORED) for start, length in members), ()))

    assert touched((0, 4), (2, 1)) == {"pool/0000"}
    assert touched((3, 2)) == {"pool/0000", "pool/0002"}
    assert touched((9, 0)) == set()


def test_the_first_failure_is_raised_and_the_others_are_stopped() -> None:
    stop = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            raise ValueError("zero")
        if stop.wait(10):
            raise Stopped

    with pytest.raises(ValueError, match="zero"):
        in_threads(work, range(5), stop)
