"""Repair of macOS wheels on Linux: true Mach-O code by zig, delocate without the tools of macOS, and signatures computed again."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.support.native import macos_extension, wheel_of
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair import Options, audit, repair
from wheelhouse_builder.repair.contents import Contents

pytestmark = pytest.mark.slow
TARGET = Target.parse("cp312-macosx_14_0_arm64")
TAG = "cp32-abi3-macosx_13_0_arm64"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel whose extension needs a second library and looks for it where it was built; and that library's folder."""
    folder = tmp_path_factory.mktemp("built")
    leak = f"-Wl,-rpath,{folder}/lib"
    extension = macos_extension(folder, folder / "lib", leak, target="aarch64-macos.13.0")
    return wheel_of(folder, extension, tag=TAG), folder / "lib"


def _repaired(built: tuple[Path, Path], output: Path, target: Target = TARGET) -> Path:
    wheel, libraries = built
    return repair(wheel, target, options=Options(library_paths=(libraries,)), output=output, runner=Processes()).path


def test_the_second_library_is_grafted_and_nothing_remembers_where_it_was(built: tuple[Path, Path], tmp_path: Path) -> None:
    contents = Contents.of(_repaired(built, tmp_path))
    extension = contents.code["demo/_demo.abi3.so"]
    assert set(extension.libraries) == {"@loader_path/.dylibs/libsecond.dylib", "/usr/lib/libSystem.B.dylib"}
    assert extension.rpaths == ()
    assert "demo/.dylibs/libsecond.dylib" in contents.code
    assert [code.signature for code in contents.code.values()] == ["", ""]


def test_what_was_changed_without_signing_is_found(built: tuple[Path, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(_repaired(built, tmp_path / "out")) as archive:
        code = bytearray(archive.read("demo/_demo.abi3.so"))
        library = archive.read("demo/.dylibs/libsecond.dylib")
    code[len(code) // 4] ^= 1
    wheel = wheel_of(tmp_path / "changed", bytes(code), tag=TAG, files={"demo/.dylibs/libsecond.dylib": library})
    (found,) = audit(wheel, TARGET)
    assert found.certain
    assert "signature that does not hold" in found.what


def test_repairing_twice_gives_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    assert len({_repaired(built, tmp_path / name).read_bytes() for name in ("one", "two")}) == 1


def test_code_for_a_newer_macos_is_refused(built: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DistributionError, match=r"was built for macOS 13\.0, the target has 12\.0"):
        _repaired(built, tmp_path / "out", Target.parse("cp312-macosx_12_0_arm64"))
    assert not (tmp_path / "out").exists()


def test_a_library_that_is_nowhere_is_named(built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, libraries = built
    hidden = shutil.move(libraries, tmp_path / "elsewhere")
    try:
        with pytest.raises(DistributionError, match=r"libsecond\.dylib"):
            repair(wheel, TARGET, options=Options(), output=tmp_path / "out", runner=Processes())
    finally:
        shutil.move(hidden, libraries)
