from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.index import failing, missing
from tests.support.wheels import make_sdist, make_wheel
from tests.unit.resolve.conftest import World, names
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import EnvironmentFailure, IndexFailure, NoWheelError, RehearsalError, ResolutionError
from wheelhouse_builder.fetch import fetch
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.rehearse import rehearse
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import Requirements, read_lock, resolve, write_lock
from wheelhouse_builder.spec import RESOLVERS, Index

LINUX, WINDOWS, MACOS = "cp312-manylinux_2_28_x86_64", "cp312-win_amd64", "cp312-macosx_14_0_arm64"


def test_each_target_gets_what_its_own_markers_ask_for(world: World) -> None:
    requires = [
        "windowsy; sys_platform == 'win32'",
        "maccy; platform_system == 'Darwin'",
        "old; python_version < '3.11'",
        "pypy-only; platform_python_implementation == 'PyPy'",
    ]
    make_wheel(world.wheels, "app", "1.0", requires=requires)
    for project in ("windowsy", "maccy", "old", "pypy-only"):
        make_wheel(world.wheels, project, "1.0")
    locks = world.lock(world.requirements("app"), LINUX, WINDOWS, MACOS, "cp310-manylinux_2_28_x86_64", "pp311-manylinux_2_28_x86_64")
    assert [[str(wheel.project) for wheel in lock.wheels] for lock in locks] == [
        ["app"],
        ["app", "windowsy"],
        ["app", "maccy"],
        ["app", "old"],
        ["app", "pypy-only"],
    ]


@pytest.mark.parametrize(
    ("target", "tag"),
    [
        (LINUX, "cp312-cp312-manylinux_2_28_x86_64"),
        ("cp312-manylinux_2_30_x86_64", "cp312-cp312-manylinux_2_30_x86_64"),
        ("cp312-manylinux_2_29_x86_64", "cp312-cp312-manylinux_2_28_x86_64"),
        ("cp312-manylinux_2_17_x86_64", "cp312-cp312-manylinux2014_x86_64"),
        ("cp313-manylinux_2_28_x86_64", "cp310-abi3-manylinux_2_17_x86_64"),
        ("cp313t-manylinux_2_28_x86_64", "cp313-cp313t-manylinux_2_28_x86_64"),
        ("pp311-manylinux_2_28_x86_64", "py3-none-any"),
        ("cp312-musllinux_1_2_x86_64", "cp312-cp312-musllinux_1_1_x86_64"),
        (MACOS, "cp312-cp312-macosx_11_0_universal2"),
        ("cp312-macosx_10_15_x86_64", "py3-none-any"),
        (WINDOWS, "py3-none-win_amd64"),
        ("cp312-win32", "py3-none-any"),
        ("cp312-manylinux_2_28_s390x", "py3-none-any"),
    ],
)
def test_the_best_tag_that_the_target_accepts_is_chosen(world: World, target: str, tag: str) -> None:
    for one in (
        "cp312-cp312-manylinux_2_30_x86_64",
        "cp312-cp312-manylinux_2_28_x86_64",
        "cp312-cp312-manylinux2014_x86_64",
        "cp310-abi3-manylinux_2_17_x86_64",
        "cp313-cp313t-manylinux_2_28_x86_64",
        "cp312-cp312-musllinux_1_1_x86_64",
        "cp312-cp312-macosx_11_0_universal2",
        "py3-none-win_amd64",
        "cp312-cp312-linux_x86_64",
        "py3-none-any",
    ):
        make_wheel(world.wheels, "app", "1.0", tag=one)
    (lock,) = world.lock(world.requirements("app"), target)
    assert names(lock) == [f"app-1.0-{tag}.whl"]


@pytest.mark.parametrize(
    "target", ["cp312-manylinux_2_12_x86_64", "cp312-musllinux_1_1_x86_64", "cp313t-win_amd64", "cp312-manylinux_2_28_ppc64le"]
)
def test_a_floor_that_uv_cannot_say_gets_the_newest_release_that_fits(world: World, target: str) -> None:
    for tag in (
        "cp312-cp312-manylinux_2_17_x86_64",
        "cp312-cp312-musllinux_1_2_x86_64",
        "cp313-cp313-win_amd64",
        "cp312-cp312-manylinux_2_39_ppc64le",
    ):
        make_wheel(world.wheels, "app", "3.0", tag=tag)
        make_wheel(world.wheels, "app", "2.9", tag=tag)
    for version in ("1.0", "2.0"):
        make_wheel(world.wheels, "app", version)
    (lock,) = world.lock(world.requirements("app"), target)
    assert names(lock) == ["app-2.0-py3-none-any.whl"]


def test_the_patch_level_counts_in_markers(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0", requires=["patched; python_full_version >= '3.12.1'"])
    make_wheel(world.wheels, "patched", "1.0")
    (lock,) = world.lock(world.requirements("app"), LINUX)
    assert len(lock.wheels) == 2


def test_a_release_that_is_not_made_for_so_new_a_python_gives_way_to_one_that_is(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0", requires=["dep"])
    make_wheel(world.wheels, "dep", "1.0")
    make_wheel(world.wheels, "dep", "2.0", requires_python=">=3.6,<3.12")
    make_wheel(world.wheels, "dep", "3.0", requires_python="<3.11")
    for _ in ("cold", "warm"):
        locks = world.lock(world.requirements("app"), LINUX, "cp311-manylinux_2_28_x86_64", "cp310-win_amd64")
        assert [names(lock)[1] for lock in locks] == [f"dep-{version}-py3-none-any.whl" for version in ("1.0", "2.0", "3.0")]


def test_pages_are_not_read_for_wheels_that_were_seen_before(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0", requires_python=">=3.6")
    world.lock(world.requirements("app"), LINUX, WINDOWS)
    ours = [request for request in world.index.requests if request.headers["user-agent"] == "wheelhouse"]
    assert len(ours) == 2, "one page for app, one for pip"
    world.lock(world.requirements("app"), LINUX, WINDOWS)
    assert [request for request in world.index.requests if request.headers["user-agent"] == "wheelhouse"] == ours


def test_constraints_and_hashes_hold(world: World) -> None:
    for version in ("1.0", "2.0"):
        make_wheel(world.wheels, "app", version)
    (lock,) = world.lock(world.requirements("app", constraints=("app<2",)), LINUX)
    assert names(lock) == ["app-1.0-py3-none-any.whl"]
    world.lock(world.requirements(f"app==1.0 --hash=sha256:{'0' * 64} --hash=sha256:{lock.wheels[0].sha256}"), LINUX)
    with pytest.raises(ResolutionError, match="none of the hashes"):
        world.lock(world.requirements(f"app==1.0 --hash=sha256:{'0' * 64}"), LINUX)


def test_every_project_without_a_wheel_is_listed_with_its_targets(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0", requires=["deep-source", "windows-only"])
    make_sdist(world.wheels, "deep-source", "1.0")
    make_sdist(world.wheels, "windows-only", "1.0")
    make_wheel(world.wheels, "windows-only", "1.0", tag="cp312-cp312-win_amd64")
    make_sdist(world.wheels, "source", "2.0")
    with pytest.raises(NoWheelError) as caught:
        world.lock(world.requirements("app", "source"), LINUX, WINDOWS)
    assert caught.value.problems == (
        f"deep-source: no wheel for {LINUX}, {WINDOWS}",
        f"source: no wheel for {LINUX}, {WINDOWS}",
        f"windows-only: no wheel for {LINUX}",
    )


def test_what_only_releases_of_old_needed_is_not_called_missing(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0", requires=["a-forgotten-source"])
    make_wheel(world.wheels, "app", "2.0", requires=["source"])
    make_sdist(world.wheels, "a-forgotten-source", "1.0")
    make_sdist(world.wheels, "source", "1.0")
    with pytest.raises(NoWheelError) as caught:
        world.lock(world.requirements("app"), LINUX)
    assert caught.value.problems == (f"source: no wheel for {LINUX}",)


def test_a_wheel_that_promises_nothing_but_linux_is_named_with_what_makes_one_of_it(world: World) -> None:
    make_wheel(world.wheels, "ours", "1.0", tag="cp312-cp312-linux_x86_64")
    with pytest.raises(NoWheelError) as caught:
        world.lock(world.requirements("ours"), LINUX)
    wheel = "ours-1.0-cp312-cp312-linux_x86_64.whl"
    assert caught.value.problems == (f"ours: no wheel for {LINUX} (but {wheel}, not repaired)",)
    assert f"`wheelhouse repair {wheel} --target {LINUX} -o wheels`" in caught.value.hint


def test_the_nearest_release_with_a_wheel_is_named(world: World) -> None:
    make_sdist(world.wheels, "app", "1.0")
    for version in ("2.0", "3.0"):
        make_wheel(world.wheels, "app", version, tag="cp312-cp312-win_amd64")
    with pytest.raises(NoWheelError) as caught:
        world.lock(world.requirements("app==1.0"), LINUX, WINDOWS)
    assert caught.value.problems == (f"app: no wheel for {LINUX}, {WINDOWS} (2.0 has one)",)


def test_a_wheel_can_be_named_by_its_url_and_must_fit(world: World) -> None:
    wheel = make_wheel(world.wheels, "app", "1.0", tag="cp312-cp312-win_amd64", requires=["dep"])
    make_wheel(world.wheels, "dep", "1.0")
    text = f"app @ {world.index.file_url(wheel.name)}"
    (lock,) = world.lock(world.requirements(text), WINDOWS)
    assert names(lock) == [wheel.name, "dep-1.0-py3-none-any.whl"]
    with pytest.raises((ResolutionError, NoWheelError), match="app"):
        world.lock(world.requirements(text), LINUX)


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_a_wheel_in_a_folder_is_the_one_that_its_digest_names(world: World, tmp_path: Path, resolver: str) -> None:
    wheel = make_wheel(tmp_path / "elsewhere", "app", "1.0", requires=["dep"])
    make_wheel(world.wheels, "dep", "1.0")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (lock,) = world.lock(replace(world.requirements(f"app @ {wheel.as_uri()}#sha256={digest}"), resolver=resolver), LINUX)
    assert (names(lock), lock.wheels[0].url, lock.wheels[0].sha256) == ([wheel.name, "dep-1.0-py3-none-any.whl"], wheel.as_uri(), digest)
    with pytest.raises(ResolutionError, match="app"):
        world.lock(replace(world.requirements(f"app @ {wheel.as_uri()}#sha256={'0' * 64}"), resolver=resolver), LINUX)


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_a_pre_release_is_taken_where_a_requirement_names_one_and_nowhere_else(world: World, resolver: str) -> None:
    for project in ("app", "other"):
        make_wheel(world.wheels, project, "1.0")
        make_wheel(world.wheels, project, "2.0b1")
    (lock,) = world.lock(replace(world.requirements("app>=2.0a0", "other"), resolver=resolver), LINUX)
    assert names(lock) == ["app-2.0b1-py3-none-any.whl", "other-1.0-py3-none-any.whl"]


def test_nothing_is_built(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0")
    make_sdist(world.wheels, "app", "2.0")
    (lock,) = world.lock(world.requirements("app"), LINUX)
    assert names(lock) == ["app-1.0-py3-none-any.whl"]
    assert not world.index.fetched("app-2.0.tar.gz")


def test_a_conflict_is_explained_once_for_all_targets_that_have_it(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0", requires=["shared<2"])
    make_wheel(world.wheels, "tool", "1.0", requires=["shared>=2; sys_platform != 'darwin'"])
    for version in ("1.0", "2.0"):
        make_wheel(world.wheels, "shared", version)
    with pytest.raises(ResolutionError) as caught:
        world.lock(world.requirements("app", "tool"), LINUX, WINDOWS, MACOS)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{LINUX}, {WINDOWS}: no solution\n")
    assert "tool" in problem
    assert "app depends on shared<2" in problem or "shared<2" in problem
    assert str(world.cache.parent) not in problem
    assert "wheelhouse-" not in problem


def test_a_project_that_the_index_does_not_have_is_named(world: World) -> None:
    with pytest.raises(ResolutionError, match="nowhere was not found"):
        world.lock(world.requirements("nowhere"), LINUX)


def test_a_marker_that_only_the_host_can_tell_is_refused_by_name(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0")
    requirements = world.requirements("app; platform_release >= '5'", "pip; platform_version < '9' and os_name == 'nt'")
    with pytest.raises(ResolutionError) as caught:
        world.lock(requirements, LINUX)
    assert len(caught.value.problems) == 1
    assert 'app; platform_release >= "5"' in caught.value.problems[0]


def test_pip_and_the_decoder_fit_the_python_of_the_target(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0")
    make_wheel(world.wheels, "backports.zstd", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    make_wheel(world.wheels, "pyzstd", "0.15.10", tag="cp36-cp36m-manylinux_2_17_x86_64")
    make_wheel(world.wheels, "pyzstd", "0.16.2", tag="cp36-cp36m-manylinux_2_17_x86_64", requires=["other"])
    locks = world.lock(world.requirements("app"), LINUX, "cp36-manylinux_2_28_x86_64", "cp314-win_amd64", "cp312-win_amd64")
    assert [[wheel.filename.partition("-py3")[0].partition("-cp")[0] for wheel in lock.bootstrap] for lock in locks] == [
        ["backports_zstd-1.0", "pip-26.0"],
        ["pip-21.0", "pyzstd-0.15.10"],
        ["pip-26.0"],
        ["pip-26.0"],
    ]


def test_a_set_that_holds_pip_installs_itself_with_it(world: World) -> None:
    (lock,) = world.lock(world.requirements("pip==21.0"), LINUX)
    assert [wheel.filename for wheel in lock.bootstrap] == names(lock) == ["pip-21.0-py3-none-any.whl"]


def test_an_index_without_pip_is_refused(world: World) -> None:
    make_wheel(world.wheels, "app", "1.0")
    for path in world.wheels.glob("pip-*"):
        path.unlink()
    with pytest.raises(NoWheelError, match="pip: no wheel"):
        world.lock(world.requirements("app"), LINUX)


def test_a_lock_that_answers_the_same_question_is_not_asked_again(world: World, tmp_path: Path) -> None:
    make_wheel(world.wheels, "app", "1.0", requires=["dep"])
    make_wheel(world.wheels, "dep", "1.0")
    requirements = world.requirements("app")
    (lock,) = world.lock(requirements, LINUX)
    write_lock(lock, tmp_path / "pylock.x.toml")
    read = read_lock(tmp_path / "pylock.x.toml", Target.parse(LINUX))
    assert (read.wheels, read.bootstrap, read.inputs, read.requirements) == (lock.wheels, lock.bootstrap, lock.inputs, lock.requirements)
    make_wheel(world.wheels, "dep", "2.0")
    world.runner.commands.clear()
    assert world.lock(requirements, LINUX, previous={LINUX: read}) == (read,)
    assert world.runner.commands == []


def test_another_question_keeps_the_versions_that_still_fit_unless_told_to_upgrade(world: World) -> None:
    for project in ("app", "dep"):
        make_wheel(world.wheels, project, "1.0")
    (first,) = world.lock(world.requirements("app", "dep"), LINUX)
    for project in ("app", "dep"):
        make_wheel(world.wheels, project, "2.0")
    (kept,) = world.lock(world.requirements("app", "dep>=1.5"), LINUX, previous={LINUX: first})
    assert names(kept) == ["app-1.0-py3-none-any.whl", "dep-2.0-py3-none-any.whl"]
    (upgraded,) = world.lock(world.requirements("app", "dep"), LINUX, previous={LINUX: first}, upgrade=True)
    assert names(upgraded) == ["app-2.0-py3-none-any.whl", "dep-2.0-py3-none-any.whl"]


def test_ambient_configuration_changes_nothing(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(world.wheels, "app", "1.0")
    home = tmp_path / "home"
    for path in (home / ".config" / "uv" / "uv.toml", home / ".config" / "pip" / "pip.conf", tmp_path / "uv.toml"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('index-url = "http://127.0.0.1:9/poison"\n[global]\nindex-url = http://127.0.0.1:9/poison\n')
    poison = {
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "UV_EXTRA_INDEX_URL",
        "UV_FIND_LINKS",
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
    }
    settings = dict.fromkeys(poison, "http://127.0.0.1:9/poison") | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "UV_CONFIG_FILE": str(tmp_path / "uv.toml"),
        "UV_EXCLUDE_NEWER": "2001-01-01",
        "UV_OFFLINE": "1",
        "UV_NO_BINARY": "1",
        "UV_RESOLUTION": "lowest",
        "PIP_NO_INDEX": "1",
        "PYTHONPATH": str(tmp_path),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (lock,) = world.lock(world.requirements("app"), LINUX)
    assert names(lock) == ["app-1.0-py3-none-any.whl"]


def test_credentials_come_from_the_named_variables_and_are_in_no_command_and_no_lock(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = make_world(auth=("ann", "s3cret"))
    make_wheel(world.wheels, "app", "1.0")
    monkeypatch.setenv("THE_USER", "ann")
    monkeypatch.setenv("THE_PASSWORD", "s3cret")
    index = Index(url=world.index.url, user_variable="THE_USER", password_variable="THE_PASSWORD")
    (lock,) = world.lock(Requirements.from_texts("app", index=index), LINUX)
    write_lock(lock, tmp_path / "pylock.x.toml")
    assert "s3cret" not in (tmp_path / "pylock.x.toml").read_text() + repr(world.runner.commands) + lock.wheels[0].url


def test_wrong_or_missing_credentials_are_told_apart_from_a_project_that_is_not_there(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(auth=("ann", "s3cret"))
    make_wheel(world.wheels, "app", "1.0")
    with pytest.raises(IndexFailure, match="wants credentials"):
        world.lock(world.requirements("app"), LINUX)
    index = Index(url=world.index.url, password_variable="NOT_SET_ANYWHERE")
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)
    with pytest.raises(EnvironmentFailure, match="NOT_SET_ANYWHERE"):
        world.lock(Requirements.from_texts("app", index=index), LINUX)


def test_an_index_that_fails_is_no_lack_of_a_solution(world: World) -> None:
    world.index.fault("/simple/app/", failing(503))
    with pytest.raises(IndexFailure, match="503") as caught:
        world.lock(world.requirements("app"), LINUX)
    assert caught.value.hint


def test_a_page_that_is_missing_is_a_lack_of_a_solution(world: World) -> None:
    world.index.fault("/simple/app/", missing())
    with pytest.raises(ResolutionError, match="app was not found"):
        world.lock(world.requirements("app"), LINUX)


@pytest.mark.network
def test_the_set_on_which_others_go_wrong_has_colorama_and_no_uvloop_for_windows(tmp_path: Path) -> None:
    requirements = Requirements.from_texts("fastapi", "numpy", "psycopg2-binary", "uvicorn[standard]", "click", "tqdm")
    with IndexClient() as pages:
        (lock,) = resolve(requirements, [Target.parse(WINDOWS)], pages=pages, cache=tmp_path, runner=Processes())
    projects = {str(wheel.project) for wheel in lock.wheels}
    assert "colorama" in projects
    assert "uvloop" not in projects
    assert {"httptools", "watchfiles", "websockets"} <= projects


def test_a_dependency_that_hangs_on_the_host_is_never_silently_left_out(world: World, tmp_path: Path) -> None:
    """The resolver sees an empty release and locks as if the marker were false; the rehearsal reads the wheels and refuses."""
    make_wheel(world.wheels, "app", "1.0", requires=["dep; platform_release >= '5'", "never; platform_release >= '5' and os_name == 'nt'"])
    make_wheel(world.wheels, "dep", "1.0")
    (lock,) = world.lock(world.requirements("app"), LINUX)
    with IndexClient() as client:
        wheels = fetch([*lock.wheels, *lock.bootstrap], Store(tmp_path / "store"), client=client, reporter=Silent())
    with pytest.raises(RehearsalError) as caught:
        rehearse([lock], wheels)
    (problem,) = caught.value.problems
    assert problem.startswith(f'{LINUX}: app requires dep; platform_release >= "5", and only a probe of the host could tell')


def test_markers_that_read_the_kernel_are_decided_where_the_host_is_known(world: World) -> None:
    for name in ("app", "new", "old"):
        make_wheel(world.wheels, name, "1.0")
    asked = world.requirements("app", "new; 'nt' not in platform_release and python_version > '3'", "old; 'nt' in platform_release")
    (lock,) = world.lock(asked, "this")
    assert [wheel.project for wheel in lock.wheels] == ["app", "new"]
