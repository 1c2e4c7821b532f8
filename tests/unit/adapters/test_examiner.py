"""Wheels that are large enough are looked at by a process of our own, which says the same as we would; and what becomes of it is told."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.wheels import make_wheel
from wheelhouse_builder.adapters import examiner
from wheelhouse_builder.adapters.examiner import WORTH_A_PROCESS, Examiner
from wheelhouse_builder.errors import EnvironmentFailure
from wheelhouse_builder.runtime.wheel import wheel_problems


def large_wheel(folder: Path, name: str = "demo") -> Path:
    return make_wheel(folder, name, "1.0", files={f"{name}/noise.bin": os.urandom(WORTH_A_PROCESS)})


def damaged(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return path


def processes(found: Examiner) -> list[int]:
    return [process.pid for process in found._started]


def test_it_says_what_we_would_say(tmp_path: Path) -> None:
    good, bad = large_wheel(tmp_path), damaged(large_wheel(tmp_path, "other"))
    with Examiner() as asked:
        assert asked.problems(good, good.name) == []
        with bad.open("rb") as file:
            assert asked.problems(bad, bad.name) == wheel_problems(file, bad.name) != []
        assert asked.problems(good, "other-1.0-py3-none-any.whl") != []
        (pid,) = processes(asked)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_small_wheel_is_worth_no_process(tmp_path: Path) -> None:
    small = make_wheel(tmp_path, "demo", "1.0")
    with Examiner() as asked:
        assert asked.problems(small, small.name) == []
        assert asked.problems(damaged(small), small.name) != []
        assert processes(asked) == []


def test_there_are_no_more_processes_than_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examiner, "cores", lambda: 2)
    wheels = [large_wheel(tmp_path, f"demo{number}") for number in range(6)]
    with Examiner() as asked, ThreadPoolExecutor(6) as threads:
        assert list(threads.map(lambda path: asked.problems(path, path.name), wheels)) == [[]] * 6
        assert len(processes(asked)) <= 2


def test_a_file_that_cannot_be_read_is_told_as_ever(tmp_path: Path) -> None:
    with Examiner() as asked, pytest.raises(FileNotFoundError):
        asked.problems(tmp_path / "demo-1.0-py3-none-any.whl", "demo-1.0-py3-none-any.whl")
    with Examiner() as asked, pytest.raises(IsADirectoryError):
        examiner._ask(asked._take(), tmp_path, "demo-1.0-py3-none-any.whl")


def test_a_process_that_is_killed_leaves_nothing_unsaid(tmp_path: Path) -> None:
    wheel = large_wheel(tmp_path)
    with Examiner() as asked:
        assert asked.problems(wheel, wheel.name) == []
        (pid,) = processes(asked)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EnvironmentFailure, match=r"demo-1\.0-py3-none-any\.whl: the process that looked at it ended too early"):
            asked.problems(wheel, wheel.name)
        assert asked.problems(wheel, wheel.name) == []


def test_none_is_started_after_the_end(tmp_path: Path) -> None:
    """A thread that was still fetching when the user gave up must not leave one behind."""
    wheel = large_wheel(tmp_path)
    with Examiner() as asked:
        pass
    with pytest.raises(EnvironmentFailure, match="over"):
        asked.problems(wheel, wheel.name)
    assert processes(asked) == []
