"""pip-tools as the resolver: what uv cannot describe, and everything that uv is asked, asked of it as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.index import failing
from tests.support.wheels import make_sdist, make_wheel
from tests.unit.resolve.conftest import World, names
from wheelhouse_builder.adapters.index import IndexClient, Login
from wheelhouse_builder.adapters.process import Finished
from wheelhouse_builder.errors import EnvironmentFailure, IndexFailure, NoWheelError, ResolutionError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve import Requirements, resolve, write_lock
from wheelhouse_builder.spec import PIP_TOOLS, Index

LINUX, WINDOWS, FREE = "cp312-manylinux_2_28_x86_64", "cp312-win_amd64", "cp313t-manylinux_2_28_x86_64"


def by_piptools(world: World, *texts: str, constraints: tuple[str, ...] = ()) -> Requirements:
    return replace(world.requirements(*texts, constraints=constraints), resolver=PIP_TOOLS)


def test_what_uv_cannot_describe_goes_to_piptools_and_nothing_else_does(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0")
    world.lock(world.requirements("app"), LINUX, FREE)
    assert {Path(command[0]).name == "uv" for command in world.runner.commands} == {True, False}
    world.runner.commands.clear()
    world.lock(world.requirements("app"), LINUX)
    assert all(Path(command[0]).name == "uv" for command in world.runner.commands)
    world.runner.commands.clear()
    world.lock(by_piptools(world, "app"), LINUX)
    assert all("piptools_child.py" in command[2] for command in world.runner.commands)


def test_markers_extras_tags_and_requires_python_are_those_of_the_target(world: World) -> None:
    requires = ["windowsy; sys_platform == 'win32'", "posixy; sys_platform != 'win32'", "extra-dep; extra == 'more' and os_name == 'nt'"]
    make_wheel(world.wheels, "app", "1.0", requires=requires)
    make_wheel(world.wheels, "app", "2.0", tag="cp312-cp312-macosx_14_0_arm64")
    make_wheel(world.wheels, "app", "3.0", requires_python=">=3.13")
    make_wheel(world.wheels, "app", "4.0", requires_python="<3.12")
    for project in ("windowsy", "posixy", "extra-dep"):
        make_wheel(world.wheels, project, "1.0")
    locks = world.lock(by_piptools(world, "app[more]"), LINUX, WINDOWS)
    assert [[f"{wheel.project} {wheel.version}" for wheel in lock.wheels] for lock in locks] == [
        ["app 1.0", "posixy 1.0"],
        ["app 1.0", "extra-dep 1.0", "windowsy 1.0"],
    ]


def test_python_2_gets_its_wheels_and_the_last_pip_for_it(world: World) -> None:
    make_wheel(world.wheels, "pip", "20.3", tag="py2.py3-none-any", requires_python=">=2.7")
    make_wheel(world.wheels, "app", "1.0", tag="py2.py3-none-any", requires=["enum34; python_version < '3.4'"])
    make_wheel(world.wheels, "app", "2.0", requires_python=">=3")
    make_wheel(world.wheels, "enum34", "1.0", tag="py2-none-any")
    (lock,) = world.lock(world.requirements("app"), "cp27mu-manylinux2014_x86_64")
    assert names(lock) == ["app-1.0-py2.py3-none-any.whl", "enum34-1.0-py2-none-any.whl"]
    assert names(replace(lock, wheels=lock.bootstrap)) == ["pip-20.3-py2.py3-none-any.whl"]


def test_constraints_and_earlier_versions_hold_and_upgrade_forgets_the_latter(world: World) -> None:
    for project in ("app", "dep"):
        make_wheel(world.wheels, project, "1.0")
    (first,) = world.lock(by_piptools(world, "app", "dep"), LINUX)
    for project in ("app", "dep"):
        make_wheel(world.wheels, project, "2.0")
        make_wheel(world.wheels, project, "3.0")
    (kept,) = world.lock(by_piptools(world, "app", "dep>1", constraints=("dep<3",)), LINUX, previous={LINUX: first})
    assert names(kept) == ["app-1.0-py3-none-any.whl", "dep-2.0-py3-none-any.whl"]
    (upgraded,) = world.lock(by_piptools(world, "app", "dep"), LINUX, previous={LINUX: first}, upgrade=True)
    assert names(upgraded) == ["app-3.0-py3-none-any.whl", "dep-3.0-py3-none-any.whl"]


def test_projects_without_a_wheel_are_listed_and_nothing_is_built(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0", requires=["deep-source"])
    make_sdist(world.wheels, "deep-source", "1.0")
    make_sdist(world.wheels, "source", "2.0")
    with pytest.raises(NoWheelError) as caught:
        world.lock(by_piptools(world, "app", "source"), LINUX)
    assert caught.value.problems == (f"deep-source: no wheel for {LINUX}", f"source: no wheel for {LINUX}")
    assert not world.index.fetched("source-2.0.tar.gz")


def test_a_conflict_is_told_by_the_requirements_that_make_it(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0", requires=["shared<2"])
    make_wheel(world.wheels, "tool", "1.0", requires=["shared>=2"])
    for version in ("1.0", "2.0"):
        make_wheel(world.wheels, "shared", version)
    with pytest.raises(ResolutionError) as caught:
        world.lock(by_piptools(world, "app", "tool==1.0"), LINUX)
    (problem,) = caught.value.problems
    assert problem.splitlines()[:2] == [
        f"{LINUX}: no solution",
        "  Cannot install app and tool==1.0 because these package versions have conflicting dependencies.",
    ]
    assert "app 1.0 depends on shared<2" in problem
    assert "To fix this" not in problem


def test_an_index_that_fails_is_no_lack_of_a_solution(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0", requires=["dep"])
    make_wheel(world.wheels, "dep", "1.0")
    world.index.fault("/simple/dep/", failing(403))
    with pytest.raises(IndexFailure, match="403"):
        world.lock(by_piptools(world, "app"), LINUX)


def test_credentials_are_in_no_command_and_no_lock(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = make_world(auth=("ann", "s3/cr@et"))
    make_wheel(world.wheels, "app", "1.0")
    monkeypatch.setenv("THE_USER", "ann")
    monkeypatch.setenv("THE_PASSWORD", "s3/cr@et")
    index = Index(url=world.index.url, user_variable="THE_USER", password_variable="THE_PASSWORD")
    with IndexClient(logins={world.index.url: Login(user="ann", password="s3/cr@et")}) as pages:
        (lock,) = resolve(
            replace(Requirements.from_texts("app", index=index), resolver=PIP_TOOLS),
            [Target.parse(LINUX)],
            pages=pages,
            cache=tmp_path,
            runner=world.runner,
        )
    write_lock(lock, tmp_path / "pylock.x.toml")
    assert "s3" not in (tmp_path / "pylock.x.toml").read_text() + repr(world.runner.commands) + lock.wheels[0].url
    monkeypatch.setenv("THE_PASSWORD", "wrong")
    with IndexClient() as pages, pytest.raises(IndexFailure) as caught:
        resolve(
            replace(Requirements.from_texts("app", index=index), resolver=PIP_TOOLS),
            [Target.parse(LINUX)],
            pages=pages,
            cache=tmp_path,
        )
    assert "wrong" not in str(caught.value)


def test_ambient_configuration_changes_nothing(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(world.wheels, "app", "1.0")
    poison = "http://127.0.0.1:9/poison"
    config = tmp_path / "home" / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text(f"[global]\nindex-url = {poison}\nno-index = true\n")
    (tmp_path / ".pip-tools.toml").write_text('[tool.pip-tools]\nindex-url = "http://127.0.0.1:9"\n')
    (tmp_path / "pip.py").write_text("raise SystemExit('shadowed')\n")
    settings = {
        "HOME": str(tmp_path / "home"),
        "PIP_INDEX_URL": poison,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": poison,
        "PYTHONPATH": str(tmp_path),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (lock,) = world.lock(by_piptools(world, "app"), LINUX)
    assert names(lock) == ["app-1.0-py3-none-any.whl"]


def test_a_wheel_named_by_its_url_needs_its_digest(world: World) -> None:
    wheel = make_wheel(world.wheels, "app", "1.0", tag="cp312-cp312-win_amd64", requires=["dep"])
    make_wheel(world.wheels, "dep", "1.0")
    url = world.index.file_url(wheel.name)
    digest = next(published.sha256 for published in world.index.published() if published.path.name == wheel.name)
    (lock,) = world.lock(by_piptools(world, f"app @ {url}#sha256={digest}"), WINDOWS)
    assert names(lock) == [wheel.name, "dep-1.0-py3-none-any.whl"]
    with pytest.raises(ResolutionError, match="digest"):
        world.lock(by_piptools(world, f"app @ {url}"), WINDOWS)
    with pytest.raises((ResolutionError, NoWheelError), match="app"):
        world.lock(by_piptools(world, f"app @ {url}#sha256={digest}"), LINUX)


def test_another_pip_than_the_one_we_know_is_told_in_a_sentence(world: World, tmp_path: Path) -> None:
    class Broken:
        def run(self, *_: object, **__: object) -> Finished:
            return Finished(returncode=1, stdout="", stderr="Traceback\nImportError: cannot import name 'TargetPython'")

    make_wheel(world.wheels, "app", "1.0")
    with IndexClient() as pages, pytest.raises(EnvironmentFailure, match="TargetPython") as caught:
        resolve(by_piptools(world, "app"), [Target.parse(LINUX)], pages=pages, cache=tmp_path, runner=Broken())
    assert "pip install" in caught.value.hint
