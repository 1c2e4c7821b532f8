"""A project that publishes no wheel, from its sdist to a host that has neither a compiler nor the library that it was built with."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.independent_reader import verify
from tests.support.index import LocalIndex
from tests.support.pip import bundled_pip
from tests.support.sources import BACKEND, c_source, make_c_sdist, write_recipe
from tests.support.wheels import make_sdist, make_wheel
from tests.support.workplace import Workplace, this_target, workplace


@pytest.fixture
def index(tmp_path: Path) -> Iterator[LocalIndex]:
    shelf = tmp_path / "shelf"
    make_wheel(shelf, "acme", "1.0", requires=["native-thing", "source-thing"])
    asks = {"native_thing/native.c": c_source(declaration="#include <unistd.h>", answer="getpid() ? 42 : 0")}
    chats = {"c_backend.py": BACKEND.read_text() + "print(os.urandom(8).hex())\n"}
    make_c_sdist(shelf, "native-thing", files={**asks, **chats})
    make_sdist(shelf, "source-thing", "1.0")
    (shelf / bundled_pip().name).write_bytes(bundled_pip().read_bytes())
    with LocalIndex(shelf) as index:
        yield index


@pytest.fixture
def place(index: LocalIndex, tmp_path: Path) -> Workplace:
    place = workplace(tmp_path / "work", index)
    place.write_spec(targets=[this_target()])
    return place


def with_recipes(place: Workplace, *lines: str) -> None:
    """Let the spec name a folder of recipes for both of its sdists."""
    test = "test: {imports: [native_thing.native], commands: [\"python -c 'import native_thing.native as n; assert n.answer() == 42'\"]}"
    write_recipe(place.folder / "recipes", "native-thing", "has-extension: true", test, *lines)
    write_recipe(place.folder / "recipes", "source-thing", "pure: true")
    spec = place.folder / "wheelhouse.yaml"
    spec.write_text(spec.read_text().replace("recipes: [recipes]\n", "") + "recipes: [recipes]\n")


def test_without_recipes_the_error_says_how_to_write_them(place: Workplace) -> None:
    ended = place.run("bundle", "-o", "acme.whb", expect=5)
    assert "native-thing: no wheel for" in ended.stderr
    assert "project: native-thing" in ended.stderr


def test_it_is_locked_built_tested_bundled_told_and_installed_offline(place: Workplace, tmp_path: Path) -> None:
    with_recipes(place)
    place.run("lock")
    lock = (place.folder / f"pylock.{this_target()}.toml").read_text()
    assert "native_thing-1.0.tar.gz" in lock
    said = json.loads(place.run("bundle", "-o", "acme.whb", "--json").stdout)
    assert [(each["project"], each["toolchain"], each["built_before"], bool(each["tested"])) for each in said["built"]] == [
        ("native-thing", "native", False, True),
        ("source-thing", "native", False, False),
    ]
    built = [each for each in json.loads(place.run("inspect", "acme.whb", "--json").stdout)["distributions"] if each["built"]]
    assert [each["built"]["sdist"]["filename"] for each in built] == ["native_thing-1.0.tar.gz", "source_thing-1.0.tar.gz"]
    again = json.loads(place.run("bundle", "-o", "again.whb", "--json").stdout)
    assert all(each["built_before"] for each in again["built"])
    assert again["bundle"]["digest"] == said["bundle"]["digest"]
    key = base64.b64decode((place.folder / "key.pub").read_text().split()[1])
    manifest, _ = verify(place.folder / "acme.whb", {key})
    assert [each["filename"].partition("-")[0] for each in manifest["built"]] == ["native_thing", "source_thing"]
    assert [each["version"].partition(".")[0] for each in manifest["built"][0]["repair"]["needs"]] == ["GLIBC_2"]
    assert f"needs {manifest['built'][0]['repair']['needs'][0]['symbol']}@GLIBC_2." in place.run("inspect", "acme.whb").stdout
    venv = tmp_path / "venv"
    install = [sys.executable, "-I", "acme.whb", "install", "--trust", "key.allowed_signers", "--venv", str(venv)]
    subprocess.run(["unshare", "--map-root-user", "--net", *install], cwd=place.folder, check=True, stdin=subprocess.DEVNULL)
    answer = subprocess.run(
        [venv / "bin/python", "-c", "import acme, source_thing, native_thing.native as n; print(n.answer())"],
        check=True,
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
    )
    assert answer.stdout == "42\n"


def test_what_is_built_anew_elsewhere_makes_the_same_bundle_whatever_its_build_says(
    place: Workplace, index: LocalIndex, tmp_path: Path
) -> None:
    said = []
    for each in (place, workplace(tmp_path / "at/another/place", index)):
        each.write_spec(targets=[this_target()])
        with_recipes(each)
        bundle = json.loads(each.run("bundle", "-o", "acme.whb", "--json").stdout)
        assert not any(built["built_before"] for built in bundle["built"])
        manifest = json.loads(each.run("manifest", "acme.whb").stdout)
        said.append((bundle["bundle"]["digest"], manifest.pop("transport")["logs"], manifest))
    (one, logs, manifest), (other, other_logs, other_manifest) = said
    assert (one, manifest) == (other, other_manifest)
    assert len(logs) == len(other_logs) == 2
    assert logs != other_logs  # its build backend says something else each time


def test_what_is_required_of_the_publisher_is_required_of_the_sdist(place: Workplace) -> None:
    with_recipes(place)
    spec = place.folder / "wheelhouse.yaml"
    spec.write_text(spec.read_text() + "attestations: {'*': 'off', native-thing: required}\n")
    assert "native_thing-1.0.tar.gz: the index offers no attestation of it" in place.run("bundle", "-o", "acme.whb", expect=7).stderr


def test_a_lock_that_does_not_hold_what_its_recipe_builds_with_is_refused(place: Workplace) -> None:
    with_recipes(place)
    place.run("lock")
    with_recipes(place, "build-requirements: [pip]")
    ended = place.run("lock", "--check", expect=3)
    assert "wheelhouse lock" in ended.stderr
    ended = place.run("bundle", "-o", "acme.whb", expect=5)
    assert "its lock does not hold what its recipe wants to build with" in ended.stderr


def test_recipes_are_listed_and_shown(place: Workplace) -> None:
    with_recipes(place)
    listed = place.run("recipe", "list", "--recipes", "recipes").stdout
    assert "native-thing" in listed
    assert "mysqlclient" in listed
    assert "did you mean 'docopt'" in place.run("recipe", "show", "docpt", expect=2).stderr
    assert "project: docopt" in place.run("recipe", "show", "docopt").stdout
