"""Repair on Linux: real compilers, auditwheel, and interpreters that import the result without the libraries that it was built with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from packaging.tags import platform_tags

from tests.support.native import ANSWER, EXTENSION, asking, gcc, linux_extension, newer_system, second_library, wheel_of
from tests.support.wheels import make_wheel
from wheelhouse_builder.adapters.process import Finished, Processes
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair import Options, Repaired, TooNew, audit, repair

TARGET = Target.parse(f"cp312-manylinux_2_28_{os.uname().machine}")
TAG = f"cp32-abi3-linux_{os.uname().machine}"


@dataclass(frozen=True)
class Built:
    wheel: Path
    libraries: Path

    @property
    def options(self) -> Options:
        return Options(library_paths=(self.libraries,), demands_extension=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    libraries = second_library(folder / "lib")
    return Built(wheel=wheel_of(folder, linux_extension(folder, libraries), tag=TAG), libraries=libraries)


def test_a_repaired_wheel_works_where_its_library_is_not(built: Built, tmp_path: Path) -> None:
    repaired = repair(built.wheel, TARGET, options=built.options, output=tmp_path / "out", runner=Processes())
    assert [(each.library, each.member.split("/")[0]) for each in repaired.grafted] == [("libsecond.so.1", "demo.libs")]
    assert repaired.tags_before == (TAG,)
    assert {str(tag) for tag in TARGET.tags} & set(repaired.tags_after)
    assert repaired.tool.startswith("auditwheel 6.")
    assert _import_without_network(repaired.path, tmp_path / "site") == "42"


def _import_without_network(wheel: Path, site: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    command = [
        "unshare",
        "-rn",
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path.insert(0, {str(site)!r}); import demo; print(demo.answer())",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_wheel_lists_what_was_grafted(built: Built, tmp_path: Path) -> None:
    repaired = repair(built.wheel, TARGET, options=built.options, output=tmp_path, runner=Processes())
    (member,) = repaired.sboms
    with zipfile.ZipFile(repaired.path) as archive:
        document = json.loads(archive.read(member))
    assert member == "demo-1.0.dist-info/sboms/wheelhouse.cdx.json"
    assert [(part["name"], part["hashes"][0]["content"]) for part in document["components"][1:]] == [
        ("libsecond.so.1", repaired.grafted[0].sha256)
    ]


def test_repairing_twice_gives_the_same_wheel(built: Built, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another" / "place"
    shutil.copytree(built.libraries, elsewhere / "lib", symlinks=True)
    again = Built(wheel=Path(shutil.copy(built.wheel, elsewhere)), libraries=elsewhere / "lib")
    digests = {
        repair(one.wheel, TARGET, options=one.options, output=tmp_path / str(number), runner=Processes()).sha256
        for number, one in enumerate((built, again))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("version", ["GLIBC_2.34", "GLIBC_2.99"])
def test_a_symbol_that_the_target_is_too_old_for_is_named(version: str, built: Built, tmp_path: Path) -> None:
    newer = linux_extension(tmp_path, built.libraries, *newer_system(tmp_path / "newer", version), source=asking(EXTENSION))
    refused = _refused(wheel_of(tmp_path, newer, tag=TAG), built.options, tmp_path / "out")
    assert f"demo/_demo.abi3.so: needs newly@{version}, the target has 2.28" in refused.problems[0]
    assert "zig toolchain" in refused.hint


def test_of_many_files_that_are_too_new_the_newest_is_named(built: Built, tmp_path: Path) -> None:
    files = {}
    for number, version in enumerate(("GLIBC_2.30", "GLIBC_2.34", "GLIBC_2.32")):
        code = linux_extension(
            tmp_path / str(number), built.libraries, *newer_system(tmp_path / version, version), source=asking(EXTENSION)
        )
        files[f"demo/_other{number}.abi3.so"] = code
    wheel = wheel_of(tmp_path, files["demo/_other0.abi3.so"], tag=TAG, files=files)
    refused = _refused(wheel, built.options, tmp_path / "out")
    assert isinstance(refused, TooNew)
    assert refused.floor == f"manylinux_2_34_{os.uname().machine}"
    assert refused.problems[-1].endswith(f": it works from {refused.floor} on")
    told = [line for line in refused.problems if " needs " in line]
    assert len(told) == 1
    assert "demo/_other1.abi3.so: needs newly@GLIBC_2.34, the target has 2.28; 3 more of its files ask for newer ones, too" in told[0]


def test_where_more_than_the_age_is_wrong_no_target_is_promised(tmp_path: Path) -> None:
    leak = "-Wl,-rpath,/opt/python/lib"
    source = asking(EXTENSION.replace("int second_answer(void);", ANSWER))
    extension = gcc(tmp_path / "_demo.so", source, leak, *newer_system(tmp_path / "newer", "GLIBC_2.34"))
    refused = _refused(wheel_of(tmp_path, extension.read_bytes(), tag=TAG), Options(), tmp_path / "out")
    assert not isinstance(refused, TooNew)
    assert any("has the search path" in line for line in refused.problems)
    assert any("needs newly@GLIBC_2.34" in line for line in refused.problems)


def test_so_is_one_that_a_grafted_library_asks_for(tmp_path: Path) -> None:
    libraries = second_library(tmp_path / "lib", asking(ANSWER), *newer_system(tmp_path / "newer", "GLIBC_2.34"))
    wheel = wheel_of(tmp_path, linux_extension(tmp_path, libraries, "-Wl,--allow-shlib-undefined"), tag=TAG)
    refused = _refused(wheel, Options(library_paths=(libraries,)), tmp_path / "out")
    assert any("demo.libs/libsecond-" in line and "needs newly@GLIBC_2.34" in line for line in refused.problems)


def test_a_library_that_is_nowhere_is_named_and_nothing_is_left(built: Built, tmp_path: Path) -> None:
    refused = _refused(built.wheel, Options(), tmp_path / "out")
    assert "libsecond.so.1" in refused.problems[0]
    assert "folder of the library" in refused.hint


def test_what_a_failing_tool_leaves_is_no_wheel(built: Built, tmp_path: Path) -> None:
    class Failing(Processes):
        """auditwheel as it is, but for its exit code: it has written its wheel by then."""

        def run(self, *args: Any, **options: Any) -> Finished:
            return replace(super().run(*args, **options), returncode=1)

    with pytest.raises(DistributionError, match="could not repair"):
        repair(built.wheel, TARGET, options=built.options, output=tmp_path / "out", runner=Failing())
    assert not (tmp_path / "out").exists()


def _refused(wheel: Path, options: Options, output: Path) -> DistributionError:
    with pytest.raises(DistributionError) as refused:
        repair(wheel, TARGET, options=options, output=output, runner=Processes())
    assert not output.exists()
    return refused.value


def test_a_wheel_that_lost_its_extension_is_refused(tmp_path: Path) -> None:
    refused = _refused(make_wheel(tmp_path, "demo", "1.0"), Options(demands_extension=True), tmp_path / "out")
    assert "holds no compiled code" in refused.problems[0]


def test_a_pure_wheel_passes_as_it_is(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "demo", "1.0")
    repaired = repair(wheel, TARGET, options=Options(), output=tmp_path / "out", runner=Processes())
    assert repaired.path.read_bytes() == wheel.read_bytes()
    assert repaired.tool == ""


@pytest.mark.parametrize("path", ["/opt/python/lib", "", "$ORIGIN/../../lib"])
def test_a_search_path_that_leaves_the_wheel_is_found(path: str, tmp_path: Path) -> None:
    # as a Python with a shared library leaks it: nothing is grafted, so auditwheel leaves it as it is
    extension = gcc(tmp_path / "_demo.so", EXTENSION.replace("int second_answer(void);", ANSWER), f"-Wl,-rpath,{path}:$ORIGIN")
    refused = _refused(wheel_of(tmp_path, extension.read_bytes(), tag=TAG), Options(), tmp_path / "out")
    assert "demo/_demo.abi3.so: has the search path " + path in refused.problems[0]


def test_an_excluded_library_is_left_to_the_target(built: Built, tmp_path: Path) -> None:
    options = Options(exclude=("libsecond.so.*",), library_paths=(built.libraries,))
    repaired = repair(built.wheel, TARGET, options=options, output=tmp_path, runner=Processes())
    assert repaired.grafted == ()
    assert [str(problem) for problem in audit(repaired.path, TARGET)] == [
        f"demo/_demo.abi3.so: needs libsecond.so.1, which is neither in the wheel nor on every {TARGET.platforms[0]}"
    ]


def test_a_library_that_lies_where_nothing_looks_for_it_is_found(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        extension = archive.read("demo/_demo.abi3.so")
    tag = TAG.replace("linux", "manylinux_2_28")
    hidden = {"demo/hidden/libsecond.so.1": (built.libraries / "libsecond.so.1").read_bytes()}
    found = audit(wheel_of(tmp_path, extension, tag=tag, files=hidden), TARGET)
    assert "libsecond.so.1, which lies in the wheel where nothing looks for it" in str(found[0])


def test_the_sbom_that_auditwheel_writes_is_kept(tmp_path: Path) -> None:
    repaired = _with_own_library("libpcre2-8.so.0", tmp_path)
    assert repaired.sboms == ("demo-1.0.dist-info/sboms/auditwheel.cdx.json",)
    with zipfile.ZipFile(repaired.path) as archive:
        assert b'"name": "libpcre2-8-0"' in archive.read(repaired.sboms[0])
    assert repaired.symbols[0].version.startswith("GLIBC_")


def test_libraries_of_this_host_are_not_grafted_into_what_was_built_for_another_one(tmp_path: Path) -> None:
    # what zig compiles runs on old hosts; a library of this one beside it would not
    with pytest.raises(DistributionError, match=r"libpcre2-8\.so\.0"):
        _with_own_library("libpcre2-8.so.0", tmp_path, options=Options(system_libraries=False))
    assert not (tmp_path / "out").exists()


def test_ours_is_added_where_auditwheel_knows_a_part(built: Built, tmp_path: Path) -> None:
    repaired = _with_own_library("libpcre2-8.so.0", tmp_path, f"-L{built.libraries}", "-lsecond", options=built.options)
    assert [Path(member).name for member in repaired.sboms] == ["auditwheel.cdx.json", "wheelhouse.cdx.json"]
    with zipfile.ZipFile(repaired.path) as archive:
        assert {part["name"] for part in json.loads(archive.read(repaired.sboms[1]))["components"]} > {"libsecond.so.1"}


def _with_own_library(name: str, folder: Path, *arguments: str, options: Options | None = None) -> Repaired:
    """A wheel, repaired for this host, whose extension needs a library of this host's that dpkg knows."""
    library = next(Path("/usr/lib").glob(f"{os.uname().machine}-linux-*/{name}"))
    extension = gcc(
        folder / "_demo.so", EXTENSION.replace("int second_answer(void);", ANSWER), "-Wl,--no-as-needed", str(library), *arguments
    )
    here = next(tag for tag in platform_tags() if tag.startswith("manylinux"))
    wheel = wheel_of(folder, extension.read_bytes(), tag=TAG)
    return repair(wheel, Target.parse(f"cp312-{here}"), options=options or Options(), output=folder / "out", runner=Processes())


def test_a_wheel_for_musl_is_repaired_though_this_host_has_none(tmp_path: Path) -> None:
    # zig and musl-gcc link with libc.so, Alpine with libc.musl-x86_64.so.1: musl's loader takes either for itself
    musl = gcc(tmp_path / "libc.so", "int nothing;\n", "-nostdlib", "-Wl,-soname,libc.so")
    libraries = tmp_path / "lib"
    gcc(libraries / "libsecond.so.1", ANSWER, "-nostdlib", str(musl), "-Wl,-soname,libsecond.so.1")
    (libraries / "libsecond.so").symlink_to("libsecond.so.1")
    wheel = wheel_of(tmp_path, linux_extension(tmp_path, libraries, "-nostdlib", str(musl)), tag=TAG)
    target = Target.parse(f"cp312-musllinux_1_2_{os.uname().machine}")
    repaired = repair(wheel, target, options=Options(library_paths=(libraries,)), output=tmp_path / "out", runner=Processes())
    assert repaired.tags_after == (f"cp32-abi3-musllinux_1_2_{os.uname().machine}",)
    assert [each.library for each in repaired.grafted] == ["libsecond.so.1"]
