"""Contents are whole and agree with their locks before anything is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.contents import OTHER_TARGET, TARGET, held, make_contents, make_lock
from tests.support.wheels import make_wheel
from wheelhouse_builder.errors import DistributionError, SpecError, UsageError
from wheelhouse_builder.pack import Contents
from wheelhouse_builder.pack.contents import EPOCH_VARIABLE


@pytest.fixture(autouse=True)
def _no_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EPOCH_VARIABLE, raising=False)


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return make_contents(tmp_path, make_wheel(tmp_path, "demo", "1.0"), targets=[OTHER_TARGET, TARGET])


def test_locks_are_sorted_by_target(contents: Contents) -> None:
    assert [lock.target.name for lock in contents.locks] == [TARGET, OTHER_TARGET]


def test_every_naming_problem_is_told_at_once(contents: Contents) -> None:
    with pytest.raises(SpecError) as caught:
        replace(contents, name="acme/web", version="con", locks=())
    assert len(caught.value.problems) == 3
    assert caught.value.hint


def test_a_target_twice_is_refused(contents: Contents) -> None:
    with pytest.raises(SpecError, match="once"):
        replace(contents, locks=(contents.locks[0], contents.locks[0]))


def test_every_wheel_that_is_missing_or_another_is_told_at_once(contents: Contents) -> None:
    demo = contents.wheels["demo-1.0-py3-none-any.whl"]
    with pytest.raises(DistributionError) as caught:
        replace(contents, wheels={demo.filename: replace(demo, sha256="0" * 64)})
    assert len(caught.value.problems) == 4
    assert any("was not fetched" in problem for problem in caught.value.problems)
    assert any("0000" in problem and "its lock says" in problem for problem in caught.value.problems)


def test_without_one_pip_nothing_could_be_installed(contents: Contents) -> None:
    with pytest.raises(DistributionError, match="one pip"):
        replace(contents, locks=(replace(contents.locks[0], bootstrap=()),))


def test_wheels_that_no_lock_names_stay_out(contents: Contents, tmp_path: Path) -> None:
    stray = held(make_wheel(tmp_path, "stray", "1.0"))
    gathered = Contents.gather(name="a", version="1", locks=contents.locks, wheels={**contents.wheels, stray.filename: stray})
    assert stray.filename not in gathered.wheels


def test_pip_is_a_bootstrap_unless_a_lock_holds_it(tmp_path: Path) -> None:
    pip = held(make_wheel(tmp_path, "pip", "26.3"))
    asks_for_pip, does_not = make_lock(TARGET, [pip], [pip]), make_lock(OTHER_TARGET, [], [pip])
    wheels = {pip.filename: pip}
    (one,) = Contents.gather(name="a", version="1", locks=[does_not], wheels=wheels).distributions()
    assert (one.bootstrap, one.targets) == (True, ())
    (both,) = Contents.gather(name="a", version="1", locks=[does_not, asks_for_pip], wheels=wheels).distributions()
    assert (both.bootstrap, both.targets) == (False, (TARGET,))


def test_the_decoder_is_no_distribution(tmp_path: Path) -> None:
    pip = held(make_wheel(tmp_path, "pip", "26.3"))
    decoder = held(make_wheel(tmp_path, "backports.zstd", "1.0", tag="cp312-cp312-manylinux_2_28_x86_64"))
    lock = make_lock(TARGET, [], [decoder, pip])
    contents = Contents.gather(name="a", version="1", locks=[lock], wheels={each.filename: each for each in (pip, decoder)})
    assert contents.decoder(contents.locks[0]) == decoder
    assert [each.wheel for each in contents.distributions()] == [pip]


def dated(tmp_path: Path, *uploads: datetime | None) -> datetime | None:
    pip = held(make_wheel(tmp_path, "pip", "26.3"))
    wheels = [held(make_wheel(tmp_path, f"demo{number}", "1.0"), uploaded=moment) for number, moment in enumerate(uploads)]
    everything = {wheel.filename: wheel for wheel in (*wheels, pip)}
    return Contents.gather(name="a", version="1", locks=[make_lock(TARGET, wheels, [pip])], wheels=everything).as_of


def test_the_date_is_the_newest_upload(tmp_path: Path) -> None:
    older, newer = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    assert dated(tmp_path, older, newer, None) == newer
    assert dated(tmp_path, None) is None


def test_source_date_epoch_dates_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EPOCH_VARIABLE, "0")
    assert dated(tmp_path, datetime(2026, 1, 1, tzinfo=UTC)) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "1e9", "9" * 30])
def test_a_source_date_epoch_that_is_no_time_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(EPOCH_VARIABLE, text)
    with pytest.raises(UsageError, match=EPOCH_VARIABLE):
        dated(tmp_path)
