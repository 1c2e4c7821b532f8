"""A target is taken only by a host that it was made for, and the best of several is taken."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.handmade import host_of
from tests.support.pythons import cpythons
from wheelhouse_builder.runtime import host as host_module
from wheelhouse_builder.runtime.errors import HostDoesNotFit, UsageError
from wheelhouse_builder.runtime.host import Floor, Host, choose_target, choose_targets, floor_of, misfits, this_host
from wheelhouse_builder.runtime.manifest import Manifest, ManifestTarget

MARKERS = {
    "linux": ("posix", "linux", "Linux"),
    "manylinux": ("posix", "linux", "Linux"),
    "musllinux": ("posix", "linux", "Linux"),
    "macosx": ("posix", "darwin", "Darwin"),
    "win": ("nt", "win32", "Windows"),
}


def markers(python: str, floor: Floor) -> dict[str, str]:
    os_name, sys_platform, system = MARKERS[floor.kind]
    pypy = python.startswith("pp")
    return {
        "implementation_name": "pypy" if pypy else "cpython",
        "os_name": os_name,
        "platform_machine": floor.machine,
        "platform_python_implementation": "PyPy" if pypy else "CPython",
        "platform_system": system,
        "python_version": f"3.{python.rstrip('tdm')[3:]}",
        "sys_platform": sys_platform,
    }


def interpreter_of(python: str) -> str:
    return python.rstrip("tdm")


def abi_of(python: str) -> str:
    return {"pp310": "pypy310_pp73", "pp311": "pypy311_pp73"}.get(python, python)


def host(python: str, platform: str) -> Host:
    floor = floor_of(platform)
    return Host(interpreter_of(python), abi_of(python), floor, markers(python, floor), "/usr/bin/python")


def target(name: str, **changed: Any) -> ManifestTarget:
    python, platform = name.split("-")
    environment: dict[str, str | None] = {**markers(python, floor_of(platform)), "platform_release": None, "python_full_version": "3.12.9"}
    made = ManifestTarget(name, interpreter_of(python), abi_of(python), (platform,), environment, "pip-26.3-py3-none-any.whl", None, ())
    return made._replace(**changed)


def manifest(*names: str) -> Manifest:
    nothing: Any = [()] * len(Manifest._fields)
    return Manifest(*nothing)._replace(name="acme", version="1", targets=tuple(map(target, names)))


@pytest.mark.parametrize(
    ("name", "python", "platform"),
    [
        ("cp312-manylinux_2_28_x86_64", "cp312", "manylinux_2_28_x86_64"),
        ("cp312-manylinux_2_28_x86_64", "cp312", "manylinux_2_41_x86_64"),
        ("cp312-manylinux2014_x86_64", "cp312", "manylinux_2_17_x86_64"),
        ("cp312-linux_x86_64", "cp312", "manylinux_2_17_x86_64"),
        ("cp37m-manylinux_2_17_x86_64", "cp37m", "manylinux_2_36_x86_64"),
        ("cp313t-manylinux_2_34_aarch64", "cp313t", "manylinux_2_39_aarch64"),
        ("cp312-musllinux_1_2_x86_64", "cp312", "musllinux_1_2_x86_64"),
        ("cp312-musllinux_1_1_x86_64", "cp312", "musllinux_1_2_x86_64"),
        ("cp312-macosx_14_0_arm64", "cp312", "macosx_14_0_arm64"),
        ("cp312-macosx_14_0_arm64", "cp312", "macosx_15_3_arm64"),
        ("cp311-macosx_10_15_x86_64", "cp311", "macosx_11_0_x86_64"),
        ("cp312-win_amd64", "cp312", "win_amd64"),
        ("cp312-win_arm64", "cp312", "win_arm64"),
        ("cp311-win32", "cp311", "win32"),
        ("pp310-manylinux_2_28_x86_64", "pp310", "manylinux_2_31_x86_64"),
    ],
)
def test_a_host_that_is_at_least_the_target_fits(name: str, python: str, platform: str) -> None:
    assert misfits(target(name), host(python, platform)) == []


@pytest.mark.parametrize(
    ("name", "python", "platform", "reason"),
    [
        ("cp312-manylinux_2_28_x86_64", "cp312", "manylinux_2_27_x86_64", "at least Linux with glibc 2.28"),
        ("cp312-manylinux_2_28_x86_64", "cp312", "manylinux2014_x86_64", "this is Linux with glibc 2.17"),
        ("cp312-manylinux_2_28_x86_64", "cp312", "manylinux_2_28_aarch64", "on x86_64, this is"),
        ("cp312-manylinux_2_28_x86_64", "cp312", "musllinux_1_2_x86_64", "this is Linux with musl 1.2"),
        ("cp312-musllinux_1_2_x86_64", "cp312", "manylinux_2_28_x86_64", "needs Linux with musl 1.2"),
        ("cp312-musllinux_1_2_x86_64", "cp312", "musllinux_1_1_x86_64", "at least Linux with musl 1.2"),
        ("cp312-musllinux_1_2_x86_64", "cp312", "musllinux_2_0_x86_64", "this is Linux with musl 2.0"),
        ("cp312-manylinux_2_28_x86_64", "cp311", "manylinux_2_28_x86_64", "it is for cp312, this is cp311"),
        ("cp313-manylinux_2_28_x86_64", "cp313t", "manylinux_2_28_x86_64", "the ABI cp313, this Python has cp313t"),
        ("cp313t-manylinux_2_28_x86_64", "cp313", "manylinux_2_28_x86_64", "the ABI cp313t"),
        ("cp312-manylinux_2_28_x86_64", "cp312d", "manylinux_2_28_x86_64", "this Python has cp312d"),
        ("cp37m-manylinux_2_17_x86_64", "cp37", "manylinux_2_17_x86_64", "the ABI cp37m"),
        ("cp310-manylinux_2_17_x86_64", "pp310", "manylinux_2_17_x86_64", "this is pp310"),
        ("pp310-manylinux_2_17_x86_64", "pp311", "manylinux_2_17_x86_64", "this is pp311"),
        ("cp312-macosx_14_0_arm64", "cp312", "macosx_13_6_arm64", "at least macOS 14.0"),
        ("cp312-macosx_14_0_arm64", "cp312", "macosx_14_0_x86_64", "on x86_64"),
        ("cp312-win_amd64", "cp312", "win_arm64", "needs Windows on AMD64, this is Windows on ARM64"),
        ("cp312-win_amd64", "cp312", "win32", "this is Windows on x86"),
        ("cp312-win_amd64", "cp312", "manylinux_2_28_x86_64", "needs Windows"),
    ],
)
def test_a_host_that_differs_is_told_how(name: str, python: str, platform: str, reason: str) -> None:
    assert reason in "; ".join(misfits(target(name), host(python, platform)))


def test_a_marker_that_the_target_was_resolved_for_must_hold() -> None:
    asked = target("cp312-manylinux_2_28_x86_64")
    asked = asked._replace(markers={**asked.markers, "platform_machine": "x86_64-v3"})
    assert misfits(asked, host("cp312", "manylinux_2_28_x86_64")) == [
        "it was resolved for platform_machine 'x86_64-v3', here it is 'x86_64'"
    ]


def test_a_patch_level_and_an_unknown_marker_do_not_count() -> None:
    asked = target("cp312-manylinux_2_28_x86_64")
    asked = asked._replace(markers={**asked.markers, "python_full_version": "3.12.99", "os_name": None})
    assert misfits(asked, host("cp312", "manylinux_2_28_x86_64")) == []


def test_of_several_targets_that_fit_the_highest_floor_is_chosen() -> None:
    offered = manifest(
        "cp312-manylinux_2_17_x86_64", "cp312-manylinux_2_28_x86_64", "cp312-manylinux_2_34_x86_64", "cp313-manylinux_2_28_x86_64"
    )
    assert choose_target(offered, host("cp312", "manylinux_2_31_x86_64")).name == "cp312-manylinux_2_28_x86_64"


def test_without_a_fitting_target_every_one_is_named_with_its_reason() -> None:
    with pytest.raises(HostDoesNotFit) as refusal:
        choose_target(manifest("cp312-win_amd64", "cp313-manylinux_2_28_x86_64"), host("cp311", "manylinux_2_36_x86_64"))
    assert [problem.partition(":")[0] for problem in refusal.value.problems] == ["cp312-win_amd64", "cp313-manylinux_2_28_x86_64"]
    assert "glibc 2.36 on x86_64" in refusal.value.hint


def test_a_target_that_is_named_must_still_fit_to_be_installed() -> None:
    with pytest.raises(HostDoesNotFit, match="needs Windows"):
        choose_target(manifest("cp312-manylinux_2_17_x86_64", "cp312-win_amd64"), host("cp312", "manylinux_2_36_x86_64"), "cp312-win_amd64")


def test_a_target_that_there_is_not_is_a_mistake_in_the_command() -> None:
    with pytest.raises(UsageError) as mistake:
        choose_targets(manifest("cp312-win_amd64"), host("cp312", "win_amd64"), ["cp312-win_amd64", "b", "a"])
    assert mistake.value.problems == ("The bundle has no target 'a'.", "The bundle has no target 'b'.")
    assert "cp312-win_amd64" in mistake.value.hint


def test_targets_to_unpack_need_not_fit() -> None:
    offered = manifest("cp312-macosx_14_0_arm64", "cp312-manylinux_2_17_x86_64", "cp312-win_amd64")
    here = host("cp312", "manylinux_2_36_x86_64")

    def chosen(*wanted: str) -> list[str]:
        return [each.name for each in choose_targets(offered, here, wanted)]

    assert chosen() == ["cp312-manylinux_2_17_x86_64"]
    assert chosen("all") == [each.name for each in offered.targets]
    assert chosen("cp312-win_amd64", "cp312-macosx_14_0_arm64", "cp312-win_amd64") == ["cp312-macosx_14_0_arm64", "cp312-win_amd64"]


def test_this_host_is_the_interpreter_that_runs() -> None:
    here = this_host()
    assert here.interpreter == f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert here.platform.machine == platform.machine()
    assert here.platform.kind == "manylinux"
    assert "glibc {}.{}".format(*here.platform.version) == os.confstr("CS_GNU_LIBC_VERSION")


@pytest.mark.parametrize("version", cpythons())
def test_each_interpreter_gives_the_tag_that_its_pip_would(version: str) -> None:
    python = cpythons()[version]
    found = host_of(python)
    code = "import sysconfig; print(sysconfig.get_config_var('SOABI'))"
    soabi = subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, encoding="utf-8").stdout
    assert found.abi == "cp" + soabi.split("-")[1]
    assert found.interpreter == "cp" + version.replace(".", "")
    assert found.markers["python_version"] == version


def test_musl_is_known_by_the_loader_of_the_interpreter(tmp_path: Path) -> None:
    loader = tmp_path / "ld-musl-x86_64.so.1"
    loader.write_text("#!/bin/sh\nprintf 'musl libc (x86_64)\\nVersion 1.2.5\\nDynamic Program Loader\\n' >&2\nexit 1\n")
    loader.chmod(0o755)
    python = tmp_path / "python"
    python.write_bytes(b"\x7fELF" + bytes(100) + b"\0" + str(loader).encode() + b"\0" + bytes(100))
    assert host_module._musl_version(str(python)) == (1, 2)
    assert host_module._musl_version(sys.executable) is None
    assert host_module._musl_version(str(tmp_path / "nothing")) is None
