"""Unpacking writes what was signed, all of it or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.handmade import bundle_for, dense
from tests.support.wheels import make_wheel, wheel_members, write_zip
from wheelhouse_builder.runtime import unpack as unpack_module
from wheelhouse_builder.runtime.commands import run_unpack, run_verify
from wheelhouse_builder.runtime.errors import AlreadyThere, BundleRefused, EnvironmentFailure
from wheelhouse_builder.runtime.fingerprint import zlib_is_stock
from wheelhouse_builder.runtime.host import this_host
from wheelhouse_builder.runtime.leftovers import lock_beside, mark_of
from wheelhouse_builder.runtime.locking import alone
from wheelhouse_builder.runtime.progress import NoProgress, Step
from wheelhouse_builder.runtime.report import render

MODES = ["plain", "dense"]


class Home:
    """A directory with wheels, a trust file, and bundles of them for this host."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.wheels = [
            make_wheel(directory / "made", "demo", "1.0", requires=["other"], files={"demo/__init__.py": "import other\n" * 9000}),
            make_wheel(directory / "made", "other", "1.2", compression=zipfile.ZIP_STORED),
        ]
        self.pip = make_wheel(directory / "made", "pip", "26.3")
        self.trust = str(write_trust(directory, OURS))
        self.out = directory / "out"

    def bundle(self, mode: str, wrong: dict[str, bytes] | None = None) -> str:
        path = self.directory / f"acme-{mode}.whb"
        path.write_bytes(bundle_for(this_host(), self.wheels, self.pip, mode=mode, wrong=wrong).signed(OURS))
        return str(path)

    def names(self) -> set[str]:
        """What lies in the directory: nothing private may stay."""
        return {path.name for path in self.directory.iterdir()} - {"made", "allowed_signers", "acme-plain.whb", "acme-dense.whb"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize("mode", MODES)
def test_wheels_and_locks_are_those_that_were_packed(home: Home, mode: str) -> None:
    report = run_unpack(home.bundle(mode), str(home.out), home.trust)
    [target] = report["targets"]
    found = {str(path.relative_to(home.out)): path for path in home.out.rglob("*") if path.is_file()}
    wheels = [*home.wheels, home.pip]
    assert set(found) == {
        "README.txt", f"targets/{target}/pylock.toml", f"targets/{target}/requirements.txt", *(f"wheels/{wheel.name}" for wheel in wheels)
    }  # fmt: skip
    assert all(found[f"wheels/{wheel.name}"].read_bytes() == wheel.read_bytes() for wheel in wheels)
    assert report["wheels"] == {"count": 3, "size": sum(wheel.stat().st_size for wheel in wheels)}
    assert home.names() == {"out"}


@pytest.mark.parametrize("mode", MODES)
def test_files_are_for_all_to_read_and_for_their_owner_to_write(home: Home, mode: str) -> None:
    before = os.umask(0o022)
    try:
        run_unpack(home.bundle(mode), str(home.out), home.trust)
    finally:
        os.umask(before)
    modes = {oct(path.stat().st_mode & 0o7777) for path in home.out.rglob("*") if path.is_file()}
    assert modes == {"0o644"}
    assert {oct(path.stat().st_mode & 0o7777) for path in [home.out, *home.out.rglob("*")] if path.is_dir()} == {"0o755"}


def test_an_empty_directory_is_filled(home: Home) -> None:
    home.out.mkdir()
    run_unpack(home.bundle("plain"), str(home.out), home.trust)
    assert (home.out / "README.txt").is_file()


def test_what_a_killed_run_left_is_taken_away_and_told_and_what_others_left_is_not(home: Home) -> None:
    ours, anothers = (home.directory / f".wheelhouse-{mark_of(name)}left" for name in ("out", "other"))
    for left in (ours, anothers):
        (left / "tree").mkdir(mode=0o700, parents=True)
        left.chmod(0o700)
    report = run_unpack(home.bundle("dense"), str(home.out), home.trust)
    assert report["repaired"] == [f"{ours} was taken away: an earlier run was killed and left it."]
    assert f"repaired\n  {ours} was" in render(report)
    assert home.names() == {"out", anothers.name}


def test_two_at_once_take_turns(home: Home) -> None:
    bundle, ended = home.bundle("dense"), []

    def second() -> None:
        try:
            run_unpack(bundle, str(home.out), home.trust)
        except AlreadyThere as refusal:
            ended.append(refusal)

    with alone(lock_beside(str(home.directory), mark_of("out")), NoProgress()):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        assert not home.out.exists()
        home.out.mkdir()
        (home.out / "of the first").touch()
    thread.join()
    assert len(ended) == 1
    assert home.names() == {"out"}


@pytest.mark.parametrize("there", ["file", "full", "link"])
def test_what_is_there_stays(home: Home, there: str) -> None:
    if there == "file":
        home.out.write_text("mine")
    elif there == "full":
        home.out.mkdir()
        (home.out / "mine").touch()
    else:
        (home.directory / "made" / "mine").touch()
        home.out.symlink_to(home.directory / "made")
    with pytest.raises(AlreadyThere):
        run_unpack(home.bundle("plain"), str(home.out), home.trust)
    assert home.names() == {"out"}
    assert not (home.out / "README.txt").exists()


def test_a_parent_that_is_not_there_is_named(home: Home) -> None:
    with pytest.raises(EnvironmentFailure, match="nowhere is no directory"):
        run_unpack(home.bundle("plain"), str(home.directory / "nowhere" / "out"), home.trust)


def test_a_wheel_with_other_bytes_is_refused_and_all_such_are_named(home: Home) -> None:
    wrong = {f"wheels/{wheel.name}": wheel.read_bytes()[:-1] + b"\1" for wheel in home.wheels}
    with pytest.raises(BundleRefused) as refusal:
        run_unpack(home.bundle("plain", wrong), str(home.out), home.trust)
    assert [problem.partition(":")[0] for problem in refusal.value.problems] == [wheel.name for wheel in home.wheels]
    assert home.names() == set()


def test_a_pool_with_other_bytes_is_refused(home: Home) -> None:
    pool = dict(dense({wheel.name: wheel.read_bytes() for wheel in [*home.wheels, home.pip]}))["pool/0000"]
    with pytest.raises(BundleRefused, match=r"demo-1\.0"):
        run_unpack(home.bundle("dense", {"pool/0000": pool.replace(b"import", b"export", 1)}), str(home.out), home.trust)
    assert home.names() == set()


def test_a_readme_with_other_bytes_is_refused(home: Home) -> None:
    with pytest.raises(BundleRefused, match=r"README\.txt"):
        run_unpack(home.bundle("plain", {"README.txt": b"How to lose this file\n"}), str(home.out), home.trust)
    assert home.names() == set()


def test_a_malformed_skeleton_is_refused(home: Home) -> None:
    name = f"skeletons/{home.wheels[0].name}"
    skeleton = dict(dense({wheel.name: wheel.read_bytes() for wheel in [*home.wheels, home.pip]}))[name]
    for wrong in (b"", b"WHSK\2", skeleton[:-1], skeleton + b"\0", skeleton[:5] + b"\2" + skeleton[6:]):
        with pytest.raises(BundleRefused):
            run_unpack(home.bundle("dense", {name: wrong}), str(home.out), home.trust)
        assert home.names() == set()


@pytest.mark.parametrize("mode", MODES)
def test_a_wheel_that_was_signed_but_breaks_the_specification_is_refused(home: Home, mode: str) -> None:
    members = wheel_members("demo", "1.0")
    members["demo/smuggled.py"] = b"not in RECORD\n"
    write_zip(home.wheels[0], members)
    bundle = home.bundle(mode)
    assert run_verify(bundle, home.trust)["verified"]
    with pytest.raises(BundleRefused, match=r"smuggled\.py"):
        run_verify(bundle, home.trust, deep=True)
    with pytest.raises(BundleRefused, match=r"smuggled\.py"):
        run_unpack(bundle, str(home.out), home.trust)
    assert home.names() == set()


@pytest.mark.parametrize("mode", MODES)
def test_a_deep_verification_passes_what_can_be_unpacked_and_leaves_nothing(home: Home, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = home.directory / "made" / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    report = run_verify(home.bundle(mode), home.trust, deep=True)
    assert [check["number"] for check in report["checks"]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(scratch.iterdir()) == []


def test_a_foreign_zlib_is_named_with_the_way_out(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another level stands in for another zlib: both give a true deflate stream of other bytes."""
    bundles = [home.bundle(mode) for mode in ("dense", "plain")]
    whole = zlib.compressobj

    def other(level: int, method: int, window: int, memory: int) -> object:
        return whole(9 if level == 6 else level, method, window, 1 if memory == 8 else memory)

    monkeypatch.setattr("wheelhouse_builder.runtime.skeleton.zlib.compressobj", other)
    zlib_is_stock.cache_clear()
    assert not zlib_is_stock()
    with pytest.raises(EnvironmentFailure, match="not stock zlib") as refusal:
        run_unpack(bundles[0], str(home.out), home.trust, exact=True)
    assert "--plain" in refusal.value.hint
    assert "another Python" not in str(refusal.value)
    assert home.names() == set()
    with pytest.raises(EnvironmentFailure, match="not stock zlib"):
        run_verify(bundles[0], home.trust, deep=True)
    assert run_unpack(bundles[1], str(home.out), home.trust)["wheels"]["count"] == 3
    zlib_is_stock.cache_clear()


def test_this_zlib_is_stock() -> None:
    assert zlib_is_stock()


class Interrupting:
    """Progress during which the user presses Ctrl-C."""

    def __init__(self, what: str) -> None:
        self.what = what

    @contextlib.contextmanager
    def step(self, what: str, *, total: int | None = None, unit: str = "") -> Iterator[Step]:
        assert total is None or unit == "B"
        yield _Pressed() if what == self.what else _Ignored()


class _Ignored:
    def advance(self, amount: int = 1) -> None:
        assert amount >= 0


class _Pressed:
    def advance(self, amount: int = 1) -> None:
        assert amount >= 0
        raise KeyboardInterrupt


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", ["decompressing", "rebuilding wheels"])
def test_an_interrupt_leaves_nothing(home: Home, mode: str, what: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_unpack(home.bundle(mode), str(home.out), home.trust, progress=Interrupting(what))
    assert home.names() == set()


def test_a_disk_that_is_too_small_is_noticed_before_it_is_full(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small:
        free = 100

    monkeypatch.setattr("shutil.disk_usage", lambda _: Small)
    with pytest.raises(EnvironmentFailure, match="this needs 1 MiB and 0 MiB are free"):
        run_unpack(home.bundle("dense"), str(home.out), home.trust)
    assert home.names() == set()


@pytest.mark.parametrize("mode", MODES)
def test_a_full_disk_leaves_nothing_but_a_sentence(home: Home, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Callable[..., object]:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(unpack_module, "sync_tree", full)
    with pytest.raises(EnvironmentFailure, match="No space left") as failure:
        run_unpack(home.bundle(mode), str(home.out), home.trust)
    assert "free some space" in failure.value.hint
    assert home.names() == set()


def test_the_report_names_signer_digest_and_checks(home: Home) -> None:
    bundle = home.bundle("plain")
    report = run_unpack(bundle, str(home.out), home.trust)
    assert report["verified"] is True
    assert report["signers"][0]["principal"] == "packer@example.org"
    assert report["bundle"]["size"] == Path(bundle).stat().st_size
    assert len(report["bundle"]["digest"]) == len("sha256:") + hashlib.sha256().digest_size * 2
    assert [check["number"] for check in report["checks"]] == list(range(1, 10))
