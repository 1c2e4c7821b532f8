from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from wheelhouse_builder.spec import PIP_TOOLS, UV

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


Ask = Callable[..., Requirements]


@pytest.fixture(params=[UV, PIP_TOOLS])
def resolver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def asked(shop: World, resolver: str) -> Ask:
    """The question for ``app``, or what is asked for instead, with overrides."""

    def ask(*overrides: str, projects: Sequence[str] = ("app",)) -> Requirements:
        lines = Requirements.from_texts(*overrides).requirements
        return replace(shop.requirements(*projects), overrides=lines, resolver=resolver)

    return ask


def fetched(world: World, lock: Lock) -> Mapping[str, Wheel]:
    with IndexClient() as client:
        return fetch(lock.files, Store(world.cache), client=client, reporter=Silent())


def unmet(world: World, lock: Lock) -> list[tuple[str, str]]:
    """What is left unmet; fails if the rehearsal finds anything else."""
    wheels = fetched(world, lock)
    told = with_overridden(lock, wheels)
    rehearse([told], wheels)
    return [(each.project, each.requires) for each in told.overridden]


def test_an_override_stands_in_place_of_what_wheels_ask_for(shop: World, asked: Ask) -> None:
    linux, windows = shop.lock(asked("lib>=2"), LINUX, WINDOWS)
    assert names(linux) == ["app-1.0-py3-none-any.whl", "lib-2.0-py3-none-any.whl"]
    assert unmet(shop, linux) == unmet(shop, windows) == [("app", "lib")]


def test_its_extras_and_markers_count(shop: World, asked: Ask) -> None:
    linux, windows = shop.lock(asked("lib[all]>=2", "other; sys_platform == 'linux'"), LINUX, WINDOWS)
    common = ["app-1.0-py3-none-any.whl", "lib-2.0-py3-none-any.whl", "more-1.0-py3-none-any.whl"]
    assert names(linux) == [*common, "other-1.0-py3-none-any.whl"]
    assert unmet(shop, linux) == [("app", "lib")]
    assert names(windows) == common
    assert unmet(shop, windows) == [("app", "lib"), ("app", "other")]


def test_one_that_changes_nothing_leaves_nothing_unmet(shop: World, asked: Ask) -> None:
    (lock,) = shop.lock(asked("lib<1.5"), LINUX)
    assert unmet(shop, lock) == []


def test_without_it_the_same_set_fails_the_rehearsal(shop: World, asked: Ask) -> None:
    (lock,) = shop.lock(asked("lib>=2"), LINUX)
    with pytest.raises(RehearsalError, match=r"app requires lib<2, but 2\.0 is there"):
        rehearse([replace(lock, overrides=())], fetched(shop, lock))


def test_the_nearest_release_is_told_within_the_override(shop: World, asked: Ask) -> None:
    with pytest.raises((NoWheelError, ResolutionError), match="lib"):
        shop.lock(asked("lib>=3"), LINUX)


def test_they_stand_in_place_of_the_users_own_requirements_too(shop: World, asked: Ask) -> None:
    linux, windows = shop.lock(asked("lib>=2; sys_platform == 'linux'", projects=("lib[all]<2", "more")), LINUX, WINDOWS)
    assert names(linux) == ["lib-2.0-py3-none-any.whl", "more-1.0-py3-none-any.whl"]
    assert names(windows) == ["more-1.0-py3-none-any.whl"]


def test_what_is_there_for_an_extra_is_overridden_for_that_alone(shop: World, asked: Ask) -> None:
    make_wheel(shop.wheels, "optional", "1.0", requires=["lib<2; extra == 'All-of'", "more"])
    bare, whole = (shop.lock(asked("lib>=2", projects=(project,)), LINUX)[0] for project in ("optional", "optional[all.of]"))
    assert names(bare) == ["more-1.0-py3-none-any.whl", "optional-1.0-py3-none-any.whl"]
    assert names(whole) == ["lib-2.0-py3-none-any.whl", *names(bare)]


def test_a_target_that_uv_has_no_name_for_has_them_too(shop: World, asked: Ask) -> None:
    make_wheel(shop.wheels, "zstandard", "0.23")
    (lock,) = shop.lock(asked("lib>=2"), PYPY)
    assert names(lock) == ["app-1.0-py3-none-any.whl", "lib-2.0-py3-none-any.whl"]
    assert unmet(shop, lock) == [("app", "lib")]


def test_another_override_is_another_question(shop: World, asked: Ask) -> None:
    targets = shop.lock(asked("lib>=2"), LINUX)[0].target
    assert asked("lib>=2").digest(targets) != asked("lib>=1").digest(targets) != asked().digest(targets)
