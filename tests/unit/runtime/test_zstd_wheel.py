from __future__ import annotations

import hashlib
import json
import platform
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import frames
from tests.support.frames import SMALL, compress
from tests.support.pythons import cpythons
from wheelhouse_builder.runtime import zstd, zstd_wheel
from wheelhouse_builder.runtime.errors import BundleRefused

OURS = f"cp{sys.version_info[0]}{sys.version_info[1]}"
MACHINE = platform.machine()
FITTING = f"decoders/backports_zstd-1.8.0-{OURS}-{OURS}-manylinux_2_17_{MACHINE}.manylinux2014_{MACHINE}.whl"


# Which wheel


@pytest.mark.parametrize(
    ("filename", "module"),
    [
        (FITTING, "backports.zstd"),
        (f"decoders/pyzstd-0.16.1-{OURS}-{OURS}-manylinux2014_{MACHINE}.whl", "pyzstd"),
        (f"decoders/pyzstd-0.16.1-1-{OURS}-{OURS}-manylinux2014_{MACHINE}.whl", "pyzstd"),
        (f"decoders/zstandard-0.25.0-{OURS}-{OURS}-manylinux2014_{MACHINE}.whl", None),
        (f"decoders/pyzstd-0.16.1-cp27-cp27mu-manylinux2014_{MACHINE}.whl", None),
        (f"decoders/pyzstd-0.16.1-{OURS}-{OURS}-manylinux2014_sparc.whl", None),
        (f"decoders/pyzstd-0.16.1-{OURS}-{OURS}-musllinux_1_2_{MACHINE}.whl", None),
        (f"decoders/pyzstd-0.16.1-{OURS}-{OURS}-win_amd64.whl", None),
        (f"decoders/pyzstd-0.16.1-{OURS}-{OURS}-macosx_11_0_universal2.whl", None),
        ("decoders/pyzstd.whl", None),
    ],
)
def test_a_wheel_is_chosen_by_its_tags(filename: str, module: str | None) -> None:
    assert zstd_wheel._fitting_module(filename) == module


@pytest.mark.parametrize(
    ("system", "machine", "tag", "fits"),
    [
        ("darwin", "arm64", "macosx_11_0_arm64", True),
        ("darwin", "arm64", "macosx_10_13_universal2", True),
        ("darwin", "arm64", "macosx_10_13_x86_64", False),
        ("darwin", "x86_64", "manylinux2014_x86_64", False),
    ],
)
def test_macos_wheels_fit_macos(monkeypatch: pytest.MonkeyPatch, system: str, machine: str, tag: str, *, fits: bool) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert zstd_wheel._is_this_platform(tag) is fits


@pytest.mark.parametrize(("tag", "fits"), [("win_amd64", True), ("win32", False), ("win_arm64", False)])
def test_windows_wheels_fit_windows(monkeypatch: pytest.MonkeyPatch, tag: str, *, fits: bool) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("sysconfig.get_platform", lambda: "win-amd64")
    assert zstd_wheel._is_this_platform(tag) is fits


# Unpacking


def archive(path: Path, members: Mapping[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
    return path.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "backports/zstd/../../../evil.py",
        "backports/zstd//evil.py",
        "backports/zstd/.evil",
        "backports/zstd/a\\..\\evil",
        "backports/zstd/c:evil",
    ],
)
def test_a_wheel_that_would_write_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    scratch = tmp_path / "a" / "b" / "scratch"
    scratch.mkdir(parents=True)
    content = archive(tmp_path / "wheel", {"backports/zstd/__init__.py": b"", name: b"evil"})
    with pytest.raises(BundleRefused, match="file named"):
        list(zstd_wheel.load({FITTING: content}, str(scratch)))
    assert not list(tmp_path.rglob("*evil*"))


def test_case_twins_are_refused(tmp_path: Path) -> None:
    content = archive(tmp_path / "wheel", {"backports/zstd/a.py": b"", "backports/zstd/A.py": b""})
    with pytest.raises(BundleRefused, match="same name"):
        list(zstd_wheel.load({FITTING: content}, str(tmp_path)))


def test_a_wheel_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zstd_wheel, "UNPACKED_LIMIT", 9)
    content = archive(tmp_path / "wheel", {"backports/zstd/a.py": b"12345", "backports/zstd/b.py": b"12345"})
    with pytest.raises(BundleRefused, match="more than 9 bytes"):
        list(zstd_wheel.load({FITTING: content}, str(tmp_path)))


@pytest.mark.parametrize("damage", [lambda _: b"", lambda data: data[:-30], lambda data: data.replace(b"ten", b"TEN", 1)])
def test_a_broken_archive_is_refused(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    content = damage(archive(tmp_path / "wheel", {"backports/zstd/__init__.py": b"# ten bytes"}))
    with pytest.raises(BundleRefused, match="not a whole ZIP archive"):
        list(zstd_wheel.load({FITTING: content}, str(tmp_path)))


def test_only_the_package_is_unpacked_and_only_for_us(tmp_path: Path) -> None:
    content = archive(tmp_path / "wheel", {"backports/zstd/__init__.py": b"1/0", "backports/other.py": b"", "evil.pth": b"import evil"})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = list(sys.path)
    assert list(zstd_wheel.load({FITTING: content}, str(scratch))) == []
    (directory,) = scratch.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    files = {file.relative_to(directory).as_posix() for file in directory.rglob("*.p*") if "__pycache__" not in file.parts}
    assert files == {"backports/__init__.py", "backports/zstd/__init__.py"}
    assert sys.path == path


# The true decoders, under the Pythons that they are for

SCRIPT = """
import hashlib, json, os, sys
root, wheels, frames, scratch = sys.argv[1:]
sys.path.insert(0, root)
from wheelhouse_runtime import zstd
from wheelhouse_runtime.errors import BundleRefused

def read(path):
    with open(path, "rb") as file:
        return file.read()

carried = {"decoders/" + name: read(os.path.join(wheels, name)) for name in os.listdir(wheels)}
before = list(sys.path)
decoder = zstd.choose_decoder(carried, scratch)
again = zstd.choose_decoder(carried, scratch)
assert sys.path == before
found = {}
for name in sorted(os.listdir(frames)):
    size = int(name.split("-")[0])
    try:
        found[name] = hashlib.sha256(b"".join(decoder.decompress([read(os.path.join(frames, name))], size))).hexdigest()
    except BundleRefused:
        found[name] = None
print(json.dumps({"decoder": decoder.name, "again": again.name, "unpacked": len(os.listdir(scratch)), "found": found}))
"""

FOR_PYTHON = {
    "3.6": "pyzstd",
    "3.7": "pyzstd",
    "3.8": "pyzstd",
    "3.9": "backports.zstd",
    "3.10": "backports.zstd",
    "3.11": "backports.zstd",
    "3.12": "backports.zstd",
    "3.13": "backports.zstd",
}


@pytest.fixture(scope="module")
def sample_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good frames and malformed ones, named by the size that they should promise."""
    directory = tmp_path_factory.mktemp("frames")
    for number, content in enumerate(frames.contents().values()):
        (directory / f"{len(content)}-good-{number}").write_bytes(compress(content, level=3))
    for number, make in enumerate(frames.DEFECTS):
        (directory / f"{len(SMALL)}-bad-{number}").write_bytes(make())
    return directory


@pytest.mark.network
@pytest.mark.parametrize("version", [version for version in cpythons() if version in FOR_PYTHON])
def test_the_carried_decoder_agrees_with_ours(version: str, sample_frames: Path, tmp_path: Path) -> None:
    wheels, scratch = tmp_path / "wheels", tmp_path / "scratch"
    scratch.mkdir(mode=0o700)
    fetch(FOR_PYTHON[version], version, wheels)
    fetch_for_others(wheels)
    shutil.copytree(Path(zstd.__file__).parent, tmp_path / "root" / "wheelhouse_runtime")
    done = subprocess.run(
        [cpythons()[version], "-I", "-S", "-c", SCRIPT, str(tmp_path / "root"), str(wheels), str(sample_frames), str(scratch)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    name = f"{FOR_PYTHON[version]} from the bundle"
    assert (report["decoder"], report["again"], report["unpacked"]) == (name, name, 1)
    assert report["found"] == expected(sample_frames)


def expected(directory: Path) -> dict[str, str | None]:
    digests = [hashlib.sha256(content).hexdigest() for content in frames.contents().values()]
    return {path.name: digests[int(path.name.split("-")[2])] if "good" in path.name else None for path in directory.iterdir()}


def fetch(project: str, version: str, directory: Path) -> None:
    """Download the wheel of ``project`` that CPython ``version`` takes here, from PyPI."""
    short = version.replace(".", "")
    abi = f"cp{short}m" if version in ("3.6", "3.7") else f"cp{short}"
    platforms = [part for floor in ("2_17", "2_28", "2_34") for part in ("--platform", f"manylinux_{floor}_{MACHINE}")]
    command = [sys.executable, "-m", "pip", "--isolated", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    options = [
        "--only-binary=:all:",
        "--python-version",
        short,
        "--implementation",
        "cp",
        "--abi",
        abi,
        "--platform",
        f"manylinux2014_{MACHINE}",
    ]
    subprocess.run([*command, *options, *platforms, "--dest", str(directory), project], check=True, stdin=subprocess.DEVNULL)


def fetch_for_others(directory: Path) -> None:
    """Wheels that must be passed over."""
    (directory / "backports_zstd-1.8.0-cp314-cp314-win_amd64.whl").write_bytes(b"not for us")
