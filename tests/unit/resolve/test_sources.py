"""Folders, repositories and archives that the user names are found, pinned and locked."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.git_server import git_server
from tests.support.sources import commit, make_c_sdist, make_project
from tests.support.wheels import make_sdist, make_wheel
from tests.unit.resolve.conftest import World, names
from wheelhouse_builder.adapters.git import Git
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import DistributionError, SpecError
from wheelhouse_builder.model.distribution import Tree
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve import lock_filename, read_lock, restore, write_lock
from wheelhouse_builder.spec import PIP_TOOLS

LINUX, WINDOWS = "cp312-manylinux_2_28_x86_64", "cp312-win_amd64"


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    return make_project(tmp_path / "acme", "acme", "1.2", requires=["below", "more; extra == 'web'"])


@pytest.fixture(autouse=True)
def below(world: World) -> None:
    make_wheel(world.wheels, "below", "1.0")
    make_wheel(world.wheels, "more", "1.0")


def lock(world: World, *texts: str, previous: Lock | None = None, resolver: str = "uv") -> Lock:
    requirements = replace(world.requirements(*texts), resolver=resolver)
    return world.lock(requirements, LINUX, previous={LINUX: previous} if previous else None)[0]


def written(made: Lock, folder: Path) -> Lock:
    """As it is read from the file that it is written to."""
    path = folder / lock_filename(made.target)
    write_lock(made, path)
    return read_lock(path, Target.parse(LINUX))


@pytest.mark.parametrize("resolver", ["uv", PIP_TOOLS])
def test_a_folder_is_locked_with_what_its_backend_says_of_it(world: World, acme: Path, tmp_path: Path, resolver: str) -> None:
    made = lock(world, f"acme[web] @ {acme.as_uri()}", resolver=resolver)
    assert names(made) == ["below-1.0-py3-none-any.whl", "more-1.0-py3-none-any.whl"]
    (sdist,) = made.sdists
    assert (sdist.filename, str(sdist.version), sdist.named) == ("acme-1.2.tar", "1.2", True)
    assert [str(requirement) for requirement in made.requirements] == ["acme[web]"]
    assert written(made, tmp_path).sdists == made.sdists


def test_a_project_of_the_index_with_the_same_name_is_not_looked_at(world: World, acme: Path) -> None:
    make_wheel(world.wheels, "acme", "9.0")
    make_wheel(world.wheels, "app", "1.0", requires=["acme"])
    assert [sdist.filename for sdist in lock(world, f"acme @ {acme.as_uri()}", "app").sdists] == ["acme-1.2.tar"]


def test_a_folder_is_taken_as_it_is_now_and_its_backend_is_asked_once(world: World, acme: Path) -> None:
    first = lock(world, f"acme @ {acme.as_uri()}")
    asked = len(world.runner.commands)
    assert lock(world, f"acme @ {acme.as_uri()}", previous=first) == first
    assert not any("metadata_child.py" in word for command in world.runner.commands[asked:] for word in command)
    (acme / "acme/new.py").write_text("")
    (acme / "acme/__pycache__").mkdir()
    second = lock(world, f"acme @ {acme.as_uri()}", previous=first)
    assert second.sdists[0].sha256 != first.sdists[0].sha256


def test_a_repository_keeps_its_commit_until_it_is_upgraded(world: World, acme: Path, tmp_path: Path) -> None:
    one = commit(acme, "v1")
    asked = f"acme @ git+{acme.as_uri()}@main"
    first = written(lock(world, asked), tmp_path)
    make_project(acme, "acme", "1.3")
    two = commit(acme)
    kept, new = lock(world, asked, previous=first), lock(world, asked)
    assert [str(sdist.version) for each in (first, kept, new) for sdist in each.sdists] == ["1.2", "1.2", "1.3"]
    assert [sdist.tree and sdist.tree.commit for each in (kept, new) for sdist in each.sdists] == [one, two]
    tagged = lock(world, f"acme @ git+{acme.as_uri()}@{one[:12]}", "below")
    assert tagged.sdists[0].sha256 == lock(world, f"acme @ git+{acme.as_uri()}@v1").sdists[0].sha256 == first.sdists[0].sha256


def test_a_branch_that_is_called_like_the_commit_is_not_the_commit(acme: Path, tmp_path: Path) -> None:
    first = commit(acme)
    (acme / "more.txt").write_text("foreign")
    second = commit(acme)
    subprocess.run(["git", "update-ref", f"refs/heads/{first}", second], cwd=acme, check=True)
    assert Git(runner=Processes()).check_out(acme.as_uri(), first, tmp_path / "clone") == first
    assert not (tmp_path / "clone/more.txt").exists()


def test_a_repository_that_is_served_is_locked_by_its_url(world: World, acme: Path, tmp_path: Path) -> None:
    pinned = commit(acme)
    with git_server(tmp_path) as url:
        made = lock(world, f"acme @ git+{url}/acme/.git@main")
        assert [each.tree for each in made.sdists] == [Tree(place=f"{url}/acme/.git", commit=pinned, revision="main")]
        empty = Store(tmp_path / "empty")
        restore(made.sdists, tmp_path, empty, Processes())
        assert empty.find_sound(made.sdists[0].sha256)


def test_a_repository_of_which_a_part_lies_elsewhere_is_refused(world: World, acme: Path, tmp_path: Path) -> None:
    commit(inner := make_project(tmp_path / "inner", "inner"))
    commit(acme)
    add = ["git", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.as_uri(), "libs/inner"]
    subprocess.run(add, cwd=acme, check=True, capture_output=True)
    commit(acme)
    with pytest.raises(SpecError, match=r"acme: file:.* has submodules, which are not fetched: libs/inner"):
        lock(world, f"acme @ git+{acme.as_uri()}@main")


def test_an_archive_is_pinned_by_its_digest_and_a_hash_is_insisted_on(world: World, tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path / "files", "source", "2.0", requires=["below"])
    made = lock(world, f"source @ {sdist.as_uri()}")
    assert [(each.filename, each.url, each.metadata) for each in made.sdists] == [("source-2.0.tar.gz", sdist.as_uri(), "")]
    assert written(made, tmp_path).sdists == made.sdists
    with pytest.raises(DistributionError, match="source"):
        lock(world, f"source @ {sdist.as_uri()}#sha256={'0' * 64}")


def test_what_cannot_be_had_is_told_at_once_each_with_its_place(world: World, acme: Path, tmp_path: Path) -> None:
    commit(acme)
    silent = make_project(tmp_path / "silent", "silent")
    (silent / "METADATA").unlink()
    texts: Sequence[str] = (
        f"acme @ git+{acme.as_uri()}@absent",
        f"other @ {acme.as_uri()}",
        f"silent @ {silent.as_uri()}",
        f"gone @ git+{(tmp_path / 'gone').as_uri()}",
    )
    with pytest.raises(SpecError) as caught:
        lock(world, *texts)
    first, second, third, fourth = caught.value.problems
    assert "acme: " in first
    assert "has no branch, tag or commit absent" in first
    assert "other: what lies there is the project acme" in second
    assert "silent: its build backend does not say" in third
    assert "PKG-INFO" in third
    assert "cannot be cloned" in fourth


@pytest.mark.parametrize("trick", ["link", "pipe", "folder"])
def test_a_backend_that_leads_out_of_its_folder_is_not_followed(world: World, acme: Path, tmp_path: Path, trick: str) -> None:
    secret = tmp_path / "METADATA"
    secret.write_text("Metadata-Version: 2.1\nName: acme\nVersion: 6.6.6\n")
    left = {"link": f"os.symlink({str(secret)!r}, path)", "pipe": "os.mkfifo(path)", "folder": "os.mkdir(path)"}[trick]
    backend = acme / "c_backend.py"
    hook = f"""

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    import os
    os.mkdir(os.path.join(folder, "acme.dist-info"))
    path = os.path.join(folder, "acme.dist-info", "METADATA")
    {left}
    return "acme.dist-info"
"""
    backend.write_text(backend.read_text() + hook)
    with pytest.raises(DistributionError) as refusal:
        lock(world, f"acme @ {acme.as_uri()}")
    assert "left no file METADATA" in str(refusal.value)


def test_two_sources_of_one_project_are_refused(world: World, acme: Path, tmp_path: Path) -> None:
    other = make_project(tmp_path / "other", "acme")
    with pytest.raises(SpecError, match="names another source of it"):
        lock(world, f"acme @ {acme.as_uri()}", f"acme @ {other.as_uri()}")


def test_what_compiles_is_built_by_the_python_of_its_target(world: World, tmp_path: Path) -> None:
    sdist = make_c_sdist(tmp_path / "files", "native")
    requirements = world.requirements(f"native @ {sdist.as_uri()}")
    linux, windows = world.lock(requirements, LINUX, WINDOWS)
    assert linux.sdists[0].sha256 == windows.sdists[0].sha256


def test_archives_of_trees_are_made_again_and_changed_folders_are_refused(world: World, acme: Path, tmp_path: Path) -> None:
    make_project(tmp_path / "repository", "beta")
    commit(tmp_path / "repository")
    made = lock(world, f"acme @ {acme.as_uri()}", f"beta @ git+{(tmp_path / 'repository').as_uri()}")
    empty = Store(tmp_path / "empty")
    restore(made.sdists, Path.cwd(), empty, Processes())
    assert all(empty.find_sound(sdist.sha256) for sdist in made.sdists)
    (acme / "acme/__init__.py").write_text("CHANGED = True\n")
    with pytest.raises(SpecError, match="is not what was locked"):
        restore(made.sdists, Path.cwd(), empty, Processes())
