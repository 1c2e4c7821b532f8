"""Repair of macOS wheels on Linux: delocate without the tools of macOS, and signatures computed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.macho import write_macho
from tests.support.native import macos_extension, wheel_of
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair import Options, Repaired, audit, repair
from wheelhouse_builder.repair.contents import Contents

TARGET = Target.parse("cp312-macosx_14_0_arm64")
TAG = "cp32-abi3-macosx_13_0_arm64"
SYSTEM = "/usr/lib/libSystem.B.dylib"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A wheel whose extension needs a second library and looks for it where it was built."""
    second = write_macho(tmp_path / "libsecond.dylib", name=f"{tmp_path}/libsecond.dylib", needs=[SYSTEM])
    extension = write_macho(tmp_path / "_demo.so", needs=[str(second), SYSTEM], rpaths=[str(tmp_path)])
    return wheel_of(tmp_path, extension.read_bytes(), tag=TAG)


def _repaired(wheel: Path, output: Path, target: Target = TARGET) -> Repaired:
    return repair(wheel, target, options=Options(), output=output, runner=Processes())


def _check(repaired: Repaired) -> None:
    contents = Contents.of(repaired.path)
    extension = contents.code["demo/_demo.abi3.so"]
    assert set(extension.libraries) == {"@loader_path/.dylibs/libsecond.dylib", SYSTEM}
    assert extension.rpaths == ()
    assert [each.member for each in repaired.grafted] == ["demo/.dylibs/libsecond.dylib"]
    assert repaired.sboms == ("demo-1.0.dist-info/sboms/wheelhouse.cdx.json",)
    assert [code.signature for code in contents.code.values()] == ["", ""]


def test_the_second_library_is_grafted_and_nothing_remembers_where_it_was(built: Path, tmp_path: Path) -> None:
    _check(_repaired(built, tmp_path / "out"))


@pytest.mark.slow
def test_so_it_is_with_code_of_a_true_compiler(tmp_path: Path) -> None:
    leak = f"-Wl,-rpath,{tmp_path}/lib"
    extension = macos_extension(tmp_path, tmp_path / "lib", leak, target="aarch64-macos.13.0")
    _check(_repaired(wheel_of(tmp_path, extension, tag=TAG), tmp_path / "out"))


def test_what_was_changed_without_signing_is_found(tmp_path: Path) -> None:
    code = bytearray(write_macho(tmp_path / "_demo.so", needs=[SYSTEM]).read_bytes())
    code[0x3000] ^= 1
    (found,) = audit(wheel_of(tmp_path, bytes(code), tag=TAG), TARGET)
    assert found.certain
    assert "signature that does not hold" in found.what


def test_what_nobody_signed_is_found(tmp_path: Path) -> None:
    code = write_macho(tmp_path / "_demo.so", needs=[SYSTEM], signed=False).read_bytes()
    (found,) = audit(wheel_of(tmp_path, code, tag=TAG), TARGET)
    assert found.certain
    assert "has no signature" in found.what


def test_repairing_twice_gives_the_same_wheel(built: Path, tmp_path: Path) -> None:
    assert len({_repaired(built, tmp_path / name).sha256 for name in ("one", "two")}) == 1


def test_code_for_a_newer_macos_is_refused(built: Path, tmp_path: Path) -> None:
    with pytest.raises(DistributionError, match=r"was built for macOS 13\.0, the target has 12\.0"):
        _repaired(built, tmp_path / "out", Target.parse("cp312-macosx_12_0_arm64"))
    assert not (tmp_path / "out").exists()


def test_an_excluded_library_is_left_to_the_target(tmp_path: Path) -> None:
    extension = write_macho(tmp_path / "_demo.so", needs=["/opt/vendor/libsecond.dylib", SYSTEM])
    wheel = wheel_of(tmp_path, extension.read_bytes(), tag=TAG)
    options = Options(exclude=("libsecond.*",))
    assert repair(wheel, TARGET, options=options, output=tmp_path / "out", runner=Processes()).grafted == ()


def test_with_exclusions_a_library_that_is_nowhere_is_named_all_the_same(built: Path, tmp_path: Path) -> None:
    (tmp_path / "libsecond.dylib").unlink()
    with pytest.raises(DistributionError, match=r"libsecond\.dylib, which is neither in the wheel nor part of macOS"):
        repair(built, TARGET, options=Options(exclude=("libother.*",)), output=tmp_path / "out", runner=Processes())


def test_a_search_path_that_delocate_leaves_where_it_grafts_nothing_is_refused(built: Path, tmp_path: Path) -> None:
    with pytest.raises(DistributionError, match="has the search path"):
        repair(built, TARGET, options=Options(exclude=("libsecond.*",)), output=tmp_path / "out", runner=Processes())


def test_a_library_that_is_nowhere_is_named(built: Path, tmp_path: Path) -> None:
    (tmp_path / "libsecond.dylib").unlink()
    with pytest.raises(DistributionError, match=r"libsecond\.dylib"):
        _repaired(built, tmp_path / "out")


def test_a_library_and_a_search_path_outside_the_wheel_are_found(built: Path) -> None:
    folder = built.parent
    library, path = map(str, audit(built, TARGET))
    assert library == f"demo/_demo.abi3.so: needs {folder}/libsecond.dylib, which is neither in the wheel nor part of macOS"
    assert path.startswith(f"demo/_demo.abi3.so: has the search path {folder}: a place on the host that built it")
    known = Options(exclude=("libsecond.dylib",))
    assert len(audit(built, TARGET, options=known)) == 1
