from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.index import failing
from tests.support.wheels import make_sdist, make_wheel
from tests.unit.resolve.conftest import World
from wheelhouse_builder.adapters.index import IndexClient, Patience
from wheelhouse_builder.adapters.router import Place, Several
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import IndexFailure, RehearsalError, SpecError
from wheelhouse_builder.fetch import fetch, fetch_what_is_good
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.rehearse import rehearse
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import read_lock, write_lock
from wheelhouse_builder.resolve.catalogue import lacking_lines, resolve_catalogue, without
from wheelhouse_builder.resolve.stock import nearest_release

LINUX, WINDOWS, NEWER = "cp312-manylinux_2_28_x86_64", "cp312-win_amd64", "cp314-manylinux_2_28_x86_64"
ONCE = Patience(attempts=1)


@dataclass(frozen=True)
class Catalogues:
    world: World

    def make(self, *texts: str, targets: tuple[str, ...] = (LINUX,), keep: int = 1, constraints: tuple[str, ...] = ()) -> tuple[Lock, ...]:
        """Resolve and rehearse."""
        asked = replace(self.world.requirements(*texts, constraints=constraints), keep=keep)
        store = Store(self.world.cache)
        with IndexClient(patience=ONCE) as client:
            locks = resolve_catalogue(
                asked,
                [Target.parse(target) for target in targets],
                pages=client,
                cache=self.world.cache,
                bring=lambda wheels: fetch_what_is_good(wheels, store, client=client, reporter=Silent()),
                runner=self.world.runner,
            )
            rehearse(locks, fetch([each for lock in locks for each in lock.files], store, client=client, reporter=Silent()))
        return locks

    @property
    def searches(self) -> int:
        return len(self.world.runner.commands)


@pytest.fixture
def catalogues(world: World) -> Catalogues:
    make_wheel(world.wheels, "backports.zstd", "1.0")
    return Catalogues(world)


def releases(lock: Lock) -> list[str]:
    return [f"{wheel.project} {wheel.version}" for wheel in lock.wheels]


def closures(lock: Lock) -> dict[str, list[str]]:
    assert lock.closures is not None
    return {str(each.requirement): ["-".join(name.split("-")[:2]) for name in each.wheels] for each in lock.closures}


def publish(folder: Path, *releases: str) -> None:
    """``app 1.0: lib<2, other``, each a tiny wheel."""
    for release in releases:
        name, _, requires = release.partition(": ")
        make_wheel(folder, *name.split(), requires=requires.split(", ") if requires else [])


def test_what_cannot_stand_in_one_environment_stands_on_one_shelf(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, "old-app 1.0: lib<2", "new-app 1.0: lib>=2", "lib 1.0", "lib 2.0")
    (lock,) = catalogues.make("old-app", "new-app")
    assert releases(lock) == ["lib 1.0", "lib 2.0", "new-app 1.0", "old-app 1.0"]
    assert closures(lock) == {"new-app==1.0": ["lib-2.0", "new_app-1.0"], "old-app==1.0": ["lib-1.0", "old_app-1.0"]}
    assert catalogues.searches == 0


def test_so_many_releases_of_what_is_asked_for_are_kept_and_none_of_what_only_they_need(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, *(f"app {version}.0: lib" for version in range(1, 6)), "lib 1.0", "lib 2.0")
    (lock,) = catalogues.make("app<5", keep=3)
    assert releases(lock) == ["app 2.0", "app 3.0", "app 4.0", "lib 2.0"]


def test_each_target_has_what_its_own_markers_and_tags_ask_for(catalogues: Catalogues) -> None:
    wheels = catalogues.world.wheels
    publish(wheels, "app 1.0: on-windows; sys_platform == 'win32', native", "on-windows 1.0")
    for version, tag in (
        ("1.0", "py3-none-any"),
        ("2.0", "cp312-abi3-manylinux_2_17_x86_64"),
        ("2.0", "cp312-cp312-manylinux_2_28_x86_64"),
    ):
        make_wheel(wheels, "native", version, tag=tag)
    linux, windows, newer = catalogues.make("app", targets=(LINUX, WINDOWS, NEWER))
    assert [wheel.filename for wheel in linux.wheels][1:] == ["native-2.0-cp312-cp312-manylinux_2_28_x86_64.whl"]
    assert [wheel.filename for wheel in newer.wheels][1:] == ["native-2.0-cp312-abi3-manylinux_2_17_x86_64.whl"]
    assert releases(windows) == ["app 1.0", "native 1.0", "on-windows 1.0"]
    assert [[wheel.project for wheel in lock.bootstrap] for lock in (linux, newer)] == [["backports-zstd", "pip"], ["pip"]]


def test_bounds_that_come_to_light_late_count(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, "app 1.0: a-lib, z-lib[more]", "a-lib 1.0", "a-lib 2.0: gone-in-1")
    make_wheel(catalogues.world.wheels, "z-lib", "1.0", requires=["a-lib<2; extra == 'more'"])
    publish(catalogues.world.wheels, "gone-in-1 1.0")
    (lock,) = catalogues.make("app")
    assert releases(lock) == ["a-lib 1.0", "app 1.0", "z-lib 1.0"]
    assert catalogues.searches == 0


def test_where_the_newest_releases_do_not_suit_each_other_a_resolver_searches(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, "app 1.0: one, two", "one 1.0", "one 2.0: two<2", "two 1.0: one<2", "two 2.0")
    (lock,) = catalogues.make("app")
    assert releases(lock) == ["app 1.0", "one 1.0", "two 2.0"]
    assert catalogues.searches == 1


def test_the_newest_release_that_can_be_had_stands_for_one_that_cannot(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, "app 1.0", "app 2.0: only-windows")
    make_wheel(catalogues.world.wheels, "only-windows", "1.0", tag="py3-none-win_amd64")
    linux, windows = catalogues.make("app", targets=(LINUX, WINDOWS))
    assert (releases(linux), releases(windows)) == (["app 1.0"], ["app 2.0", "only-windows 1.0"])


def test_what_cannot_be_had_is_told_and_stops_nothing(catalogues: Catalogues) -> None:
    wheels = catalogues.world.wheels
    publish(wheels, "fine 1.0", "needy 1.0: only-windows", "choosy 2.0", "choosy 3.0")
    make_wheel(wheels, "only-windows", "1.0", tag="py3-none-win_amd64")
    make_sdist(wheels, "source", "1.0")
    (lock,) = catalogues.make("fine", "needy", "only-windows", "source", "choosy<2", "nowhere")
    assert releases(lock) == ["fine 1.0"]
    assert {str(each.requirement): (each.reason, each.nearest) for each in lock.lacking} == {
        "needy": ("it needs only-windows, which has no wheel", None),
        "only-windows": ("no release has a wheel", None),
        "source": ("it publishes no wheels", None),
        "choosy<2": ("no release that is asked for has a wheel", Version("2.0")),
        "nowhere": ("no index has it", None),
    }
    assert f"choosy<2: no release that is asked for has a wheel (2.0 has one): {LINUX}" in lacking_lines([lock])


def test_a_wheel_that_is_none_is_told_with_what_is_wrong(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, "app 1.0: bad", "fine 1.0")
    broken = make_wheel(catalogues.world.wheels, "bad", "1.0", files={"bad/data.txt": b"x" * 5000})
    broken.write_bytes(broken.read_bytes().replace(b"bad/data.txt", b"bad/else.txt"))  # no longer what RECORD lists
    (lock,) = catalogues.make("app", "bad", "fine")
    assert releases(lock) == ["fine 1.0"]
    assert [str(each.requirement) for each in lock.lacking] == ["app", "bad"]
    assert all(each.reason.startswith("bad-1.0-py3-none-any.whl: ") for each in lock.lacking)


def test_without_a_wheel_goes_what_needs_it_and_what_only_that_needs(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, "app 1.0: lib", "app 2.0: bad, more", "bad 1.0", "lib 1.0", "more 1.0", "needy 1.0: bad", "fine 1.0")
    (lock,) = catalogues.make("app", "needy>=1", "fine", "nowhere", keep=2)
    assert without(lock, {}) == lock
    left = without(lock, {"bad-1.0-py3-none-any.whl": "it is bad"})
    assert releases(left) == ["app 1.0", "fine 1.0", "lib 1.0"]
    assert [str(package.name) for package in left.pylock.packages] == ["app", "fine", "lib"]
    assert closures(left) == {"app==1.0": ["app-1.0", "lib-1.0"], "fine==1.0": ["fine-1.0"]}
    assert [(str(each.requirement), each.reason) for each in left.lacking] == [("nowhere", "no index has it"), ("needy>=1", "it is bad")]


def test_pre_releases_yanked_ones_and_those_for_other_pythons_are_passed_over(catalogues: Catalogues) -> None:
    wheels = catalogues.world.wheels
    publish(wheels, "app 1.0", "app 2.0rc1", "early 1.0a1")
    make_wheel(wheels, "app", "1.5", requires_python="<3.12")
    (lock,) = catalogues.make("app", "early")
    assert releases(lock) == ["app 1.0", "early 1.0a1"]
    (lock,) = catalogues.make("app>=2.0rc1")
    assert releases(lock) == ["app 2.0rc1"]


def test_constraints_bind_every_closure(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, "app 1.0: lib", "lib 1.0", "lib 2.0", "one 1.0: two", "one 2.0: two>1", "two 1.0", "two 2.0")
    (lock,) = catalogues.make("app", "one", constraints=("lib<2", "two<2"))
    assert releases(lock) == ["app 1.0", "lib 1.0", "one 1.0", "two 1.0"]


@pytest.mark.parametrize("text", ["app @ https://example.org/app-1.0-py3-none-any.whl", "app==1.0 --hash=sha256:" + "0" * 64])
def test_one_file_is_no_wish_of_a_catalogue(catalogues: Catalogues, text: str) -> None:
    with pytest.raises(SpecError, match="names a file"):
        catalogues.make(text)


def test_nothing_is_fetched_twice(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, "app 1.0: lib", "other 1.0: lib", "lib 1.0")
    catalogues.make("app", "other", targets=(LINUX, WINDOWS, NEWER))
    assert set(Counter(request.path for request in catalogues.world.index.requests).values()) == {1}


def test_an_index_that_fails_is_not_one_that_lacks_something(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, "app 1.0: lib", "lib 1.0")
    catalogues.world.index.fault("/simple/lib/", failing(503))
    with pytest.raises(IndexFailure, match="503"):
        catalogues.make("app")


def test_a_lock_is_read_as_it_was_written(catalogues: Catalogues, tmp_path: Path) -> None:
    publish(catalogues.world.wheels, "app 1.0: lib<2", "app 2.0: lib>=2", "lib 1.0", "lib 2.0")
    (lock,) = catalogues.make("app", "nowhere", keep=2)
    path = tmp_path / "catalogue.toml"
    write_lock(lock, path)
    again = read_lock(path, lock.target)
    assert (again.wheels, again.closures, again.lacking) == (lock.wheels, lock.closures, lock.lacking)
    assert (again.inputs, again.requirements, again.bootstrap) == (lock.inputs, lock.requirements, lock.bootstrap)


@pytest.mark.parametrize(("good", "bad"), [('"app==2.0"', '"app==3.0"'), ("reason = ", "cause = ")])
def test_a_lock_that_contradicts_itself_is_none(catalogues: Catalogues, tmp_path: Path, good: str, bad: str) -> None:
    publish(catalogues.world.wheels, "app 2.0")
    (lock,) = catalogues.make("app", "nowhere")
    path = tmp_path / "catalogue.toml"
    write_lock(lock, path)
    path.write_text(path.read_text().replace(good, bad).replace('"app==3.0" = ', '"app==2.0" = '))
    with pytest.raises(SpecError, match="not a lock"):
        read_lock(path, lock.target)


def test_the_rehearsal_holds_each_closure_by_itself(catalogues: Catalogues) -> None:
    publish(catalogues.world.wheels, "app 1.0: lib<2", "lib 1.0", "lib 2.0", "other 1.0: lib")
    (lock,) = catalogues.make("app", "other")
    assert lock.closures is not None
    swapped = tuple(replace(each, wheels=tuple(name.replace("lib-1.0", "lib-2.0") for name in each.wheels)) for each in lock.closures)
    with IndexClient() as client:
        wheels = fetch(lock.files, Store(catalogues.world.cache), client=client, reporter=Silent())
    with pytest.raises(RehearsalError, match=r"app requires lib<2, but 2\.0 is there"):
        rehearse([replace(lock, closures=swapped)], wheels)


def test_the_nearest_release_is_the_newest_one_within_bounds_that_the_target_accepts(catalogues: Catalogues) -> None:
    wheels, index = catalogues.world.wheels, catalogues.world.index
    publish(wheels, "app 1.0", "app 2.0", "app 3.0rc1")
    make_wheel(wheels, "app", "4.0", tag="py3-none-win_amd64")
    make_wheel(wheels, "app", "5.0", requires_python=">=3.13")

    def nearest(bounds: str) -> str:
        with IndexClient(patience=ONCE) as client:
            places = Several(client, [Place(url=index.url)])
            found = nearest_release(
                canonicalize_name("app"), Target.parse(LINUX), SpecifierSet(bounds), pages=places, memory=catalogues.world.cache
            )
        return str(found)

    assert [nearest(""), nearest("<2"), nearest("<1")] == ["2.0", "1.0", "None"]
    index.fault("/simple/app/", failing(503))
    assert nearest("") == "None"
