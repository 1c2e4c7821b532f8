"""Builds of true sdists with a true compiler, in the sandbox."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.sources import c_source, make_c_sdist, write_recipe, write_tar
from tests.support.wheels import core_metadata, make_sdist
from tests.unit.build.conftest import Yard
from wheelhouse_builder.errors import NoWheelError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import read_recipe


def refused(yard: Yard, *projects: str, tested: bool = False) -> NoWheelError:
    with pytest.raises(NoWheelError) as caught:
        yard.build(*projects, tested=tested)
    return caught.value


def test_an_extension_is_built_for_its_target_once_and_the_same_wherever_it_is_done(make_yard: Callable[[str], Yard]) -> None:
    one, other = make_yard("here"), make_yard("some/where/else")
    make_c_sdist(one.sdists, "demo")
    write_recipe(one.recipes, "demo", "has-extension: true")
    made = [yard.build("demo").made[0] for yard in (one, other, one)]
    assert [each.again for each in made] == [False, False, True]
    assert len({each.wheel.sha256 for each in made}) == 1
    assert (one.runner.builds, other.runner.builds) == (1, 1)
    with zipfile.ZipFile(made[0].wheel.path) as archive:
        (native,) = (archive.read(name) for name in archive.namelist() if name.endswith(".so"))
    assert b"/mnt/src" not in native
    assert str(one.store).encode() not in native


def test_the_lock_holds_the_wheel_where_the_sdist_was_and_its_provenance_tells_all(yard: Yard) -> None:
    asks = {"demo/native.c": c_source(declaration="#include <unistd.h>", answer="getpid() ? 42 : 0")}
    sdist = make_c_sdist(yard.sdists, "demo", files=asks)
    path = write_recipe(yard.recipes, "demo", "has-extension: true", 'environment: {DEMO: "1"}')
    built = yard.build("demo")
    (lock,) = built.locks
    assert lock.sdists == ()
    (locked,) = lock.wheels
    wheel = built.wheels[locked.filename]
    assert (locked.sha256, wheel.url, wheel.uploaded is not None) == (wheel.sha256, yard.index.file_url(sdist.name), True)
    build = wheel.build
    assert build is not None
    assert (build.sdist.filename, build.recipe, build.recipe_sha256) == (sdist.name, "demo", read_recipe(path).digest)
    assert build.toolchain == "native"
    assert [tool.split()[0] for tool in build.tools][:2] == ["cpython", "gcc"]
    assert build.raw_sha256 != wheel.sha256
    (need,) = build.needs  # what the oldest system on which it works has to have
    assert (need.member.startswith("demo/native."), bool(need.symbol), need.library) == (True, True, "libc.so.6")
    assert need.version.startswith("GLIBC_2.")


def test_a_pure_project_is_built_once_for_all_targets(yard: Yard) -> None:
    make_sdist(yard.sdists, "demo", "1.0")
    write_recipe(yard.recipes, "demo", "pure: true")
    built = yard.build("demo", targets=["cp312-win_amd64", "cp39-manylinux_2_17_aarch64"])
    assert {each.wheel.filename for each in built.made} == {"demo-1.0-py3-none-any.whl"}
    assert yard.runner.builds == 1
    assert [lock.target.name for lock in built.locks] == ["cp312-win_amd64", "cp39-manylinux_2_17_aarch64"]


def test_builds_that_fail_do_not_stop_others_and_all_are_told_at_once(yard: Yard) -> None:
    make_c_sdist(yard.sdists, "good")
    make_c_sdist(yard.sdists, "broken", files={"broken/native.c": "#error this cannot be compiled\n"})
    make_c_sdist(yard.sdists, "silent", files={"silent/native.c": "#error nor can this\n", "swallow": ""})
    make_c_sdist(yard.sdists, "needy")
    for project, line in (("good", ""), ("broken", ""), ("silent", "has-extension: true"), ("needy", "system-packages:")):
        write_recipe(yard.recipes, project, line, *([f"  {name}: [libno-such-dev, libc6]" for name in ("debian",) if project == "needy"]))
    error = refused(yard, "good", "broken", "silent", "needy")
    broken, needy, silent = sorted(error.problems)
    this = Target.parse("this")
    assert broken.startswith(f"broken 1.0 for {this}: it does not build\n")
    assert "this cannot be compiled" in broken
    assert f"recipe: {yard.recipes / 'broken.yaml'}:1" in broken
    log = Path(next(line for line in broken.splitlines() if "log: " in line).partition("log: ")[2])
    assert "#error this cannot be compiled" in log.read_text()
    assert "compiled code" in silent or "extension" in silent
    assert f"{yard.recipes / 'needy.yaml'}:3: not installed: libno-such-dev" in needy
    assert "apt install libno-such-dev" in error.hint
    assert "good" in " ".join(path.read_text() for path in (yard.store / "builds").glob("*.json"))


def test_a_wheel_that_requires_other_things_than_its_sdist_said_is_refused(yard: Yard) -> None:
    make_c_sdist(yard.sdists, "demo", files={"METADATA": core_metadata("demo", "1.0", requires=["surprise"], requires_python=">=3.8")})
    write_recipe(yard.recipes, "demo")
    (problem,) = refused(yard, "demo").problems
    assert "Requires-Dist: surprise is in the wheel alone" in problem
    assert "Requires-Python: '>=3.8' in the wheel, '' in the sdist" in problem


def test_a_build_has_no_network_and_can_write_nowhere_else(yard: Yard) -> None:
    spy = """
import socket
def attempt(what):
    try:
        what()
    except OSError as error:
        print("REFUSED", type(error).__name__)
    else:
        raise SystemExit("it worked")
attempt(lambda: socket.create_connection(("127.0.0.1", PORT), timeout=5))
attempt(lambda: open("/etc/wheelhouse-was-here", "w"))
from c_backend import build_wheel
"""
    port = yard.index.url.rpartition(":")[2].partition("/")[0]
    pyproject = '[build-system]\nrequires = []\nbuild-backend = "spy"\nbackend-path = ["."]\n'
    make_c_sdist(yard.sdists, "demo", files={"spy.py": spy.replace("PORT", port), "pyproject.toml": pyproject})
    write_recipe(yard.recipes, "demo")
    yard.build("demo")
    (log,) = (yard.store / "builds").glob("*.log")
    assert log.read_text().count("REFUSED") == 2


def test_links_that_a_build_leaves_lead_nobody_out_of_its_folder(yard: Yard) -> None:
    outside = yard.store.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious")
    archive = write_tar(yard.store.parent / "libevil-1.tar.gz", {"README": ""})
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    planted = [f"ln -s {outside}/file /mnt/requirements.txt || true", f"ln -s {outside} /mnt/repaired"]
    make_sdist(yard.sdists, "demo", "1.0")
    library = json.dumps({"name": "evil", "url": archive.as_uri(), "sha256": digest, "commands": planted})
    write_recipe(yard.recipes, "demo", "pure: true", f"libraries: [{library}]")
    assert yard.build("demo").made
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "precious"


def test_a_library_that_is_gone_from_its_place_comes_from_a_mirror_if_it_is_the_same(yard: Yard) -> None:
    archive = write_tar(yard.store.parent / "libx-1.tar.gz", {"README": "x"})
    other = write_tar(yard.store.parent / "other.tar.gz", {"README": "y"})
    make_sdist(yard.sdists, "demo", "1.0")

    def recipe(*mirrors: str) -> None:
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        gone = f"{yard.store.parent.as_uri()}/gone.tar.gz"
        library = {"name": "x", "url": gone, "sha256": digest, "commands": ["test -f README"], "mirrors": mirrors}
        write_recipe(yard.recipes, "demo", "pure: true", f"libraries: [{json.dumps(library)}]")

    recipe(other.as_uri())
    (problem,) = refused(yard, "demo").problems
    assert "gone.tar.gz" in problem
    assert "sha256" in problem.lower()
    recipe(other.as_uri(), archive.as_uri())
    assert yard.build("demo").made


def test_patches_are_applied_and_what_the_recipe_says_is_seen_by_the_build(yard: Yard) -> None:
    make_c_sdist(yard.sdists, "demo", files={"demo/native.c": c_source(answer="WRONG")})
    patch = "--- a/demo/native.c\n+++ b/demo/native.c\n@@ -3 +3 @@\n"
    line = next(line for line in c_source(answer="WRONG").splitlines() if "WRONG" in line)
    number = c_source(answer="WRONG").splitlines().index(line) + 1
    patch = patch.replace("-3 +3", f"-{number} +{number}") + f"-{line}\n+{line.replace('WRONG', 'SAID')}\n"
    (yard.recipes / "mend.patch").write_text(patch)
    write_recipe(yard.recipes, "demo", "patches: [mend.patch]", "environment: {CFLAGS: -DSAID=7}", "has-extension: true")
    assert yard.build("demo").made
    (yard.recipes / "mend.patch").write_text(patch.replace("WRONG", "OTHER"))
    (problem,) = refused(yard, "demo").problems
    assert "the patch mend.patch does not apply" in problem
    assert f"recipe: {yard.recipes / 'demo.yaml'}:2" in problem


def test_a_record_of_another_age_is_no_record(yard: Yard) -> None:
    make_c_sdist(yard.sdists, "demo")
    write_recipe(yard.recipes, "demo")
    first = yard.build("demo").made[0]
    (record,) = (yard.store / "builds").glob("*.json")
    document = json.loads(record.read_text())
    del document["provenance"]["toolchain"]
    record.write_text(json.dumps(document))
    again = yard.build("demo").made[0]
    assert (again.again, again.wheel.sha256) == (False, first.wheel.sha256)
