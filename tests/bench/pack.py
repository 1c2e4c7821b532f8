"""What a bundle weighs, and what packing and unpacking it costs, beside general compressors of the same wheels."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.measure import Contender, Run, run
from tests.data import DATA
from tests.support.cli import environment, wheelhouse
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.fetch import fetch
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.pack import EFFORTS
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import lock_filename, read_lock

LINUX = tuple(f"cp3{minor}-manylinux_2_28_x86_64" for minor in (12, 10, 11, 13))
OTHERS = ("cp312-win_amd64", "cp312-macosx_14_0_arm64", "cp312-manylinux_2_28_aarch64")


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A way to carry the wheels: one file at ``out``, and back."""

    name: str
    out: Path
    pack: Sequence[str]
    unpack: Sequence[str]


SETS = {"pack": LINUX[:1], "pack-4": LINUX, "pack-7": LINUX + OTHERS}
"""web.in for one target, for four CPythons, and also for Windows, macOS and another processor."""
PARTS: dict[str, tuple[bool, Sequence[str]]] = {
    "": (True, tuple(EFFORTS)),
    "-peers": (True, ()),
    "-usual": (False, ("fast", "balanced")),
    "-max": (False, ("max",)),
}
"""A whole table takes up to an hour of CPU; by these names its parts run alone: whether with the peers, and our efforts."""


def benches() -> dict[str, Callable[[], str]]:
    """By name: each table, and each part of it."""
    return {
        name + part: partial(bench, "web.in", targets, peers=peers, efforts=efforts)
        for name, targets in SETS.items()
        for part, (peers, efforts) in PARTS.items()
    }


def science() -> str:
    """science.in for three CPythons, with the usual effort only."""
    return bench("science.in", LINUX[:1] + LINUX[2:], peers=False, efforts=("balanced",))


def bench(requirements: str, targets: Sequence[str], *, peers: bool = True, efforts: Iterable[str] = EFFORTS) -> str:
    """The table for ``targets``: each way packs once and unpacks the first target (or all wheels) once."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        total = sum(wheel.size for wheel in fetched(folder, requirements, targets).values())
        ways = [*(_peers(folder) if peers else ()), *(ours(folder, effort, targets[0]) for effort in efforts)]
        rows = [_row(way, folder, total) for way in ways]
    wheels = f"{'the wheels':28}{total / 1e6:9.1f}{1:9.3f}"
    return "\n".join(
        [f"{'':28}{'MB':>9}{'÷ wheels':>9}{'pack s':>9}{'CPU s':>9}{'peak MB':>9}{'unpack s':>9}{'CPU s':>9}{'peak MB':>9}", wheels, *rows]
    )


def fetched(folder: Path, requirements: str, targets: Sequence[str]) -> dict[str, Wheel]:
    """Lock and fetch into ``folder``; links to the wheels in ``wheels``. Returns all wheels by file name, without what installs them."""
    shutil.copy(DATA / requirements, folder)
    spec = ["bundle: bench", 'version: "1"', f"requirements: [{requirements}]", f"targets: [{', '.join(targets)}]", "sign: {key: key}"]
    (folder / "wheelhouse.yaml").write_text("\n".join([*spec, ""]))
    wheelhouse("keygen", "--key", "key", cwd=folder)
    wheelhouse("lock", cwd=folder)
    locks = [read_lock(folder / lock_filename(target), target) for target in map(Target.parse, targets)]
    store = Store(folder / "home/.cache/wheelhouse")
    with IndexClient() as client:
        fetch([wheel for lock in locks for wheel in lock.bootstrap], store, client=client, reporter=Silent())
        wheels = fetch([wheel for lock in locks for wheel in lock.wheels], store, client=client, reporter=Silent())
    (folder / "wheels").mkdir()
    for filename, wheel in wheels.items():
        (folder / "wheels" / filename).symlink_to(wheel.path)
    return wheels


def _peers(folder: Path) -> list[Way]:
    tar = f"tar -C {folder} --sort=name -ch wheels"
    return [
        _piped(folder, "tar | zstd -19 --long=27", f"{tar} | zstd -19 --long=27 -T0 -q", "zstd -d --long=27 -q"),
        _piped(folder, "tar | xz -9", f"{tar} | xz -9", "xz -d"),
    ]


def _piped(folder: Path, name: str, pack: str, unpack: str) -> Way:
    out = folder / "out.tar"
    return Way(
        name=name, out=out, pack=("sh", "-c", f"{pack} > {out}"), unpack=("sh", "-c", f"{unpack} < {out} | tar -C {folder}/unpacked -x")
    )


def ours(folder: Path, effort: str, target: str) -> Way:
    """Our way: the command line packs, and the bundle unpacks ``target`` itself."""
    out = folder / f"{effort}.whb"
    pack = (
        sys.executable,
        "-m",
        "wheelhouse_builder",
        "bundle",
        str(folder),
        "--key",
        str(folder / "key"),
        "-o",
        str(out),
        "--effort",
        effort,
    )
    trust = ("--trust", str(folder / "key.allowed_signers"), "--state", str(folder / f"{effort}.json"))
    unpack = (sys.executable, str(out), "unpack", str(folder / "unpacked"), "--target", target, *trust)
    return Way(name=f"wheelhouse, {effort}", out=out, pack=pack, unpack=unpack)


def _row(way: Way, folder: Path, total: int) -> str:
    env = environment(folder)
    packed = run(Contender(name=way.name, command=way.pack, env=env))
    unpacked = run(Contender(name=way.name, command=way.unpack, env=env, prepare=lambda: _empty(folder / "unpacked")))
    size = way.out.stat().st_size
    return f"{way.name:28}{size / 1e6:9.1f}{size / total:9.3f}{_figures(packed)}{_figures(unpacked)}"


def _figures(figures: Run) -> str:
    return f"{figures.wall:9.1f}{figures.cpu:9.1f}{figures.peak / 1e6:9.0f}"


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
