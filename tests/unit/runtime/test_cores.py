"""Work in processes side by side: all of it comes back, and so does what goes wrong; nothing runs on."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from wheelhouse_builder.runtime import cores
from wheelhouse_builder.runtime.cores import beside, shares, side_by_side
from wheelhouse_builder.runtime.errors import BundleRefused, EnvironmentFailure

FORKS = pytest.mark.skipif(cores._may_fork() is False, reason="another thread is alive here, or this is not Linux")


def squares(numbers: list[int]) -> Iterator[tuple[int, int]]:
    for number in numbers:
        yield number * number, os.getpid()


@pytest.mark.parametrize("forks", [pytest.param(True, marks=FORKS), False])
def test_all_that_is_yielded_comes_back(monkeypatch: pytest.MonkeyPatch, *, forks: bool) -> None:
    monkeypatch.setattr(cores, "_may_fork", lambda: forks)
    found = list(side_by_side(squares, [[1, 2], [3], []]))
    assert sorted(number for number, _ in found) == [1, 4, 9]
    processes = {process for _, process in found}
    assert len(processes) == (2 if forks else 1)
    assert (os.getpid() in processes) is not forks


def test_one_share_needs_no_other_process() -> None:
    assert list(side_by_side(squares, [[1, 2]])) == [(1, os.getpid()), (4, os.getpid())]


def children() -> set[str]:
    """Of this process, those that ended and nobody asked for, too."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split())


def failing(path: Path, error: Exception | int | None) -> Iterator[int]:
    if isinstance(error, Exception):
        raise error
    if isinstance(error, int):
        os.kill(os.getpid(), error)
    time.sleep(60)
    path.write_text("it ran on")
    yield 0


@FORKS
@pytest.mark.parametrize("error", [BundleRefused("one", "two", hint="three"), OSError(errno.ENOSPC, "full", "/there"), signal.SIGKILL])
def test_what_one_raises_is_raised_and_the_others_end(tmp_path: Path, error: Exception | int) -> None:
    began, before = time.monotonic(), children()
    with pytest.raises((BundleRefused, OSError, EnvironmentFailure)) as raised:
        list(side_by_side(partial(failing, tmp_path / "file"), [None, error]))
    assert time.monotonic() - began < 50
    if isinstance(error, int):
        assert "ended from outside" in str(raised.value)
    else:
        assert (type(raised.value), vars(raised.value), raised.value.args) == (type(error), vars(error), error.args)
    assert children() <= before


@FORKS
def test_what_is_done_beside_is_done_at_the_end_and_what_it_raises_is_raised_there(tmp_path: Path) -> None:
    with beside(lambda: (tmp_path / "file").write_text("done")):
        pass
    assert (tmp_path / "file").read_text() == "done"
    reached = False
    with pytest.raises(OSError, match="full"), beside(partial(next, failing(tmp_path, OSError(errno.ENOSPC, "full")))):
        reached = True
    assert reached
    with pytest.raises(ValueError, match="own"), beside(partial(next, failing(tmp_path / "other", None))):
        raise ValueError("own")
    assert not (tmp_path / "other").exists()


def test_where_another_thread_is_alive_nothing_forks() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert cores.processes() == 1
        assert {process for _, process in side_by_side(squares, [[1], [2]])} == {os.getpid()}
    finally:
        stop.set()
        thread.join()


def test_shares_cost_about_the_same_and_small_work_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "cores", lambda: 2)
    assert shares([5, 9, 1, 4], float, 19) == [[9, 1], [5, 4]]
    assert shares([5, 9, 1, 4], float, 20) == [[9, 5, 4, 1]]
    assert shares([7], float, 0) == [[7]]
    assert shares([], float, 0) == [[]]
