"""The recipes that come with wheelhouse, each for real: from PyPI to a clean place in which its project works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import wheelhouse
from tests.support.hosts import debian_root, musl_root, run_on_windows, windows
from wheelhouse_builder.recipe import Cookbook

pytestmark = [pytest.mark.network, pytest.mark.slow]

SHIPPED = Path(__file__).parents[2] / "recipes"
NATIVE = ("psycopg2", "mysqlclient", "python-ldap", "docopt", "pyyaml")
BOOKWORM, ARM, MUSL, OLD, WINDOWS = (
    "cp311-manylinux_2_36_x86_64",
    "cp311-manylinux_2_28_aarch64",
    "cp311-musllinux_1_2_x86_64",
    "cp311-manylinux_2_17_x86_64",
    "cp311-win_amd64",
)


def tried(folder: Path, project: str, *arguments: str | Path) -> dict[str, Any]:
    """What ``wheelhouse recipe try`` says of the one wheel."""
    (made,) = json.loads(wheelhouse("recipe", "try", project, "--json", *arguments, cwd=folder).stdout)["built"]
    return dict(made)


def forced(folder: Path, toolchain: str, *projects: str) -> None:
    """The shipped recipes of ``projects`` in ``folder``/recipes, each for one toolchain alone."""
    (folder / "recipes").mkdir()
    for project in projects:
        recipe = (SHIPPED / f"{project}.yaml").read_text()
        (folder / f"recipes/{project}.yaml").write_text(f"toolchain: {toolchain}\n{recipe}")


def entered(root: Path) -> Path:
    """``root``, as a place that can be entered."""
    (root / "mnt").mkdir(exist_ok=True)
    return root


@pytest.mark.parametrize("project", [recipe.project for recipe in Cookbook.of()])
def test_it_builds_here_and_its_test_passes_without_what_it_was_built_with(project: str, tmp_path: Path) -> None:
    made = tried(tmp_path, project, "-o", "wheels")
    assert made["tested"]
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == [made["filename"]]
    others = {"greenlet", "docopt"}  # they link nothing but the C library
    assert bool(made["grafted"]) is (project not in others)


@pytest.mark.parametrize(("target", "toolchain"), [(BOOKWORM, "native"), (OLD, "zig")])
def test_what_people_ask_for_most_installs_and_works_in_a_bare_debian_that_holds_none_of_it(
    target: str, toolchain: str, tmp_path: Path
) -> None:
    root = entered(debian_root("bookworm"))
    assert not list(root.glob("usr/lib/*/libpq*")) + list(root.glob("usr/lib/*/libmariadb*")) + list(root.glob("usr/lib/*/libldap*"))
    (tmp_path / "wheelhouse.yaml").write_text(
        f"bundle: native\nversion: '1'\nrequirements: {list(NATIVE)}\nno-binary: [pyyaml]\ntargets: [{target}]\nsign: {{key: key}}\n"
    )
    wheelhouse("keygen", "--key", "key", cwd=tmp_path)
    said = json.loads(wheelhouse("bundle", "--json", "--rehearse", "run", "--root", f"{target}={root}", cwd=tmp_path).stdout)
    assert [each["project"] for each in said["built"]] == sorted(NATIVE)
    assert all(str(root) in each["tested"] for each in said["built"])
    assert {each["toolchain"] for each in said["built"] if each["project"] != "docopt"} == {toolchain}
    assert said["rehearsed"][0]["python"]


@pytest.mark.parametrize("project", ["pyyaml", "docopt", "cffi"])
def test_it_builds_for_another_machine_and_works_there(project: str, tmp_path: Path) -> None:
    root = entered(debian_root("bookworm", "arm64"))
    made = tried(tmp_path, project, "--target", ARM, "--root", f"{ARM}={root}")
    assert str(root) in made["tested"]
    assert ("aarch64" in made["filename"]) is (project != "docopt")


@pytest.mark.parametrize("project", ["pyyaml", "docopt", "cffi"])
def test_it_builds_for_another_c_library_and_works_there(project: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(musl_root(), root, symlinks=True)
    (root / "bin").mkdir()
    for program in ("sh", "mkdir"):
        shutil.copy("/bin/busybox", root / "bin" / program)
    made = tried(tmp_path, project, "--target", MUSL, "--root", f"{MUSL}={root}")
    assert str(root) in made["tested"]
    assert ("musllinux" in made["filename"]) is (project != "docopt")


def test_zig_builds_simple_extensions_for_windows_too(tmp_path: Path) -> None:
    made = tried(tmp_path, "pyyaml", "--target", WINDOWS, "-o", "wheels")
    assert (made["toolchain"], made["tested"]) == ("zig", None)  # no recipe's test runs under wine; this one does
    (wheel,) = (tmp_path / "wheels").iterdir()
    assert wheel.name.endswith("-cp311-cp311-win_amd64.whl")
    python = tmp_path / "python"
    shutil.copytree(windows("3.11") / "cp311", python)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(python / "site")
    (python / "python311._pth").write_text("python311.zip\n.\nsite\n")
    parse = "import yaml; print(yaml.load('a: [1, 2]', Loader=yaml.CSafeLoader))"
    assert run_on_windows(python / "python.exe", "-c", parse, cwd=tmp_path).splitlines()[-1] == "{'a': [1, 2]}"


@pytest.mark.parametrize("project", ["pyyaml", "cffi", "greenlet", "gevent", "lxml"])
def test_zig_builds_for_hosts_that_are_much_older_than_this_one(project: str, tmp_path: Path) -> None:
    made = tried(tmp_path, project, "--target", OLD)
    assert (made["toolchain"], "manylinux_2_17" in made["filename"]) == ("zig", True)
    assert made["tested"]


def test_an_older_system_builds_for_hosts_that_are_older_than_it(tmp_path: Path) -> None:
    root = entered(debian_root("bullseye", "amd64", "gcc,libc6-dev,python3,python3-dev,libpq-dev"))
    bare = entered(debian_root("bullseye"))
    forced(tmp_path, "root", "psycopg2")
    target = "cp39-manylinux_2_28_x86_64"
    made = tried(tmp_path, "psycopg2", "--recipes", "recipes", "--target", target, "--build-root", root)
    assert (made["toolchain"], "libpq.so.5.13" in made["grafted"]) == ("root", True)
    target = "cp39-manylinux_2_31_x86_64"
    roots = ("--build-root", root, "--root", f"{target}={bare}")
    assert str(bare) in tried(tmp_path, "psycopg2", "--recipes", "recipes", "--target", target, *roots)["tested"]


def test_an_image_of_an_older_system_builds_as_its_root_does(tmp_path: Path) -> None:
    image = tmp_path / "image"
    root = debian_root("bullseye", "amd64", "gcc,libc6-dev,python3,python3-dev,libpq-dev")
    tagged = f"{image}:latest"
    for command in (["init", "--layout", image], ["new", "--image", tagged], ["insert", "--rootless", "--image", tagged, root, "/"]):
        subprocess.run(["umoci", *command], check=True)
    forced(tmp_path, "root", "psycopg2")
    made = tried(tmp_path, "psycopg2", "--recipes", "recipes", "--target", "cp39-manylinux_2_28_x86_64", "--build-root", image)
    assert (made["toolchain"], "libpq.so.5.13" in made["grafted"]) == ("root", True)
    assert made["tools"][-1].startswith("image sha256:")


def test_libraries_of_this_host_that_are_too_new_are_told_with_their_symbol_the_lowest_floor_and_the_ways_to_it(tmp_path: Path) -> None:
    forced(tmp_path, "native", "psycopg2", "mysqlclient", "python-ldap")
    (tmp_path / "wheelhouse.yaml").write_text(
        f"bundle: native\nversion: '1'\nrequirements: {list(NATIVE)}\ntargets: [{OLD}]\nrecipes: [recipes]\nsign: {{key: key}}\n"
    )
    wheelhouse("keygen", "--key", "key", cwd=tmp_path)
    error = json.loads(wheelhouse("bundle", "--json", cwd=tmp_path, expect=5).stdout)["error"]
    told = {problem.partition(" ")[0]: problem for problem in error["problems"]}
    assert set(told) == set(NATIVE) - {"pyyaml", "docopt"}  # these need no compiler
    for project, problem in told.items():
        (floor,) = re.findall(r": it works from (manylinux_2_\d+_x86_64) on", problem)
        assert re.search(r" needs \w+@GLIBC_2\.\d+, the target has 2\.17", problem)
        (hint,) = (line for line in error["hint"].splitlines() if line.startswith(f"{project}: "))
        assert all(way in hint for way in ("build-roots", "the zig toolchain", "`libraries`", f"cp311-{floor}"))


def test_what_was_grafted_cannot_be_found_by_the_test(tmp_path: Path) -> None:
    recipe = (SHIPPED / "psycopg2.yaml").read_text()
    (library,) = sorted(Path("/usr/lib").glob("*/libpq.so.5"))
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/psycopg2.yaml").write_text(recipe + f"    - test ! -s {library.resolve()}\n")
    assert tried(tmp_path, "psycopg2", "--recipes", "recipes")["tested"]
    assert library.stat().st_size
    assert subprocess.run(["findmnt", library.resolve()], check=False, capture_output=True).stdout == b""
