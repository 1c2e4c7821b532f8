"""Unpacking one target of a bundle for two, beside what zlib alone takes, on as many cores, to deflate the content of its wheels again."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.measure import Contender, compare, run, table
from tests.bench.pack import LINUX, fetched, ours
from tests.support.cli import environment
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve import lock_filename, read_lock

DEFLATE = """\
import os, sys, zlib
from concurrent.futures import ThreadPoolExecutor

def deflate(path):
    deflator = zlib.compressobj(6, zlib.DEFLATED, -15)
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            deflator.compress(piece)
    deflator.flush()

paths = sorted((each.path for each in os.scandir(sys.argv[1])), key=os.path.getsize, reverse=True)
with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
    list(threads.map(deflate, paths))
"""


def web() -> str:
    """web.in."""
    return bench("web.in")


def science() -> str:
    """science.in."""
    return bench("science.in")


def bench(requirements: str) -> str:
    """Medians of five rounds, everything in the page cache for both."""
    target, other = LINUX[0], LINUX[-1]
    with TemporaryDirectory() as name:
        folder = Path(name)
        wheels = fetched(folder, requirements, [target, other])
        lock = read_lock(folder / lock_filename(Target.parse(target)), Target.parse(target))
        _write_contents(folder / "contents", (wheels[locked.filename] for locked in lock.wheels))
        way, env = ours(folder, "balanced", target), environment(folder)
        run(Contender(name="bundle", command=way.pack, env=env))
        out = folder / "unpacked"
        contenders = [
            Contender(name="unpack", command=way.unpack, env=env, prepare=lambda: shutil.rmtree(out, ignore_errors=True)),
            Contender(name="deflate", command=(sys.executable, "-c", DEFLATE, str(folder / "contents")), env=env),
        ]
        return table(compare(contenders), peer="deflate")


def _write_contents(folder: Path, wheels: Iterable[Wheel]) -> None:
    """For each wheel a file with what its deflated members hold."""
    folder.mkdir()
    for wheel in wheels:
        with zipfile.ZipFile(wheel.path) as archive, (folder / wheel.filename).open("wb") as out:
            for info in archive.infolist():
                out.write(archive.read(info) if info.compress_type == zipfile.ZIP_DEFLATED else b"")
