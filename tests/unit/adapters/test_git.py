"""Repositories that lie elsewhere, and those of which not all is there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.git_server import git_server, ssh_to_here
from tests.support.sources import commit, make_project
from wheelhouse_builder.adapters.git import Git
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.errors import SpecError

GIT = Git(runner=Processes())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_project(tmp_path / "served/acme", "acme")


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "protocol.file.allow=always", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def test_a_repository_is_read_over_http(repository: Path, tmp_path: Path) -> None:
    first = commit(repository, "v1")
    (repository / "more.txt").write_text("more")
    second = commit(repository)
    with git_server(tmp_path / "served") as url:
        found = [GIT.check_out(f"{url}/acme/.git", revision, tmp_path / f"of-{revision}") for revision in ("v1", "main", "", first)]
    assert found == [first, second, second, first]
    assert (tmp_path / "of-main/more.txt").exists()
    assert not (tmp_path / "of-v1/more.txt").exists()


def test_credentials_come_from_netrc_and_without_them_nobody_is_asked(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = commit(repository)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with git_server(tmp_path / "served", login=("ann", "s3cret")) as url:
        with pytest.raises(SpecError, match="cannot be cloned"):
            GIT.check_out(f"{url}/acme/.git", "", tmp_path / "first")
        netrc = tmp_path / "home/.netrc"
        netrc.write_text("machine 127.0.0.1 login ann password s3cret\n")
        netrc.chmod(0o600)
        assert GIT.check_out(f"{url}/acme/.git", "", tmp_path / "second") == pinned
    assert "s3cret" not in (tmp_path / "second/.git/config").read_text()


def test_a_repository_is_read_over_ssh(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = commit(repository)
    hosts = ssh_to_here(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert GIT.check_out(f"ssh://git@git.example.org:2222{repository}", "main", tmp_path / "clone") == pinned
    assert hosts.read_text().split() == ["git@git.example.org"]


def test_submodules_are_told(repository: Path, tmp_path: Path) -> None:
    inner = make_project(tmp_path / "inner", "inner")
    commit(inner)
    make_project(repository / "alone", "alone")
    commit(repository)
    git(repository, "submodule", "--quiet", "add", inner.as_uri(), "libs/inner")
    commit(repository)
    GIT.check_out(repository.as_uri(), "", tmp_path / "clone")
    assert GIT.submodules(tmp_path / "clone") == GIT.submodules(tmp_path / "clone", "libs") == ["libs/inner"]
    assert GIT.submodules(tmp_path / "clone", "alone") == []


def test_files_of_a_submodule_are_files_of_the_folder(repository: Path, tmp_path: Path) -> None:
    inner = make_project(tmp_path / "inner", "inner")
    commit(inner)
    commit(repository)
    git(repository, "submodule", "--quiet", "add", inner.as_uri(), "libs/inner")
    assert "libs/inner/inner/__init__.py" in (GIT.files(repository) or ())
    git(repository, "submodule", "--quiet", "deinit", "--force", "--all")
    with pytest.raises(SpecError, match="libs/inner is a submodule that was not fetched"):
        GIT.files(repository)
