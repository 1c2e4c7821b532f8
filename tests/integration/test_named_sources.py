"""A folder, a repository and an sdist that the user names, from the spec to a host without a network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.index import LocalIndex
from tests.support.pip import bundled_pip
from tests.support.sources import c_source, commit, make_project
from tests.support.wheels import make_sdist
from tests.support.workplace import Workplace, this_target, workplace


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / bundled_pip().name).write_bytes(bundled_pip().read_bytes())
    with LocalIndex(shelf) as index:
        yield workplace(tmp_path / "work", index)


def test_each_is_locked_built_bundled_told_and_installed_offline(place: Workplace, tmp_path: Path) -> None:
    make_project(place.folder / "libs/acme", "acme", native__c=c_source())
    make_project(tmp_path / "repository/sub", "beta", "2.0")
    pinned = commit(tmp_path / "repository")
    sdist = make_sdist(tmp_path / "files", "gamma", "3.0")
    repository = (tmp_path / "repository").as_uri()
    (place.folder / "requirements.in").write_text(f"beta @ git+{repository}@main#subdirectory=sub\ngamma @ {sdist.as_uri()}\n")
    place.write_spec(requirements=["./libs/acme", "requirements.in"], targets=[this_target()])
    place.run("lock")
    lock = (place.folder / f"pylock.{this_target()}.toml").read_text()
    assert 'path = "libs/acme"' in lock
    assert f'commit-id = "{pinned}"' in lock
    assert str(place.folder) not in lock
    place.run("lock", "--check")

    place.run("bundle", "-o", "acme.whb")
    said = json.loads(place.run("inspect", "acme.whb", "--json").stdout)["distributions"]
    assert [each["built"]["sdist"]["url"] for each in said if each["built"]] == [
        "file:libs/acme",
        f"git+{repository}@{pinned}",
        sdist.as_uri(),
    ]
    venv = tmp_path / "venv"
    install = [sys.executable, "-I", "acme.whb", "install", "--trust", "key.allowed_signers", "--venv", str(venv)]
    subprocess.run(["unshare", "--map-root-user", "--net", *install], cwd=place.folder, check=True, stdin=subprocess.DEVNULL)
    tried = "import acme.native as n, beta, gamma; print(n.answer(), gamma.__version__)"
    answer = subprocess.run([venv / "bin/python", "-c", tried], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert answer.stdout.split() == [b"42", b"3.0"]

    (place.folder / "libs/acme/acme/__init__.py").write_text("CHANGED = True\n")
    assert "libs/acme is not what was locked" in place.run("bundle", "-o", "again.whb", expect=3).stderr
    assert "acme 1.0: other files than before" in place.run("lock", "--check", expect=3).stderr


def test_a_dirty_folder_is_taken_as_it_is_and_said_so(place: Workplace) -> None:
    folder = make_project(place.folder / "acme", "acme")
    (folder / ".gitignore").write_text("junk\n")
    commit(folder)
    place.write_spec(requirements=["./acme"], targets=[this_target()])
    place.run("lock")
    (folder / "junk").write_text("not a source")
    ended = place.run("lock", "--check", "--verbose")
    assert "not committed" not in ended.stderr
    (folder / "acme/new.py").write_text("")
    assert "acme: taken as it is, with changes that are not committed" in place.run("lock", "--verbose").stderr


def test_a_folder_without_a_project_is_an_error_with_its_line(place: Workplace) -> None:
    (place.folder / "libs").mkdir()
    place.write_spec(requirements=["./libs"], targets=[this_target()])
    assert "wheelhouse.yaml:3:" in (ended := place.run("lock", expect=3)).stderr
    assert "holds no project" in ended.stderr
    make_project(place.folder / "libs", "acme")
    commit(place.folder / "libs")
    place.write_spec(requirements=[f"acme @ git+{(place.folder / 'libs').as_uri()}@absent"], targets=[this_target()])
    assert "wheelhouse.yaml:3: acme: " in (ended := place.run("lock", expect=3)).stderr
    assert "has no branch, tag or commit absent" in ended.stderr
