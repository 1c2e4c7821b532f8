"""What changed between two locks, in a reviewer's words."""

from __future__ import annotations

from datetime import UTC, datetime

from packaging.pylock import Package, PackageWheel, Pylock
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelhouse_builder.model.changes import changes


def package(name: str, version: str, *, day: int | None = None, digest: str = "0") -> Package:
    uploaded = datetime(2026, 11, day, 23, 59, tzinfo=UTC) if day else None
    url = f"https://pypi.org/{name}-{version}-py3-none-any.whl"
    wheel = PackageWheel(url=url, upload_time=uploaded, hashes={"sha256": digest * 64})
    return Package(name=canonicalize_name(name), version=Version(version), wheels=[wheel])


def lock(*packages: Package) -> Pylock:
    return Pylock(lock_version=Version("1.0"), created_by="tests", packages=packages)


def test_each_kind_of_change_has_its_line_with_the_day_of_the_upload() -> None:
    old = lock(package("a", "1"), package("b", "1"), package("c", "1"), package("d", "1", day=1))
    new = lock(package("b", "2", day=3), package("c", "1"), package("d", "1", day=4, digest="1"), package("e", "1", day=5))
    found = changes(old, new)
    assert list(found.lines()) == [
        "+ e 1, uploaded 2026-11-05",
        "- a 1",
        "~ b 1 → 2, uploaded 2026-11-03",
        "! d 1: other files than before, uploaded 2026-11-04",
    ]
    assert str(found) == "1 added, 1 removed, 1 changed, 1 with other files"
    assert found.kept == 2


def test_a_first_lock_adds_everything() -> None:
    assert list(changes(None, lock(package("a", "1"))).lines()) == ["+ a 1"]


def test_equal_locks_change_nothing() -> None:
    found = changes(lock(package("a", "1", day=1)), lock(package("a", "1", day=2)))
    assert not found
    assert str(found) == "nothing changed"
