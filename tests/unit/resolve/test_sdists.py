"""Projects without a wheel that a recipe serves are locked as sdists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.support.sources import write_recipe, write_tar
from tests.support.wheels import core_metadata, make_sdist, make_wheel
from tests.unit.resolve.conftest import World, names
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.errors import NoWheelError, ResolutionError, SpecError
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import Cookbook
from wheelhouse_builder.resolve import Requirements, lock_filename, read_lock, resolve, write_lock
from wheelhouse_builder.spec import PIP_TOOLS, RESOLVERS, UV

LINUX, WINDOWS = "cp312-manylinux_2_28_x86_64", "cp312-win_amd64"


def lock(
    world: World, folder: Path, requirements: Requirements, *targets: str, previous: dict[str, Lock] | None = None
) -> tuple[Lock, ...]:
    """Lock with the recipes in ``folder``."""
    with IndexClient() as pages:
        return resolve(
            requirements,
            [Target.parse(target) for target in targets or (LINUX,)],
            pages=pages,
            cache=world.cache,
            cookbook=Cookbook([each for each in Cookbook.of([folder]) if each.path.parent == folder]),
            runner=world.runner,
            previous=previous,
        )


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """A folder with a recipe for ``source``."""
    return write_recipe(tmp_path / "recipes", "source").parent


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_what_has_no_wheel_is_locked_as_its_sdist_with_what_that_requires(world: World, recipes: Path, resolver: str) -> None:
    make_wheel(world.wheels, "app", "1.0", requires=["source"])
    make_sdist(world.wheels, "source", "1.0")
    sdist = make_sdist(world.wheels, "source", "2.0", requires=["below; sys_platform == 'linux'"])
    make_wheel(world.wheels, "below", "1.0")
    requirements = replace(world.requirements("app"), resolver=resolver)
    linux, windows = lock(world, recipes, requirements, LINUX, WINDOWS)
    assert names(linux) == ["app-1.0-py3-none-any.whl", "below-1.0-py3-none-any.whl"]
    assert names(windows) == ["app-1.0-py3-none-any.whl"]
    assert [(each.filename, each.url) for each in linux.sdists] == [(sdist.name, world.index.file_url(sdist.name))]
    assert windows.sdists[0].sha256 == linux.sdists[0].sha256
    assert not any("sdist" in str(package.wheels) for package in linux.pylock.packages)


def test_a_wheel_that_fits_is_taken_and_nothing_is_built(world: World, recipes: Path) -> None:
    make_wheel(world.wheels, "source", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    make_sdist(world.wheels, "source", "2.0")
    linux, windows = lock(world, recipes, world.requirements("source"), LINUX, WINDOWS)
    assert (names(linux), linux.sdists) == (["source-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"], ())
    assert [each.filename for each in windows.sdists] == ["source-2.0.tar.gz"]


def test_a_wheel_that_the_requirements_do_not_allow_is_none(world: World, recipes: Path) -> None:
    make_wheel(world.wheels, "source", "3.0")
    make_sdist(world.wheels, "source", "2.0")
    (linux,) = lock(world, recipes, world.requirements("source<3"))
    assert [each.filename for each in linux.sdists] == ["source-2.0.tar.gz"]


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_no_binary_builds_what_has_a_wheel(world: World, recipes: Path, resolver: str) -> None:
    for version in ("1.0", "2.0"):
        make_sdist(world.wheels, "source", version)
        make_wheel(world.wheels, "source", version)
    make_wheel(world.wheels, "source", "3.0")
    requirements = replace(world.requirements("source"), no_binary=frozenset({canonicalize_name("source")}), resolver=resolver)
    (linux,) = lock(world, recipes, requirements)
    assert (names(linux), [each.filename for each in linux.sdists]) == ([], ["source-2.0.tar.gz"])
    assert requirements.digest(linux.target) != world.requirements("source").digest(linux.target)


def test_no_binary_wants_a_recipe(world: World, recipes: Path) -> None:
    requirements = replace(world.requirements("other"), no_binary=frozenset({canonicalize_name("other")}))
    with pytest.raises(SpecError, match="no recipe builds other") as caught:
        lock(world, recipes, requirements)
    assert "project: other" in caught.value.hint


@pytest.mark.parametrize("resolver", [UV, PIP_TOOLS])
def test_an_older_release_is_built_where_others_ask_for_it(world: World, recipes: Path, resolver: str) -> None:
    for version in ("1.0", "2.0", "3.0"):
        make_sdist(world.wheels, "source", version)
    make_wheel(world.wheels, "app", "1.0", requires=["source<2"])
    (linux,) = lock(world, recipes, replace(world.requirements("app", "source"), resolver=resolver))
    assert [each.filename for each in linux.sdists] == ["source-1.0.tar.gz"]


def test_the_release_of_an_earlier_lock_stays(world: World, recipes: Path) -> None:
    make_sdist(world.wheels, "source", "1.0")
    (first,) = lock(world, recipes, world.requirements("source"))
    make_sdist(world.wheels, "source", "2.0")
    make_wheel(world.wheels, "app", "1.0")
    (second,) = lock(world, recipes, world.requirements("source", "app"), previous={LINUX: first})
    assert [each.filename for each in second.sdists] == ["source-1.0.tar.gz"]


def test_releases_that_the_recipe_does_not_serve_are_not_built(world: World, tmp_path: Path) -> None:
    folder = write_recipe(tmp_path / "recipes", "source", 'versions: "<2"').parent
    make_sdist(world.wheels, "source", "1.0")
    make_sdist(world.wheels, "source", "2.0")
    make_sdist(world.wheels, "source", "1.5", requires_python="<3")
    (linux,) = lock(world, folder, world.requirements("source"))
    assert [each.filename for each in linux.sdists] == ["source-1.0.tar.gz"]


def test_without_a_recipe_it_is_refused_by_name_and_told_how_to_write_one(world: World, recipes: Path) -> None:
    make_sdist(world.wheels, "some-other", "1.0")
    make_sdist(world.wheels, "source", "1.0")
    with pytest.raises(NoWheelError) as caught:
        lock(world, recipes, world.requirements("some-other", "source"))
    assert caught.value.problems == (f"some-other: no wheel for {LINUX}",)
    assert "project: some-other" in caught.value.hint
    assert "imports: [some_other]" in caught.value.hint


def test_what_builds_it_is_locked_with_digests_and_locked_again_when_the_recipe_asks_for_more(world: World, tmp_path: Path) -> None:
    for tool in ("maker", "helper"):
        make_wheel(world.wheels, tool, "1.0", requires=["below"] if tool == "helper" else [])
    make_wheel(world.wheels, "below", "1.0")
    tree = {
        "PKG-INFO": core_metadata("source", "1.0"),
        "pyproject.toml": '[build-system]\nrequires = ["maker", "gone; python_version < \'3\'"]\n',
    }
    write_tar(world.wheels / "source-1.0.tar.gz", tree)
    folder = write_recipe(tmp_path / "recipes", "source").parent
    (first,) = lock(world, folder, world.requirements("source"))
    assert [wheel.filename for wheel in first.sdists[0].build_requirements] == ["maker-1.0-py3-none-any.whl"]
    write_lock(first, tmp_path / lock_filename(first.target))
    again = read_lock(tmp_path / lock_filename(first.target), first.target)
    assert again.sdists == first.sdists
    assert lock(world, folder, world.requirements("source"), previous={LINUX: first}) == (first,)
    other = write_recipe(tmp_path / "others", "source", "build-requirements: [helper]").parent
    (second,) = lock(world, other, world.requirements("source"), previous={LINUX: first})
    assert [wheel.filename.partition("-")[0] for wheel in second.sdists[0].build_requirements] == ["below", "helper", "maker"]


def test_a_build_requirement_without_a_wheel_is_told_with_the_sdist_that_wants_it(world: World, recipes: Path) -> None:
    make_sdist(world.wheels, "maker", "1.0")
    tree = {"PKG-INFO": core_metadata("source", "1.0"), "pyproject.toml": '[build-system]\nrequires = ["maker"]\n'}
    write_tar(world.wheels / "source-1.0.tar.gz", tree)
    with pytest.raises(NoWheelError, match=r"source-1\.0\.tar\.gz: what building it requires cannot be had") as caught:
        lock(world, recipes, world.requirements("source"))
    assert "maker" in str(caught.value)


def test_hashes_of_a_requirement_are_those_of_the_sdist(world: World, recipes: Path) -> None:
    make_sdist(world.wheels, "source", "1.0")
    (first,) = lock(world, recipes, world.requirements("source"))
    lock(world, recipes, world.requirements(f"source==1.0 --hash=sha256:{first.sdists[0].sha256}"))
    with pytest.raises(ResolutionError, match="none of the hashes"):
        lock(world, recipes, world.requirements(f"source==1.0 --hash=sha256:{'0' * 64}"))
