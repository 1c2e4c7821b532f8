"""What was packed for every Python of this host is unpacked and installed by each of them, from the file alone, without a network."""

from __future__ import annotations

import json
import os
import random
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.contents import held, make_lock
from tests.support.pip import bundled_pip
from tests.support.pythons import cpythons
from tests.support.wheels import make_wheel
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.pack import Contents, pack
from wheelhouse_builder.runtime.bundle import verify
from wheelhouse_builder.runtime.payload import frames_with
from wheelhouse_builder.runtime.policy import read_trust

OLDEST, *BETWEEN, NEWEST = cpythons()
ELSEWHERE = "cp312-win_amd64"
LARGE = 5 << 20
"""Bytes: a project of this size has a frame of its own."""
MAIN = "import native\n\n\ndef main():\n    print('native is for', native.TAG)\n"


class FarSide:
    """A directory with nothing but a bundle and a trust file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.trust = write_trust(directory, OURS)
        made = directory / "made"
        self.app = make_wheel(made, "app", "1.0", requires=["native"], files={"app.py": MAIN}, entry_points={"app": "app:main"})
        self.native: dict[str, Path] = {}
        noise = random.Random(0).randbytes(LARGE)
        self.large = make_wheel(made, "large", "1.0", files={"large.bin": noise}, compression=zipfile.ZIP_STORED)
        locks, wheels = [], [held(self.app), held(self.large)]
        for name in [*map(target_of, cpythons()), ELSEWHERE]:
            target = Target.parse(name)
            tag = f"{target.interpreter}-{target.abi}-{target.platforms[-1]}"  # the oldest: the pip of Python 3.6 knows no other
            self.native[name] = make_wheel(made, "native", "2.0", tag=tag, files=native_files(tag))
            carried, pip = held(self.native[name]), held(bundled_pip(cpythons().get(version_of(name), "python3")))
            only_there = [held(self.large)] if name == ELSEWHERE else []
            locks.append(make_lock(name, [held(self.app), carried, *only_there], [pip]))
            wheels += [carried, pip]
        contents = Contents.gather(name="acme", version="1.0", locks=locks, wheels={wheel.filename: wheel for wheel in wheels})
        for plain in (False, True):
            pack(contents, self.bundle(plain=plain), signers=[OURS], plain=plain, effort="fast")

    def bundle(self, *, plain: bool) -> Path:
        return self.directory / ("plain.whb" if plain else "dense.whb")


def native_files(tag: str) -> dict[str, str | bytes]:
    return {"native/__init__.py": f"TAG = {tag!r}\n", "native/core.bin": b"\x7fELF" + random.Random(tag).randbytes(100_000)}


def target_of(version: str) -> str:
    return f"cp{version.replace('.', '')}-manylinux_2_17_{os.uname().machine}"


def version_of(target: str) -> str:
    """The Python that a target is for, as "3.12"; empty for one that is not for this host."""
    return f"3.{target.partition('-')[0].removeprefix('cp3')}" if "manylinux" in target else ""


@pytest.fixture(scope="module")
def far_side(tmp_path_factory: pytest.TempPathFactory) -> FarSide:
    return FarSide(tmp_path_factory.mktemp("far"))


def offline(version: str, bundle: Path, *arguments: str | Path, expect: int = 0) -> dict[str, Any]:
    """Run the bundle under one Python in a namespace without a network; the document that it prints."""
    command = ["unshare", "-rn", str(cpythons()[version]), str(bundle), *map(str, arguments), "--json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8")
    assert done.returncode == expect, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("plain", [False, True], ids=["dense", "plain"])
@pytest.mark.parametrize("version", cpythons())
def test_each_python_unpacks_its_own_target(far_side: FarSide, tmp_path: Path, version: str, plain: bool) -> None:
    target = target_of(version)
    report = offline(version, far_side.bundle(plain=plain), "unpack", tmp_path / "out", "--trust", far_side.trust)
    assert report["targets"] == [target]
    expected = {path.name: path.read_bytes() for path in (far_side.app, far_side.native[target], bundled_pip(cpythons()[version]))}
    assert {path.name: path.read_bytes() for path in (tmp_path / "out" / "wheels").iterdir()} == expected
    assert [path.name for path in (tmp_path / "out" / "targets").iterdir()] == [target]


@pytest.mark.parametrize("version", [OLDEST, NEWEST, *[pytest.param(version, marks=pytest.mark.slow) for version in BETWEEN]])
def test_each_python_installs_its_own_target(far_side: FarSide, tmp_path: Path, version: str) -> None:
    venv = tmp_path / "venv"
    report = offline(version, far_side.bundle(plain=False), "install", "--venv", venv, "--trust", far_side.trust)
    assert report["target"] == target_of(version)
    said = subprocess.run([venv / "bin" / "app"], capture_output=True, check=True, encoding="utf-8").stdout
    assert said.startswith(f"native is for {target_of(version).partition('-')[0]}-")
    listed = subprocess.run([venv / "bin" / "pip", "list", "--format=json"], capture_output=True, check=True, encoding="utf-8").stdout
    assert {each["name"] for each in json.loads(listed)} == {"app", "native", "pip"}
    assert [path.name for path in tmp_path.iterdir()] == ["venv"]


@pytest.mark.parametrize("plain", [False, True], ids=["dense", "plain"])
def test_all_targets_at_once(far_side: FarSide, tmp_path: Path, plain: bool) -> None:
    report = offline(NEWEST, far_side.bundle(plain=plain), "unpack", tmp_path / "out", "--trust", far_side.trust, "--target", "all")
    assert report["targets"] == sorted(far_side.native)
    assert len(list((tmp_path / "out" / "wheels").iterdir())) == report["bundle"]["distributions"]


def test_two_targets_of_which_one_is_for_another_host(far_side: FarSide, tmp_path: Path) -> None:
    wanted = [ELSEWHERE, target_of(OLDEST)]
    options = [word for target in wanted for word in ("--target", target)]
    report = offline(NEWEST, far_side.bundle(plain=False), "unpack", tmp_path / "out", "--trust", far_side.trust, *options)
    assert report["targets"] == sorted(wanted)
    native = {path.name for path in (tmp_path / "out" / "wheels").glob("native-*")}
    assert native == {far_side.native[target].name for target in wanted}


def test_a_target_for_another_host_is_not_installed(far_side: FarSide, tmp_path: Path) -> None:
    options = ("--trust", far_side.trust, "--target", ELSEWHERE)
    error = offline(NEWEST, far_side.bundle(plain=False), "install", "--venv", tmp_path / "venv", *options, expect=13)["error"]
    assert "needs Windows on AMD64" in error["problems"][0]
    assert list(tmp_path.iterdir()) == []


def test_damage_stops_only_those_who_need_the_damaged_part(far_side: FarSide, tmp_path: Path) -> None:
    """A chunk is checked before it is decompressed; what a target does not need is not even read."""
    plain = far_side.bundle(plain=True)
    with verify(str(plain), read_trust(str(far_side.trust))) as bundle:
        [damaged] = frames_with(bundle.manifest, [f"wheels/{far_side.large.name}"])
        offset = bundle.frame_offsets[damaged] + LARGE // 2
    data = bytearray(plain.read_bytes())
    data[offset] ^= 1
    copy = tmp_path / "copy.whb"
    copy.write_bytes(data)
    offline(NEWEST, copy, "unpack", tmp_path / "ours", "--trust", far_side.trust)
    offline(NEWEST, copy, "unpack", tmp_path / "theirs", "--trust", far_side.trust, "--target", ELSEWHERE, expect=11)
    offline(NEWEST, copy, "verify", "--trust", far_side.trust, expect=11)
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize("state", ["size=256k", "ro"])
def test_a_disk_that_is_full_or_read_only_is_a_sentence(far_side: FarSide, tmp_path: Path, state: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = f'mount -t tmpfs -o {state} tmpfs "$0" && "$@"; code=$?; ls -A "$0"; exit $code'
    unpack = [str(cpythons()[NEWEST]), str(far_side.bundle(plain=True)), "unpack", str(disk / "out"), "--trust", str(far_side.trust)]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, str(disk), *unpack], capture_output=True, check=False, encoding="utf-8", timeout=60
    )
    assert (done.returncode, done.stdout) == (9, ""), done.stderr
    assert done.stderr.startswith("error: ")
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
