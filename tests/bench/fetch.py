"""Fetching a locked set of 43 wheels (84 MB) into a cold store, beside pip and uv with cold caches."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import uv

from tests.bench.measure import Contender, compare, table
from tests.data import DATA
from tests.support.cli import environment, wheelhouse
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve import read_lock

TARGET = "cp312-manylinux_2_28_x86_64"
SPEC = f"""\
bundle: bench
version: "1"
requirements: [web.in]
targets: [{TARGET}]
"""
WEB = DATA / "web.in"
FETCH = """\
import sys
from pathlib import Path
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.fetch import fetch
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import read_lock
lock = read_lock(Path(sys.argv[1]), Target.parse(sys.argv[2]))
with IndexClient() as client:
    assert len(fetch(lock.wheels, Store(Path(sys.argv[3])), client=client, reporter=Silent())) == len(lock.wheels)
"""
"""The fetch stage alone, in a process of its own."""


def bench() -> str:
    """Medians of five rounds; each round fetches anew, from the first byte."""
    with TemporaryDirectory() as folder:
        return table(compare(_contenders(_locked(Path(folder)))), peer="uv")


def _locked(folder: Path) -> Path:
    """A folder with a lock of web.in, and the same as a hashed requirements file for the peers."""
    shutil.copy(WEB, folder)
    (folder / "wheelhouse.yaml").write_text(SPEC)
    wheelhouse("lock", cwd=folder)
    lock = read_lock(folder / f"pylock.{TARGET}.toml", Target.parse(TARGET))
    lines = [f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in lock.wheels]
    (folder / "requirements.txt").write_text("".join(lines))
    return folder


def _contenders(folder: Path) -> list[Contender]:
    env = {**environment(folder), "PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1"}
    out = folder / "out"
    empty = partial(_empty, out)
    asked = ("--no-deps", "--require-hashes", "--requirement", str(folder / "requirements.txt"))
    foreign = ("--python-version", "3.12", "--only-binary", ":all:")
    platforms = [word for minor in (28, 17) for word in ("--platform", f"manylinux_2_{minor}_x86_64")]
    older = ("--platform", "manylinux2014_x86_64", "--platform", "manylinux1_x86_64")
    by_uv = (uv.find_uv_bin(), "pip", "install", "--python-platform", "x86_64-manylinux_2_28", "--no-build", "--python-version", "3.12")
    return [
        Contender(
            name="wheelhouse, fetch",
            command=(sys.executable, "-c", FETCH, str(folder / f"pylock.{TARGET}.toml"), TARGET, str(out)),
            prepare=empty,
            env=env,
        ),
        Contender(
            name="uv",
            command=(*by_uv, *asked, "--cache-dir", str(out / "cache"), "--target", str(out / "tree"), "--no-progress"),
            prepare=empty,
            env=env,
        ),
        Contender(
            name="pip download",
            command=(sys.executable, "-m", "pip", "download", "-q", "--no-cache-dir", *asked, *foreign, *platforms, *older, "-d", str(out)),
            prepare=empty,
            env=env,
        ),
    ]


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
