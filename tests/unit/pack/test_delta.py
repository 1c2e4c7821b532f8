"""Deltas: what the base holds stays behind, what comes out is the same bit for bit, and nothing else will do as a base."""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.bundles import FOREIGN, OURS, write_trust
from tests.support.contents import held, make_lock
from tests.support.wheels import make_wheel
from wheelhouse_builder.errors import BundleRefused, EnvironmentFailure, SignatureRefused, UsageError
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.pack import Contents, Packed, pack, read_base
from wheelhouse_builder.pack.volumes import split
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.runtime.bases import Bases
from wheelhouse_builder.runtime.bundle import open_bundle, verify
from wheelhouse_builder.runtime.commands import run_inspect, run_verify
from wheelhouse_builder.runtime.fingerprint import zlib_is_stock
from wheelhouse_builder.runtime.policy import read_trust
from wheelhouse_builder.runtime.report import render
from wheelhouse_builder.runtime.unpack import unpack

TARGET = "cp312-manylinux_2_28_x86_64"
STAYS = random.Random(1).randbytes(200_000)
CHANGES = {month: random.Random(f"changes {month}").randbytes(30_000) for month in (9, 10, 11, 12)}
SETTLED = random.Random(2).randbytes(100_000)


@dataclass(frozen=True, kw_only=True)
class Months:
    """A bundle for each month: ``core`` has a new version each time, of which a large file stays; ``steady`` never changes."""

    directory: Path

    def wheel(self, project: str, version: str, files: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> Wheel:
        return held(make_wheel(self.directory / "store", project, version, files=files, compression=compression))

    def wheels(self, month: int) -> list[Wheel]:
        core: dict[str, str | bytes] = {"core/stays.so": b"\x7fELF" + STAYS, "core/changes.py": CHANGES[month].hex()}
        return [
            self.wheel("core", f"1.{month}", core),
            self.wheel("packed", f"2.{month}", {"packed/data.bin": STAYS[:50_000], "packed/now.txt": str(month)}, zipfile.ZIP_STORED),
            self.wheel("steady", "1.0", {"steady/data.bin": SETTLED}),
        ]

    def contents(self, month: int) -> Contents:
        wheels, pip = self.wheels(month), held(make_wheel(self.directory / "store", "pip", "26.3"))
        lock = make_lock(TARGET, wheels, [pip])
        return Contents.gather(
            name="acme", version=f"2026.{month}", locks=[lock], wheels={wheel.filename: wheel for wheel in (*wheels, pip)}
        )

    def whole(self, month: int, *, plain: bool = False) -> Path:
        path = self.directory / f"{month}{'-plain' if plain else ''}.whb"
        if not path.exists():
            pack(self.contents(month), path, signers=[OURS], plain=plain, effort="fast")
        return path

    def delta(self, month: int, base: Path, *, plain: bool = False, name: str = "delta.whb") -> Path:
        self.packed(month, base, plain=plain, name=name)
        return self.directory / name

    def packed(self, month: int, base: Path, *, plain: bool = False, name: str = "delta.whb") -> Packed:
        found = read_base(base)
        older = {wheel.filename: wheel for number in CHANGES for wheel in self.wheels(number)}
        changed = {each.filename: older[each.filename] for each in found.changed(self.contents(month))}
        found = replace(found, wheels=changed)
        return pack(self.contents(month), self.directory / name, signers=[OURS], plain=plain, base=found, effort="fast")

    @property
    def trust(self) -> str:
        return str(write_trust(self.directory, OURS))

    def unpacked(self, path: Path, *bases: Path, name: str = "unpacked") -> Path:
        store = read_trust(self.trust)
        with verify(str(path), store, payload=False) as bundle:
            held_ = Bases([str(base) for base in bases], store)
            try:
                unpack(bundle, str(self.directory / name), bundle.manifest.targets, bases=held_)
            finally:
                held_.close()
        return self.directory / name

    def holds(self, directory: Path, month: int) -> None:
        """Assert that the wheels of ``month`` are there, bit for bit."""
        wanted = {wheel.filename: wheel.sha256 for wheel in self.contents(month).wheels.values()}
        assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (directory / "wheels").iterdir()} == wanted

    def refused(self, path: Path, *bases: Path) -> str:
        with pytest.raises(BundleRefused) as caught:
            self.unpacked(path, *bases)
        assert caught.value.hint
        assert not (self.directory / "unpacked").exists()
        return "\n".join(caught.value.problems)


@pytest.fixture
def months(tmp_path: Path) -> Months:
    return Months(directory=tmp_path)


# What travels


@pytest.mark.parametrize("plain", [False, True])
def test_what_the_base_holds_does_not_travel(months: Months, plain: bool) -> None:
    whole, delta = months.whole(10, plain=plain), months.delta(10, months.whole(9, plain=plain), plain=plain)
    manifest = open_bundle(str(delta)).manifest
    assert manifest.base is not None
    assert manifest.base.taken == ("pip-26.3-py3-none-any.whl", "steady-1.0-py3-none-any.whl")
    entries = {Path(entry.path).name for frame in manifest.frames for entry in frame.entries}
    assert not entries & set(manifest.base.taken)
    assert delta.stat().st_size < whole.stat().st_size - len(SETTLED)


def test_members_that_did_not_change_do_not_travel(months: Months) -> None:
    delta = open_bundle(str(months.delta(10, months.whole(9)))).manifest
    assert delta.base is not None
    assert [each.filename for each in delta.base.pool] == ["core-1.9-py3-none-any.whl", "packed-2.9-py3-none-any.whl"]
    assert delta.payload_size < 60_000


def test_a_delta_is_the_same_bundle_by_another_way(months: Months) -> None:
    assert months.packed(10, months.whole(9)).digest == open_bundle(str(months.whole(10))).digest


def test_the_same_inputs_make_the_same_delta(months: Months) -> None:
    base = months.whole(9)
    assert months.delta(10, base).read_bytes() == months.delta(10, base, name="again.whb").read_bytes()


def test_a_manifest_is_as_good_a_base_as_its_bundle(months: Months) -> None:
    base = months.whole(9)
    manifest = months.directory / "manifest.json"
    manifest.write_bytes(open_bundle(str(base)).control["manifest.json"])
    assert months.delta(10, base).read_bytes() == months.delta(10, manifest, name="again.whb").read_bytes()


def test_a_delta_may_go_back_in_time(months: Months) -> None:
    delta = months.delta(9, months.whole(10))
    months.holds(months.unpacked(delta, months.whole(10)), 9)


def test_a_base_that_is_not_there_is_told(months: Months) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        read_base(months.directory / "nowhere.whb")


def test_a_base_that_is_no_document_of_ours_is_told_by_its_name(months: Months) -> None:
    (months.directory / "odd.json").write_text("{ nonsense")
    with pytest.raises(BundleRefused, match=r"odd\.json: ") as caught:
        read_base(months.directory / "odd.json")
    assert "wheelhouse request" in caught.value.hint


# What comes out


@pytest.mark.parametrize("plain_base", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_wheels_are_the_same_bit_for_bit(months: Months, plain: bool, plain_base: bool) -> None:
    base = months.whole(9, plain=plain_base)
    months.holds(months.unpacked(months.delta(10, base, plain=plain), base), 10)


def test_a_directory_of_wheels_is_a_base(months: Months) -> None:
    base = months.whole(9)
    unpacked = months.unpacked(base, name="base")
    delta = months.delta(10, base)
    months.holds(months.unpacked(delta, unpacked, name="one"), 10)
    months.holds(months.unpacked(delta, unpacked / "wheels", name="two"), 10)


def test_bases_may_lie_in_several_places(months: Months) -> None:
    base = months.whole(9)
    unpacked = months.unpacked(base, name="base")
    (unpacked / "wheels/core-1.9-py3-none-any.whl").unlink()
    months.holds(months.unpacked(months.delta(10, base), unpacked, base), 10)


def test_volumes_are_a_base_and_may_be_a_delta(months: Months) -> None:
    base = months.whole(9)
    delta = months.delta(10, base)
    for path, size in ((base, 700_000), (delta, 600_000)):
        (months.directory / f"{path.stem}-volumes").mkdir()
        split(path, size, months.directory / f"{path.stem}-volumes", recovery=0, reporter=Silent())
    months.holds(months.unpacked(months.directory / "delta-volumes", months.directory / "9-volumes"), 10)


def chain(months: Months) -> Sequence[Path]:
    """September whole, then deltas, each on the one before."""
    first = months.whole(9)
    second = months.delta(10, first, name="second.whb")
    third = months.delta(11, second, name="third.whb")
    return first, second, third, months.delta(12, third, name="fourth.whb")


def test_the_base_of_a_base_is_found(months: Months) -> None:
    first, second, third, fourth = chain(months)
    months.holds(months.unpacked(third, second, first, name="three"), 11)
    months.holds(months.unpacked(fourth, first, second, third, name="four"), 12)


def test_a_delta_fits_on_its_base_whichever_way_that_came(months: Months) -> None:
    _, second, third, _ = chain(months)
    months.holds(months.unpacked(third, months.whole(10), name="whole"), 11)
    months.holds(months.unpacked(third, months.unpacked(second, months.whole(9), name="before"), name="unpacked"), 11)


def test_a_chain_with_a_hole_is_refused_with_what_is_missing(months: Months) -> None:
    first, second, third, fourth = chain(months)
    said = months.refused(fourth, third, first)
    assert f"acme 2026.11 is a delta: it needs its base, acme 2026.10, sha256:{open_bundle(str(second)).digest}." in said
    assert f"{first} is another: acme 2026.9" in said


def test_deltas_of_each_other_end(months: Months) -> None:
    first = months.delta(10, months.whole(9), name="first.whb")
    second = months.delta(9, months.whole(10), name="second.whb")
    assert "deltas of each other" in months.refused(first, second, first)


# What is refused


def test_without_a_base_a_delta_is_refused(months: Months) -> None:
    base = months.whole(9)
    said = months.refused(months.delta(10, base))
    assert said == f"acme 2026.10 is a delta: it needs its base, acme 2026.9, sha256:{open_bundle(str(base)).digest}."


def test_another_base_is_named(months: Months) -> None:
    delta, other = months.delta(10, months.whole(9)), months.whole(11)
    assert f"{other} is another: acme 2026.11, sha256:{open_bundle(str(other)).digest}." in months.refused(delta, other)


def test_a_directory_that_lacks_a_wheel_is_told(months: Months) -> None:
    base = months.whole(9)
    unpacked = months.unpacked(base, name="base")
    (unpacked / "wheels/steady-1.0-py3-none-any.whl").unlink()
    assert f"{unpacked} does not hold steady-1.0-py3-none-any.whl." in months.refused(months.delta(10, base), unpacked)


@pytest.mark.parametrize("name", ["steady-1.0-py3-none-any.whl", "core-1.9-py3-none-any.whl"])
def test_a_wheel_that_is_not_the_right_one_is_refused(months: Months, name: str) -> None:
    base = months.whole(9)
    path = months.unpacked(base, name="base") / "wheels" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert f"{name} in the base is not the wheel that the delta needs" in months.refused(months.delta(10, base), path.parent)


def test_a_flipped_base_is_refused(months: Months) -> None:
    base = months.whole(9)
    delta = months.delta(10, base)
    data = bytearray(base.read_bytes())
    data[5000] ^= 1
    base.write_bytes(data)
    assert "are not what was signed" in months.refused(delta, base)


def test_a_base_that_nobody_trusted_signed_is_refused(months: Months) -> None:
    base = months.directory / "foreign.whb"
    pack(months.contents(9), base, signers=[FOREIGN], effort="fast")
    with pytest.raises(SignatureRefused):
        months.unpacked(months.delta(10, base), base)


# What is told


def test_verify_needs_no_base_and_says_which_one_it_will_be(months: Months) -> None:
    base = months.whole(9)
    report = run_verify(str(months.delta(10, base)), months.trust, state=str(months.directory / "state"))
    assert [each["number"] for each in report["checks"]] == [1, 2, 3, 4, 5, 6]
    assert report["bundle"]["base"] == {
        "name": "acme",
        "version": "2026.9",
        "digest": "sha256:" + open_bundle(str(base)).digest,
        "distributions": 2,
    }
    assert "brings 2 distributions; needs acme 2026.9" in render(report)


def test_deep_verification_needs_the_base(months: Months) -> None:
    base = months.whole(9)
    delta, state = str(months.delta(10, base)), str(months.directory / "state")
    with pytest.raises(BundleRefused, match="is a delta"):
        run_verify(delta, months.trust, state=state, deep=True)
    assert len(run_verify(delta, months.trust, state=state, bases=[str(base)], deep=True)["checks"]) == 8


def test_inspect_shows_what_is_new(months: Months) -> None:
    report = run_inspect(str(months.delta(10, months.whole(9))))
    assert {each["project"] for each in report["distributions"] if not each["from_base"]} == {"core", "packed"}
    lines = render(report).splitlines()
    assert [line.split("-")[0].strip() for line in lines if line.endswith("  new")] == ["core", "packed"]
    assert json.dumps(report)


# A zlib that makes other bytes


@pytest.fixture
def foreign_zlib(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Call it, and another level stands in for another zlib: both give a true deflate stream of other bytes."""
    whole = zlib.compressobj

    def begin() -> None:
        monkeypatch.setattr("wheelhouse_builder.runtime.skeleton.zlib.compressobj", lambda *_: whole(9, zlib.DEFLATED, -15, 1))
        zlib_is_stock.cache_clear()

    yield begin
    monkeypatch.undo()
    zlib_is_stock.cache_clear()


def test_where_the_base_cannot_be_rebuilt_the_way_out_is_named(months: Months, foreign_zlib: Callable[[], None]) -> None:
    base = months.whole(9)
    delta = months.delta(10, base)
    foreign_zlib()
    with pytest.raises(EnvironmentFailure, match=r"(core-1\.9|steady-1\.0).* cannot be rebuilt here") as caught:
        months.unpacked(delta, base)
    assert "directory" in caught.value.hint
    assert "--exact" not in caught.value.hint
    assert not (months.directory / "unpacked").exists()


def test_from_a_directory_with_the_base_s_wheels_the_content_comes_out_there_too(months: Months, foreign_zlib: Callable[[], None]) -> None:
    delta = months.delta(10, months.whole(9))
    foreign_zlib()
    found = {path.name: path for path in (months.unpacked(delta, months.directory / "store") / "wheels").iterdir()}
    for filename, wheel in months.contents(10).wheels.items():
        with zipfile.ZipFile(found[filename]) as ours, zipfile.ZipFile(wheel.path) as theirs:
            assert {name: ours.read(name) for name in ours.namelist()} == {name: theirs.read(name) for name in theirs.namelist()}
    assert found["core-1.10-py3-none-any.whl"].read_bytes() != months.contents(10).wheels["core-1.10-py3-none-any.whl"].path.read_bytes()
