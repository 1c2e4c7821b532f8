"""A monthly update as its user meets it: a delta and its base on volumes, under the oldest and the newest Python, without a network."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.contents import held, make_lock
from tests.support.handmade import host_of
from tests.support.index import LocalIndex
from tests.support.pip import bundled_pip
from tests.support.pythons import cpythons
from tests.support.wheels import make_wheel
from tests.support.workplace import Workplace, publish_acme, this_target, workplace
from wheelhouse_builder.pack import Contents, pack, read_base
from wheelhouse_builder.pack.volumes import split
from wheelhouse_builder.reporter import Silent

OLDEST, *_, NEWEST = cpythons()


def contents(folder: Path, version: str, month: int) -> Contents:
    """A project that is new each month and one that is not, for the Python ``version`` of this host."""
    python = cpythons()[version]
    host = host_of(str(python))
    name = f"{host.interpreter}-manylinux_2_17_{host.platform.machine}"
    stays = {"kept/data.bin": random.Random(0).randbytes(300_000)}
    wheels = [
        held(
            make_wheel(
                folder,
                "app",
                f"1.{month}",
                files={"app/__init__.py": f"MONTH = {month}\n", "app/all.bin": random.Random(1).randbytes(9000)},
            )
        ),
        held(make_wheel(folder, "kept", "1.0", files=stays)),
    ]
    pip = held(bundled_pip(python))
    locks = [make_lock(name, wheels, [pip])]
    return Contents.gather(name="acme", version=f"2026.{month}", locks=locks, wheels={wheel.filename: wheel for wheel in (*wheels, pip)})


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_a_delta_installs_from_volumes_and_its_base(tmp_path: Path, version: str) -> None:
    october, november = (contents(tmp_path / "store", version, month) for month in (10, 11))
    pack(october, tmp_path / "october.whb", signers=[OURS], effort="fast")
    base = read_base(tmp_path / "october.whb")
    pack(november, tmp_path / "november.whb", signers=[OURS], base=base, effort="fast")
    media = {}
    for month, size in (("october", 1_000_000), ("november", 2_000_000)):
        (tmp_path / month).mkdir()
        media[month] = split(tmp_path / f"{month}.whb", size, tmp_path / month, recovery=1, reporter=Silent())
        media[month].volumes[0].rename(tmp_path / f"{month}.lost")
    write_trust(tmp_path, OURS)
    run = (media["november"].volumes + media["november"].recovery)[-1]
    options = ("--venv", "v", "--trust", "allowed_signers", "--state", "state", "--base", "october", "--json")
    done = offline(cpythons()[version], run, "install", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["bundle"]["base"]["version"] == "2026.10"
    assert offline(tmp_path / "v/bin/python", "-c", "import app, kept; print(app.MONTH)", cwd=tmp_path).stdout == "11\n"


def offline(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["unshare", "-rn", *map(str, command)], cwd=cwd, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with LocalIndex(publish_acme(tmp_path_factory.mktemp("published"))) as index:
        yield workplace(tmp_path_factory.mktemp("place"), index)


def test_the_command_makes_reads_and_explains_deltas(place: Workplace) -> None:
    place.run("bundle", "-o", "first.whb")
    make_wheel(place.index.directory, "on-unix", "2.0")
    made = place.run("bundle", "-o", "delta.whb", "--base", "first.whb", "--json").document["bundle"]
    assert made["base"]["digest"] == place.run("inspect", "first.whb", "--json").document["bundle"]["digest"]
    trust = ("--trust", "key.allowed_signers")
    assert "needs acme 1.0" in place.run("verify", "delta.whb", *trust).stdout
    assert "is a delta" in place.run("unpack", "delta.whb", "no", "--target", "all", *trust, expect=11).stderr
    place.run("unpack", "delta.whb", "all", "--target", "all", "--base", "first.whb", *trust)
    assert (place.folder / "all/wheels/on_unix-2.0-py3-none-any.whl").is_file()
    place.run("verify", "delta.whb", "--deep", "--base", "all", *trust)


def test_what_a_host_asks_for_is_the_next_target_and_base(place: Workplace) -> None:
    """One file travels out: what the host is, and what it keeps."""
    place.write_spec(targets=[this_target()], name="monthly")
    (place.folder / "kept").mkdir()
    place.run("bundle", "-o", "kept/october.whb")
    asked = offline(sys.executable, "kept/october.whb", "request", "kept", "-o", "web01.json", cwd=place.folder)
    assert "1 bundles" in asked.stdout, asked.stderr
    make_wheel(place.index.directory, "on-unix", "3.0")
    place.write_spec(targets=["web01.json"], name="monthly")
    made = place.run("bundle", "-o", "november.whb", "--base", "web01.json", "--json").document["bundle"]
    listed = place.run("inspect", "november.whb", "--json").document["distributions"]
    assert {each["project"] for each in listed if not each["from_base"]} == {"on-unix"}
    assert made["base"]["name"] == "monthly"
    done = offline(
        sys.executable, "november.whb", "unpack", "n", "--trust", "key.allowed_signers", "--base", "kept/october.whb", cwd=place.folder
    )
    assert done.returncode == 0, done.stderr
    assert (place.folder / "n/wheels/on_unix-3.0-py3-none-any.whl").is_file()
