from __future__ import annotations

import hashlib
import json
import lzma
import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import frames
from tests.support.contents import held
from tests.support.frames import SMALL, compress
from tests.support.pythons import cpythons
from wheelhouse_builder.pack.decoders import decoders_tar, packed
from wheelhouse_builder.runtime import zstd, zstd_wheel
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.layout import TAR_END, tar_header, tar_padding

OURS = f"cp{sys.version_info[0]}{sys.version_info[1]}"
MACHINE = platform.machine()
FITTING = f"backports_zstd-1.8.0-{OURS}-{OURS}-manylinux_2_17_{MACHINE}.manylinux2014_{MACHINE}.whl"


# Which wheel


@pytest.mark.parametrize(
    ("filename", "fits"),
    [
        (FITTING, True),
        (f"pyzstd-0.16.1-{OURS}-{OURS}-manylinux2014_{MACHINE}.whl", True),
        (f"pyzstd-0.16.1-1-{OURS}-{OURS}-manylinux2014_{MACHINE}.whl", True),
        (f"zstandard-0.25.0-{OURS}-{OURS}-manylinux2014_{MACHINE}.whl", False),
        (f"pyzstd-0.16.1-cp27-cp27mu-manylinux2014_{MACHINE}.whl", False),
        (f"pyzstd-0.16.1-{OURS}-{OURS}-manylinux2014_sparc.whl", False),
        (f"pyzstd-0.16.1-{OURS}-{OURS}-musllinux_1_2_{MACHINE}.whl", False),
        (f"pyzstd-0.16.1-{OURS}-{OURS}-win_amd64.whl", False),
        (f"pyzstd-0.16.1-{OURS}-{OURS}-macosx_11_0_universal2.whl", False),
        ("pyzstd.whl", False),
    ],
)
def test_a_wheel_is_chosen_by_its_tags(filename: str, *, fits: bool) -> None:
    assert zstd_wheel._fits(filename) is fits


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


# Reading the archive


def archive(members: Mapping[str, bytes]) -> bytes:
    """A tar of ``members``, in xz."""
    tar = b"".join(tar_header(path, len(data)) + data + bytes(tar_padding(len(data))) for path, data in members.items())
    return lzma.compress(tar + TAR_END)


def loaded(content: bytes, scratch: Path) -> list[ModuleType]:
    return list(zstd_wheel.load(content, str(scratch)))


@pytest.mark.parametrize(
    "path", ["{}/../../_zstd.so", "../{}/_zstd.evil", "{}/_zstd.py", "{}/__init__.py", "{}/evil.pth", "_zstd.so", "foreign.whl/_zstd.so"]
)
def test_nothing_but_compiled_modules_for_us_is_written(tmp_path: Path, path: str) -> None:
    scratch = tmp_path / "a" / "scratch"
    scratch.mkdir(parents=True)
    before = list(sys.path), set(sys.modules)
    assert loaded(archive({path.format(FITTING): b"evil"}), scratch) == []
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert all(file.name == "_zstd.so" and file.parent.parent == scratch for file in written)
    assert (list(sys.path), set(sys.modules)) == before


def test_a_module_that_cannot_be_imported_is_passed_over(tmp_path: Path) -> None:
    assert loaded(archive({f"{FITTING}/backports/zstd/_zstd.so": b"\x7fELF, not really"}), tmp_path) == []
    (directory,) = tmp_path.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zstd_wheel, "UNPACKED_LIMIT", 1000)
    with pytest.raises(BundleRefused, match="holds more than it may"):
        loaded(archive({f"{FITTING}/_zstd.so": bytes(1000)}), tmp_path)


GOOD = {f"{FITTING}/_zstd.so": b"ten bytes!"}


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda data: data[:-8], "cut off"),
        (lambda data: data + data, "holds more than it may"),
        (lambda data: data[:20] + b"\0\0\0" + data[23:], "xz file"),
        (lambda _: lzma.compress(b"no tar" * 200), "tar archive"),
        (lambda data: lzma.compress(lzma.decompress(data)[:515]), "tar archive"),
    ],
)
def test_a_broken_archive_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], why: str) -> None:
    with pytest.raises(BundleRefused, match=why):
        loaded(damage(archive(GOOD)), tmp_path)


def test_without_lzma_there_is_no_carried_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lzma", None)
    assert loaded(archive(GOOD), tmp_path) == []


# The true decoders, under the Pythons that they are for

SCRIPT = """
import hashlib, json, os, sys
root, archive, frames, scratch = sys.argv[1:]
sys.path.insert(0, root)
from wheelhouse_runtime import zstd
from wheelhouse_runtime.errors import BundleRefused

def read(path):
    with open(path, "rb") as file:
        return file.read()

carried = read(archive)
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
    carried = tmp_path / "decoders.tar.xz"
    carried.write_bytes(packed(decoders_tar(map(held, sorted(wheels.iterdir())))))
    shutil.copytree(Path(zstd.__file__).parent, tmp_path / "root" / "wheelhouse_runtime")
    done = subprocess.run(
        [cpythons()[version], "-I", "-S", "-c", SCRIPT, str(tmp_path / "root"), str(carried), str(sample_frames), str(scratch)],
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
