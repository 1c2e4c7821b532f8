"""The locks in the bundle install the locked wheels with pip and uv, and name nothing that is not beside them."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
from packaging.pylock import Pylock
from packaging.specifiers import SpecifierSet

from tests.support.contents import TARGET, make_contents
from tests.support.wheels import make_wheel
from wheelhouse_builder.pack import Contents
from wheelhouse_builder.pack.locks import lock_files, travelling_lock


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return make_contents(tmp_path, make_wheel(tmp_path, "zeta.z", "1.0+local.1"), make_wheel(tmp_path, "alpha", "2!1.0rc1"))


def test_each_target_has_both_locks(contents: Contents) -> None:
    assert list(lock_files(contents)) == [f"targets/{TARGET}/pylock.toml", f"targets/{TARGET}/requirements.txt"]


def test_the_pylock_is_valid_and_holds_paths_and_digests_alone(contents: Contents) -> None:
    document = tomllib.loads(travelling_lock(contents, contents.locks[0], "pylock.toml"))
    Pylock.from_dict(document).validate()
    assert [package["name"] for package in document["packages"]] == ["alpha", "zeta-z"]
    (wheel,) = document["packages"][0]["wheels"]
    held = contents.wheels["alpha-2!1.0rc1-py3-none-any.whl"]
    assert wheel == {
        "name": held.filename,
        "path": f"../../wheels/{held.filename}",
        "size": held.size,
        "hashes": {"sha256": held.sha256},
    }


def test_every_patch_level_of_the_targets_python_may_install(contents: Contents) -> None:
    lock = contents.locks[0]
    object.__setattr__(lock.pylock, "requires_python", SpecifierSet(">=3.12.18"))
    assert tomllib.loads(travelling_lock(contents, lock, "pylock.toml"))["requires-python"] == "==3.12.*"


def test_the_pylock_is_what_a_writer_of_toml_makes(contents: Contents) -> None:
    text = travelling_lock(contents, contents.locks[0], "pylock.toml")
    assert tomli_w.dumps(tomllib.loads(text)) == text


def test_a_target_that_installs_nothing_has_locks_too(contents: Contents) -> None:
    lock = replace(contents.locks[0], wheels=())
    assert tomllib.loads(travelling_lock(contents, lock, "pylock.toml"))["packages"] == []
    assert travelling_lock(contents, lock, "requirements.txt") == ""


def test_requirements_are_sorted_and_hashed(contents: Contents) -> None:
    lines = travelling_lock(contents, contents.locks[0], "requirements.txt").splitlines()
    digests = [wheel.sha256 for filename, wheel in sorted(contents.wheels.items()) if not filename.startswith("pip-")]
    assert lines == [f"alpha==2!1.0rc1 --hash=sha256:{digests[0]}", f"zeta-z==1.0+local.1 --hash=sha256:{digests[1]}"]
