from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.wheels import make_sdist, make_wheel
from tests.unit.resolve.conftest import World, names
from wheelhouse_builder.errors import NoWheelError, ResolutionError, SpecError
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.resolve import Requirements

LINUX, WINDOWS = "cp312-manylinux_2_28_x86_64", "cp312-win_amd64"
HEAD = 'lock-version = "1.0"\ncreated-by = "another"\n'


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def package(wheel: Path, rest: str = "", place: str = "") -> str:
    """An entry of a pylock for one wheel."""
    name, version = wheel.name.split("-")[:2]
    place = place or f"url = '{wheel.as_uri()}'"
    hashes = f"hashes = {{sha256 = '{digest(wheel)}'}}"
    return f"[[packages]]\nname = '{name}'\nversion = '{version}'\n{rest}\n[[packages.wheels]]\nname = '{wheel.name}'\n{place}\n{hashes}\n"


def line(wheel: Path, marker: str = "") -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version}{marker} --hash=sha256:{digest(wheel)}\n"


def locks_of(world: World, tmp_path: Path, text: str, *targets: str, suffix: str = ".toml") -> tuple[Lock, ...]:
    path = tmp_path / f"pylock{suffix}"
    path.write_text(text)
    return world.lock(replace(world.requirements(), locked=path), *targets)


def test_each_target_gets_what_the_markers_of_a_pylock_say(world: World, tmp_path: Path) -> None:
    everywhere, windows = make_wheel(world.wheels, "app", "1.0"), make_wheel(world.wheels, "colour", "1.0")
    make_wheel(world.wheels, "app", "2.0")
    text = HEAD + package(everywhere) + package(windows, "marker = \"sys_platform == 'win32'\"")
    linux, win = locks_of(world, tmp_path, text, LINUX, WINDOWS)
    assert (names(linux), names(win)) == ([everywhere.name], [everywhere.name, windows.name])
    assert [wheel.project for wheel in linux.bootstrap if wheel.project == "pip"] == ["pip"]


def test_a_path_counts_from_the_lock(world: World, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "app", "1.0")
    (lock,) = locks_of(world, tmp_path, HEAD + package(wheel, place=f"path = './{wheel.name}'"), LINUX)
    assert lock.wheels[0].url == wheel.as_uri()


def test_of_hashed_requirements_only_files_with_these_hashes_count(world: World, tmp_path: Path) -> None:
    pure = make_wheel(world.wheels, "app", "1.0")
    make_wheel(world.wheels, "app", "1.0", tag="cp312-cp312-manylinux_2_28_x86_64")  # better, and not in the lock
    windows = make_wheel(world.wheels, "colour", "1.0")
    text = line(pure) + line(windows, " ; sys_platform == 'win32'")
    linux, win = locks_of(world, tmp_path, text, LINUX, WINDOWS, suffix=".txt")
    assert (names(linux), names(win)) == ([pure.name], [pure.name, windows.name])


def test_lines_that_lock_nothing_are_all_told(world: World, tmp_path: Path) -> None:
    text = "app==1.0\nlib>=1 --hash=sha256:" + "0" * 64 + "\nother\n"
    with pytest.raises(SpecError) as caught:
        locks_of(world, tmp_path, text, LINUX, suffix=".txt")
    assert [problem.partition(" is no release")[0] for problem in caught.value.problems] == [
        "pylock.txt:1: app==1.0",
        "pylock.txt:2: lib>=1",
        "pylock.txt:3: other",
    ]
    assert "uv export" in caught.value.hint


@pytest.mark.parametrize("suffix", [".toml", ".txt"])
def test_what_has_no_wheel_is_told_with_the_nearest_that_has(world: World, tmp_path: Path, suffix: str) -> None:
    windows = make_wheel(world.wheels, "app", "1.0", tag="cp312-cp312-win_amd64")
    make_wheel(world.wheels, "app", "1.5")
    text = HEAD + package(windows) if suffix == ".toml" else line(windows)
    with pytest.raises(NoWheelError, match=rf"app: no wheel for {LINUX} \(1\.5 has one\)"):
        locks_of(world, tmp_path, text, LINUX, suffix=suffix)


def test_what_is_locked_as_an_sdist_alone_wants_a_recipe(world: World, tmp_path: Path) -> None:
    sdist = make_sdist(world.wheels, "source", "1.0")
    entry = f"[[packages]]\nname = 'source'\nversion = '1.0'\n[packages.sdist]\nname = '{sdist.name}'\nurl = '{sdist.as_uri()}'\n"
    with pytest.raises(NoWheelError, match="source"):
        locks_of(world, tmp_path, HEAD + entry + f"hashes = {{sha256 = '{digest(sdist)}'}}\n", LINUX)


def test_a_lock_for_another_python_is_refused(world: World, tmp_path: Path) -> None:
    text = f'{HEAD}requires-python = ">=3.13"\n' + package(make_wheel(world.wheels, "app", "1.0"))
    with pytest.raises(ResolutionError, match=r"pylock\.toml is for Python >=3\.13, this is 3\.12"):
        locks_of(world, tmp_path, text, LINUX)


@pytest.mark.parametrize("text", ["", "lock-version = 7", "[[packages]]\nname = 'app'\n", "no = toml = at all"])
def test_what_is_no_lock_is_refused(world: World, tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError, match="not a lock"):
        locks_of(world, tmp_path, text, LINUX)


def test_a_lock_that_changed_is_another_question(world: World, tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(line(make_wheel(world.wheels, "app", "1.0")))
    (lock,) = world.lock(asked := replace(Requirements.from_texts(), locked=path, indexes=world.requirements().indexes), LINUX)
    assert lock.inputs == asked.digest(lock.target)
    path.write_text(line(make_wheel(world.wheels, "app", "2.0")))
    assert lock.inputs != asked.digest(lock.target)
