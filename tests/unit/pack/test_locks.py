"""The locks in the bundle install the locked wheels with pip and uv, and name nothing that is not beside them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.pylock import Pylock
from packaging.specifiers import SpecifierSet

from tests.support.contents import TARGET, make_contents
from tests.support.wheels import make_wheel
from wheelhouse_builder.pack import Contents
from wheelhouse_builder.pack.locks import lock_files, pylock_text, requirements_text


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return make_contents(tmp_path, make_wheel(tmp_path, "zeta.z", "1.0+local.1"), make_wheel(tmp_path, "alpha", "2!1.0rc1"))


def test_each_target_has_both_locks(contents: Contents) -> None:
    assert list(lock_files(contents)) == [f"targets/{TARGET}/pylock.toml", f"targets/{TARGET}/requirements.txt"]


def test_the_pylock_is_valid_and_holds_paths_and_digests_alone(contents: Contents) -> None:
    document = tomllib.loads(pylock_text(contents, contents.locks[0]))
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


def test_every_patch_level_of_the_targets_python_may_install_and_what_projects_require_is_kept(contents: Contents) -> None:
    lock = contents.locks[0]
    object.__setattr__(lock.pylock, "requires_python", SpecifierSet(">=3.12.18"))
    object.__setattr__(lock.pylock.packages[0], "requires_python", SpecifierSet(">=3.9"))
    document = tomllib.loads(pylock_text(contents, lock))
    assert document["requires-python"] == "==3.12.*"
    assert {package["name"]: package.get("requires-python") for package in document["packages"]} == {"alpha": None, "zeta-z": ">=3.9"}


def test_requirements_are_sorted_and_hashed(contents: Contents) -> None:
    lines = requirements_text(contents, contents.locks[0]).splitlines()
    digests = [wheel.sha256 for filename, wheel in sorted(contents.wheels.items()) if not filename.startswith("pip-")]
    assert lines == [f"alpha==2!1.0rc1 --hash=sha256:{digests[0]}", f"zeta-z==1.0+local.1 --hash=sha256:{digests[1]}"]
