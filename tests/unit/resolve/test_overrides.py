from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.support.wheels import make_wheel
from tests.unit.resolve.conftest import World, names
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import NoWheelError, RehearsalError, ResolutionError
from wheelhouse_builder.fetch import fetch
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.rehearse import rehearse, with_overridden
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import Requirements

LINUX, WINDOWS, PYPY = "cp312-manylinux_2_28_x86_64", "cp312-win_amd64", "pp311-manylinux_2_28_x86_64"


@pytest.fixture
def shop(world: World) -> World:
    """``app`` wants a ``lib`` before 2, and ``other`` on Windows."""
    make_wheel(world.wheels, "app", "1.0", requires=["lib<2", "other; sys_platform == 'win32'"])
    for version in ("1.0", "2.0"):
        make_wheel(world.wheels, "lib", version, requires=["more; extra == 'all'"])
    make_wheel(world.wheels, "other", "1.0", requires=["lib<3"])
    make_wheel(world.wheels, "more", "1.0")
    return world


def asked(world: World, *overrides: str) -> Requirements:
    lines = Requirements.from_texts(*overrides).requirements
    return replace(world.requirements("app"), overrides=lines)


def fetched(world: World, lock: Lock) -> Mapping[str, Wheel]:
    with IndexClient() as client:
        return fetch(lock.files, Store(world.cache), client=client, reporter=Silent())


def unmet(world: World, lock: Lock) -> list[tuple[str, str]]:
    """What is left unmet; fails if the rehearsal finds anything else."""
    wheels = fetched(world, lock)
    told = with_overridden(lock, wheels)
    rehearse([told], wheels)
    return [(each.project, each.requires) for each in told.overridden]


def test_an_override_stands_in_place_of_what_wheels_ask_for(shop: World) -> None:
    linux, windows = shop.lock(asked(shop, "lib>=2"), LINUX, WINDOWS)
    assert names(linux) == ["app-1.0-py3-none-any.whl", "lib-2.0-py3-none-any.whl"]
    assert unmet(shop, linux) == unmet(shop, windows) == [("app", "lib")]


def test_its_extras_and_markers_count(shop: World) -> None:
    linux, windows = shop.lock(asked(shop, "lib[all]>=2", "other; sys_platform == 'linux'"), LINUX, WINDOWS)
    common = ["app-1.0-py3-none-any.whl", "lib-2.0-py3-none-any.whl", "more-1.0-py3-none-any.whl"]
    assert names(linux) == [*common, "other-1.0-py3-none-any.whl"]
    assert unmet(shop, linux) == [("app", "lib")]
    assert names(windows) == common
    assert unmet(shop, windows) == [("app", "lib"), ("app", "other")]


def test_one_that_changes_nothing_leaves_nothing_unmet(shop: World) -> None:
    (lock,) = shop.lock(asked(shop, "lib<1.5"), LINUX)
    assert unmet(shop, lock) == []


def test_without_it_the_same_set_fails_the_rehearsal(shop: World) -> None:
    (lock,) = shop.lock(asked(shop, "lib>=2"), LINUX)
    with pytest.raises(RehearsalError, match=r"app requires lib<2, but 2\.0 is there"):
        rehearse([replace(lock, overrides=())], fetched(shop, lock))


def test_the_nearest_release_is_told_within_the_override(shop: World) -> None:
    with pytest.raises((NoWheelError, ResolutionError), match="lib"):
        shop.lock(asked(shop, "lib>=3"), LINUX)


def test_a_target_for_pip_tools_is_refused_with_what_to_do(shop: World) -> None:
    with pytest.raises(ResolutionError, match="pip-tools, which has to resolve for this target, knows none") as caught:
        shop.lock(asked(shop, "lib>=2"), PYPY)
    assert "spec of its own" in caught.value.hint


def test_another_override_is_another_question(shop: World) -> None:
    targets = shop.lock(asked(shop, "lib>=2"), LINUX)[0].target
    assert asked(shop, "lib>=2").digest(targets) != asked(shop, "lib>=1").digest(targets) != asked(shop).digest(targets)
