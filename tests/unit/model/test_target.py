from __future__ import annotations

import platform
import subprocess
import sys

import pytest
from packaging.tags import mac_platforms, sys_tags

from tests.support.pythons import cpythons
from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.facts import facts
from wheelhouse_builder.model.target import Target, friendly_names


@pytest.mark.parametrize(
    ("written", "name", "interpreter", "abi", "floor"),
    [
        ("cp312-manylinux_2_28_x86_64", "cp312-manylinux_2_28_x86_64", "cp312", "cp312", "manylinux_2_28_x86_64"),
        ("cp36-manylinux2014_x86_64", "cp36-manylinux_2_17_x86_64", "cp36", "cp36m", "manylinux_2_17_x86_64"),
        ("cp37m-win_amd64", "cp37-win_amd64", "cp37", "cp37m", "win_amd64"),
        ("cp310-manylinux2010_i686", "cp310-manylinux_2_12_i686", "cp310", "cp310", "manylinux_2_12_i686"),
        ("cp38-manylinux1_x86_64", "cp38-manylinux_2_5_x86_64", "cp38", "cp38", "manylinux_2_5_x86_64"),
        ("cp313t-manylinux_2_34_aarch64", "cp313t-manylinux_2_34_aarch64", "cp313", "cp313t", "manylinux_2_34_aarch64"),
        ("cp312-musllinux_1_2_x86_64", "cp312-musllinux_1_2_x86_64", "cp312", "cp312", "musllinux_1_2_x86_64"),
        ("cp312-macosx_14_5_arm64", "cp312-macosx_14_0_arm64", "cp312", "cp312", "macosx_14_0_arm64"),
        ("cp39-macosx_10_15_x86_64", "cp39-macosx_10_15_x86_64", "cp39", "cp39", "macosx_10_15_x86_64"),
        ("cp314-win_arm64", "cp314-win_arm64", "cp314", "cp314", "win_arm64"),
        ("cp311-win32", "cp311-win32", "cp311", "cp311", "win32"),
        ("pp310-manylinux_2_28_x86_64", "pp310-manylinux_2_28_x86_64", "pp310", "pypy310_pp73", "manylinux_2_28_x86_64"),
        ("pp312-win_amd64", "pp312-win_amd64", "pp312", "pypy312_pp80", "win_amd64"),
        ("cp27mu-manylinux2014_x86_64", "cp27mu-manylinux_2_17_x86_64", "cp27", "cp27mu", "manylinux_2_17_x86_64"),
        ("rhel8-py39", "cp39-manylinux_2_28_x86_64", "cp39", "cp39", "manylinux_2_28_x86_64"),
        ("rocky9", "cp39-manylinux_2_34_x86_64", "cp39", "cp39", "manylinux_2_34_x86_64"),
        ("ubuntu22.04", "cp310-manylinux_2_35_x86_64", "cp310", "cp310", "manylinux_2_35_x86_64"),
        ("debian12-arm64-py3.13t", "cp313t-manylinux_2_36_aarch64", "cp313", "cp313t", "manylinux_2_36_aarch64"),
        ("alpine3.20-py312", "cp312-musllinux_1_2_x86_64", "cp312", "cp312", "musllinux_1_2_x86_64"),
        ("macos14-arm64-py312", "cp312-macosx_14_0_arm64", "cp312", "cp312", "macosx_14_0_arm64"),
        ("windows-py312", "cp312-win_amd64", "cp312", "cp312", "win_amd64"),
        ("windows-x86-py311", "cp311-win32", "cp311", "cp311", "win32"),
    ],
)
def test_a_name_settles_interpreter_abi_and_floor(written: str, name: str, interpreter: str, abi: str, floor: str) -> None:
    target = Target.parse(written)
    assert (target.name, target.interpreter, target.abi, target.platforms[0]) == (name, interpreter, abi, floor)
    assert (target.tags[0].interpreter, target.tags[0].abi, target.tags[0].platform) == (interpreter, abi, floor)
    assert "." not in target.name
    assert Target.parse(target.name) == target


@pytest.mark.parametrize(
    ("written", "wrong", "nearest"),
    [
        ("cp316-win_amd64", "CPython 3.16", "cp315-win_amd64"),
        ("cp312-manylinux_2_99_x86_64", "glibc 2.99", "cp312-manylinux_2_44_x86_64"),
        ("cp312-manylinux_2_4_x86_64", "glibc 2.4", "cp312-manylinux_2_5_x86_64"),
        ("cp312-manylinux_2_12_aarch64", "glibc 2.12", "cp312-manylinux_2_17_aarch64"),
        ("cp312-manylinux_2_28_amd64", "amd64", "cp312-manylinux_2_28_x86_64"),
        ("cp312-linux_x86_64", "which C library", "cp312-manylinux_2_28_x86_64"),
        ("cp312-win64", "win64", "cp312-win_amd64"),
        ("py312-win_amd64", "py312", "cp312-win_amd64"),
        ("cp312t-win_amd64", "no ABI 't'", "cp312-win_amd64"),
        ("cp27-manylinux2014_x86_64", "m or mu", "cp27m-manylinux_2_17_x86_64"),
        ("pp37-win_amd64", "no PyPy 3.7", "pp38-win_amd64"),
        ("cp312-macosx_20_0_arm64", "no macOS 20.0", "cp312-macosx_15_0_arm64"),
        ("cp312-macosx_11_0_universal2", "universal2", "cp312-macosx_11_0_arm64"),
        ("cp36-macosx_11_0_arm64", "no Python 3.6", "cp38-macosx_11_0_arm64"),
        ("cp312-musllinux_1_9_x86_64", "musl 1.9", "cp312-musllinux_1_2_x86_64"),
        ("cp312", "no platform", "cp312-manylinux_2_28_x86_64"),
        ("ubuntu22", "no such name", "ubuntu22.04"),
        ("debain12-py311", "no such name", "debian12"),
        ("windows", "no Python of its own", "cp312-win_amd64"),
    ],
)
def test_a_target_that_does_not_exist_is_refused_with_the_part_that_is_wrong_and_the_nearest_name(
    written: str, wrong: str, nearest: str
) -> None:
    with pytest.raises(SpecError) as caught:
        Target.parse(written)
    assert wrong in str(caught.value)
    assert str(caught.value).endswith(f"the nearest is {nearest}")
    assert caught.value.hint


@pytest.mark.parametrize("name", friendly_names())
def test_every_friendly_name_is_a_target(name: str) -> None:
    assert Target.parse(f"{name}-py312").markers["python_version"] == "3.12"


def test_a_linux_release_has_a_python_of_its_own() -> None:
    for name, release in facts().linux.items():
        assert Target.parse(name).markers["python_version"] == "{}.{}".format(*release.python)


def test_both_halves_are_reported_when_both_are_wrong() -> None:
    with pytest.raises(SpecError, match=r"CPython 3\.16.*which C library.*nearest is cp315-manylinux_2_28_x86_64"):
        Target.parse("cp316-linux_x86_64")


def test_glibc_tags_go_down_to_the_oldest_with_each_legacy_name_after_what_it_means() -> None:
    platforms = Target.parse("cp312-manylinux_2_18_x86_64").platforms
    assert platforms[:4] == ("manylinux_2_18_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_16_x86_64")
    assert platforms[-2:] == ("manylinux_2_5_x86_64", "manylinux1_x86_64")
    assert Target.parse("cp312-manylinux_2_18_aarch64").platforms[-1] == "manylinux2014_aarch64"


def test_wheels_that_are_only_called_linux_are_not_accepted() -> None:
    assert not [tag for tag in Target.parse("debian12").tags if tag.platform.startswith("linux")]


def test_macos_accepts_universal2_and_older_releases() -> None:
    target = Target.parse("cp312-macosx_14_0_arm64")
    assert target.platforms == tuple(mac_platforms((14, 0), "arm64"))
    assert "macosx_11_0_universal2" in target.platforms


def test_free_threaded_python_takes_no_abi3_wheel() -> None:
    abis = {tag.abi for tag in Target.parse("cp314t-win_amd64").tags}
    assert abis == {"cp314t", "abi3t", "none"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library of other systems has no version in tags")
def test_this_is_what_packaging_says_of_the_running_interpreter() -> None:
    """But for ``linux_*`` tags, which no index has."""
    this = Target.parse("this")
    assert list(this.tags) == [tag for tag in dict.fromkeys(sys_tags()) if not tag.platform.startswith("linux_")]
    assert this.markers["platform_release"] == platform.release()
    assert this.markers["python_full_version"] == platform.python_version()


MARKERS = """
import os, platform, sys
print(os.name, sys.platform, platform.machine(), platform.python_implementation(), platform.system(), sys.implementation.name, sep="\\n")
"""


def test_markers_are_those_of_real_pythons_of_every_version_here() -> None:
    keys = ("os_name", "sys_platform", "platform_machine", "platform_python_implementation", "platform_system", "implementation_name")
    for version, python in cpythons().items():
        told = subprocess.run([python, "-c", MARKERS], capture_output=True, text=True, check=True).stdout.split()
        target = Target.parse(f"cp{version.replace('.', '')}-manylinux_2_17_{platform.machine()}")
        assert [target.markers[key] for key in keys] == told


@pytest.mark.parametrize(
    ("name", "machine", "system"),
    [
        ("cp312-win_amd64", "AMD64", "Windows"),
        ("cp312-win_arm64", "ARM64", "Windows"),
        ("cp312-macosx_14_0_arm64", "arm64", "Darwin"),
        ("cp312-manylinux_2_28_aarch64", "aarch64", "Linux"),
    ],
)
def test_machines_are_called_what_their_system_calls_them(name: str, machine: str, system: str) -> None:
    markers = Target.parse(name).markers
    assert (markers["platform_machine"], markers["platform_system"]) == (machine, system)
    assert len(markers) == 11
    assert markers["platform_release"] is None
    assert markers["platform_version"] is None
    assert markers["python_full_version"] == facts().cpython[3, 12]


def test_pypy_counts_its_own_versions() -> None:
    markers = Target.parse("pp311-win_amd64").markers
    assert markers["implementation_version"] != markers["python_full_version"]
    assert markers["platform_python_implementation"] == "PyPy"
