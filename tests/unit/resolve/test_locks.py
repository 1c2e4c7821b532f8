from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.wheels import make_wheel
from tests.unit.resolve.conftest import World, names
from wheelhouse_builder.errors import NoWheelError, ResolutionError, SpecError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve import lock_filename, read_lock, write_lock

LINUX, WINDOWS = "cp312-manylinux_2_28_x86_64", "cp312-win_amd64"

WHEEL = 'wheels = [{ url = "https://example.org/%s", hashes = { sha256 = "%s" } }]'


def lock_text(*packages: str) -> str:
    return "\n".join(['lock-version = "1.0"', 'created-by = "another tool"', *(f"[[packages]]\n{package}" for package in packages)])


def package(name: str, filename: str, extra: str = "") -> str:
    return "\n".join([f'name = "{name}"', 'version = "1.0"', extra, WHEEL % (filename, "0" * 64)])


def test_what_is_written_is_read_and_writes_the_same_again(world: World, tmp_path: Path) -> None:
    make_wheel(world.wheels, "app", "1.0")
    (lock,) = world.lock(world.requirements("app"), LINUX)
    first, second = tmp_path / lock_filename(lock.target), tmp_path / "pylock.again.toml"
    write_lock(lock, first)
    assert first.name == f"pylock.{LINUX}.toml"
    write_lock(read_lock(first, lock.target), second)
    assert second.read_bytes() == first.read_bytes()


def test_a_lock_of_another_tool_serves(tmp_path: Path) -> None:
    path = tmp_path / "pylock.toml"
    text = lock_text(
        package("app", "app-1.0-py3-none-any.whl"), package("colorama", "colorama-1.0-py3-none-any.whl", "marker = \"os_name == 'nt'\"")
    )
    path.write_text(text)
    assert names(read_lock(path, Target.parse(LINUX))) == ["app-1.0-py3-none-any.whl"]
    windows = read_lock(path, Target.parse(WINDOWS))
    assert len(windows.wheels) == 2
    assert windows.inputs == ""


@pytest.mark.parametrize(
    "text",
    ["", "not toml [", 'lock-version = "9.0"\ncreated-by = "x"\npackages = []', 'lock-version = "1.0"\ncreated-by = "x"\npackages = 1'],
)
def test_a_file_that_is_not_a_lock_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"pylock\.toml: not a lock"):
        read_lock(path, Target.parse(LINUX))


@pytest.mark.parametrize(
    "ours", ["wheelhouse = 1", "wheelhouse.bootstrap = 1", "wheelhouse.requirements = ['@']", "wheelhouse.bootstrap = [1]"]
)
def test_our_own_table_is_read_strictly(tmp_path: Path, ours: str) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text(f"{lock_text(package('app', 'app-1.0-py3-none-any.whl'))}\n[tool]\n{ours}\n")
    with pytest.raises(SpecError, match="not a lock"):
        read_lock(path, Target.parse(LINUX))


def test_a_lock_without_a_fitting_wheel_names_the_projects(tmp_path: Path) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text(lock_text(package("app", "app-1.0-cp312-cp312-win_amd64.whl"), package("dep", "dep-1.0-cp311-cp311-win_amd64.whl")))
    with pytest.raises(NoWheelError) as caught:
        read_lock(path, Target.parse(LINUX))
    assert len(caught.value.problems) == 2


def test_a_lock_that_names_a_project_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text(lock_text(*[package("app", "app-1.0-py3-none-any.whl")] * 2))
    with pytest.raises(ResolutionError, match="app more than once"):
        read_lock(path, Target.parse(LINUX))


def test_a_marker_that_only_the_host_can_tell_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text(lock_text(package("app", "app-1.0-py3-none-any.whl", "marker = \"platform_version != '1'\"")))
    with pytest.raises(ResolutionError, match="app is needed hangs on platform_version"):
        read_lock(path, Target.parse(LINUX))
