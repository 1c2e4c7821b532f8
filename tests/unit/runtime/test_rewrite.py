"""Where zlib makes other bytes: the signed content in a container of our own, and honest digests; tried on zlib-ng."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.contents import held, make_lock
from tests.support.pip import bundled_pip
from tests.support.wheels import make_wheel, wheel_members
from tests.support.zips import ZipMember, deflated
from tests.support.zips import write_zip as write_odd_zip
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.pack import Contents, pack
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.headers import Header
from wheelhouse_builder.runtime.rewrite import rewrite
from wheelhouse_builder.runtime.skeleton import VERBATIM, Member, Skeleton

UNDER_ZLIB_NG = """
import runpy, sys
from zlib_ng import zlib_ng
sys.modules["zlib"] = zlib_ng
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PROSE = b"".join(random.Random(number).choice([b"wheel ", b"bundle ", b"lock ", b"index\n", b"target "]) for number in range(20_000))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a dense bundle, ``acme.whb``, whom to trust, and the wheels within."""
    place = tmp_path_factory.mktemp("foreign")
    made = place / "made"
    wheels = [
        make_wheel(made, "prose", "1.0", files={"prose/__init__.py": b"", "prose/text.txt": PROSE}),
        make_wheel(made, "stored", "1.0", compression=zipfile.ZIP_STORED),
        streamed(made),
    ]
    everything = [held(path) for path in (*wheels, bundled_pip())]
    lock = make_lock(Target.parse("this").name, everything[:-1], everything[-1:])
    contents = Contents.gather(name="acme", version="1", locks=[lock], wheels={each.filename: each for each in everything})
    pack(contents, place / "acme.whb", signers=[OURS], effort="fast")
    write_trust(place, OURS)
    return place


def streamed(directory: Path) -> Path:
    """A wheel of whose members one can only be carried as the deflate stream that it is."""
    members = wheel_members(
        "streamed", "1.0", files={"streamed/__init__.py": b"", "streamed/text.txt": PROSE, "streamed/odd.py": b"odd = 1\n" * 3000}
    )
    strategy = {"streamed/odd.py": zlib.Z_HUFFMAN_ONLY}
    odd = [
        ZipMember(name=name, content=data, data=deflated(data, strategy=strategy.get(name, zlib.Z_DEFAULT_STRATEGY)))
        for name, data in members.items()
    ]
    return write_odd_zip(directory / "streamed-1.0-py3-none-any.whl", odd)


def run(place: Path, *arguments: str | Path, expect: int = 0) -> dict[str, Any]:
    """A command of the bundle under zlib-ng; its report, or its error."""
    given = [*arguments, "--trust", place / "allowed_signers", "--state", place / "state.json", "--json"]
    command = [sys.executable, "-I", "-B", "-c", UNDER_ZLIB_NG, place / "acme.whb", *given]
    env = {"PATH": os.defpath, "HOME": str(place)}
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, env=env, check=False, encoding="utf-8")
    assert done.returncode == expect, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


def test_wheels_have_the_signed_content_and_locks_their_digests(place: Path, tmp_path: Path) -> None:
    report = run(place, "unpack", tmp_path / "out")
    rewritten = report["content_identical"]
    assert "prose-1.0-py3-none-any.whl" in rewritten
    assert "streamed-1.0-py3-none-any.whl" in rewritten
    assert "stored-1.0-py3-none-any.whl" not in rewritten
    for original in (place / "made").glob("*.whl"):
        found = tmp_path / "out/wheels" / original.name
        assert contents_of(found) == contents_of(original)
        assert (found.read_bytes() == original.read_bytes()) is (original.name not in rewritten)
    target = tmp_path / "out/targets" / report["targets"][0]
    [*packages] = tomllib.loads((target / "pylock.toml").read_text())["packages"]
    for [wheel] in (package["wheels"] for package in packages):
        data = (target / wheel["path"]).read_bytes()
        assert (wheel["size"], wheel["hashes"]["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert wheel["hashes"]["sha256"] in (target / "requirements.txt").read_text()


def contents_of(wheel: Path) -> list[tuple[str, bytes, int]]:
    with zipfile.ZipFile(wheel) as archive:
        return [(info.filename, archive.read(info), info.external_attr) for info in archive.infolist()]


def test_each_run_writes_the_same_files(place: Path, tmp_path: Path) -> None:
    run(place, "unpack", tmp_path / "one")
    run(place, "unpack", tmp_path / "two")
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name / "wheels").iterdir()} for name in ("one", "two"))
    assert one == two


def test_exact_refuses_and_writes_nothing(place: Path, tmp_path: Path) -> None:
    error = run(place, "unpack", tmp_path / "out", "--exact", expect=9)["error"]
    assert "not stock zlib" in error["problems"][0]
    assert not list(tmp_path.iterdir())
    assert run(place, "install", "--venv", tmp_path / "venv", "--exact", expect=9)["error"]["name"] == "environment"
    assert not list(tmp_path.iterdir())


def test_it_installs(place: Path, tmp_path: Path) -> None:
    report = run(place, "install", "--venv", tmp_path / "venv")
    assert "prose-1.0-py3-none-any.whl" in report["content_identical"]
    subprocess.run([report["python"], "-I", "-c", "import prose, streamed, pip"], check=True)


# What cannot be told anew


def told(skeleton: Skeleton, pool: bytes, out: Path) -> None:
    with out.open("wb") as file:
        rewrite(skeleton, lambda start, length: [pool[start : start + length]], file)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    member = Member(0, len(DEFLATED), VERBATIM)
    with pytest.raises(BundleRefused, match="'a' cannot be written: another"):
        told(Skeleton((member, member), (HEADER, HEADER)), DEFLATED, tmp_path / "out")


DEFLATED = deflated(b"right")
HEADER = Header(0, 20, 0, 8, 0x21 << 16, 0, 0o644 << 16, zlib.crc32(b"right"), 5, b"a")


def test_what_is_verbatim_is_inflated(tmp_path: Path) -> None:
    told(Skeleton((Member(0, len(DEFLATED), VERBATIM),), (HEADER,)), DEFLATED, tmp_path / "out")
    assert contents_of(tmp_path / "out") == [("a", b"right", 0o644 << 16)]


@pytest.mark.parametrize(
    ("changes", "pool", "why"),
    [
        ({}, deflated(b"wrong"), "CRC-32"),
        ({"compression": 0}, b"wrong", "CRC-32"),
        ({}, DEFLATED[:-1], "cut off"),
        ({}, b"\xff" * 9, "invalid"),
        ({"compression": 93}, DEFLATED, "neither"),
        ({"flags": 1}, DEFLATED, "neither"),
        ({"flags": 0x0800, "name": b"\xff"}, DEFLATED, "UTF-8"),
    ],
)
def test_what_cannot_be_told_anew_is_refused(tmp_path: Path, changes: dict[str, Any], pool: bytes, why: str) -> None:
    with pytest.raises(BundleRefused, match=why):
        told(Skeleton((Member(0, len(pool), VERBATIM),), (HEADER._replace(**changes),)), pool, tmp_path / "out")
