"""A catalogue of much-used projects for many targets, beside a loop of ``pip download`` over a sample of the same cells.

A cell is one project on one target. Both start with nothing. wheelhouse resolves, fetches, checks and rehearses; pip downloads, and where
it fails, or brings what does not fit the target, that is not held against it. It is told all the tags that it needs, which a loop by
hand leaves out.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.utils import canonicalize_name

from tests.bench.measure import Contender, Run, run
from tests.data import DATA
from tests.support.cli import environment
from wheelhouse_builder.model.target import Target

PLATFORMS = ("manylinux_2_28_x86_64", "win_amd64", "manylinux_2_28_aarch64", "macosx_14_0_arm64", "musllinux_1_2_x86_64")
PYTHONS = ("cp310", "cp311", "cp312", "cp313", "cp314")
SAMPLE = 6
"""Cells that pip is asked for: it takes 5 to 60 seconds for each."""
CATALOGUE = """\
import json, sys
from dataclasses import replace
from pathlib import Path
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.fetch import Fetched
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.rehearse import rehearse
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import Requirements
from wheelhouse_builder.resolve.catalogue import resolve_catalogue
asked, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[1]).parent
store = Store(out / "store")
with IndexClient() as client:
    fetched = Fetched(store=store, client=client, reporter=Silent(), excused={})
    requirements = replace(Requirements.from_texts(*asked["projects"]), keep=1)
    targets = [Target.parse(name) for name in asked["targets"]]
    locks = resolve_catalogue(requirements, targets, pages=client, cache=store.root, bring=fetched.good_ones)
    wheels = fetched.all(file for lock in locks for file in lock.files)
    rehearse(locks, wheels)
    told = {"files": len(wheels), "bytes": sum(wheel.size for wheel in wheels.values()), "requests": client.requests}
    told["cells"] = sum(len(lock.closures or ()) for lock in locks)
    told["lacking"] = sum(len(lock.lacking) for lock in locks)
(out / "told.json").write_text(json.dumps(told))
"""


def some() -> str:
    """50 projects × 4 targets."""
    return _bench(_projects(50), [f"{python}-{platform}" for python in PYTHONS[2:4] for platform in PLATFORMS[:2]])


def all_of_them() -> str:
    """300 projects × 25 targets."""
    return _bench(_projects(300), [f"{python}-{platform}" for python in PYTHONS for platform in PLATFORMS])


def _projects(count: int) -> list[str]:
    return (DATA / "top-1000-projects.txt").read_text().split()[:count]


def _bench(projects: list[str], targets: list[str]) -> str:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "asked.json").write_text(json.dumps({"projects": projects, "targets": targets}))
        ours = run(
            Contender(
                name="wheelhouse",
                command=(sys.executable, "-c", CATALOGUE, str(folder / "asked.json")),
                env=environment(folder),
            )
        )
        told = json.loads((folder / "told.json").read_text())
        cells = random.Random(0).sample([(project, target) for project in projects for target in targets], SAMPLE)
        theirs = [_download(project, Target.parse(target), folder) for project, target in cells]
    return "\n".join(
        [_ours(ours, told), *(_theirs(cell, each) for cell, each in zip(cells, theirs, strict=True)), _ratio(ours, told, theirs)]
    )


def _download(project: str, target: Target, folder: Path) -> Run:
    """One round of the loop. What pip says at its end is not asked: it may find nothing."""
    version = str(target.markers["python_version"])
    platforms = [word for platform in target.platforms[:30] for word in ("--platform", platform)]
    command = (
        f"{sys.executable} -m pip download -q --no-cache-dir --only-binary :all: --python-version {version} -d {folder / 'pip'}".split()
    )
    return run(
        Contender(
            name="pip download",
            command=("sh", "-c", '"$@" || true', "sh", *command, *platforms, canonicalize_name(project)),
            env={**environment(folder), "PIP_CONFIG_FILE": "/dev/null"},
        )
    )


def _ours(figures: Run, told: dict[str, int]) -> str:
    return (
        f"wheelhouse: {told['cells']} cells, {told['lacking']} that cannot be had: {figures.wall:.0f} s, {figures.cpu:.0f} s of CPU,"
        f" peak {figures.peak / 1e6:.0f} MB; {told['files']} files, {told['bytes'] / 1e6:.0f} MB, {told['requests']} requests"
    )


def _theirs(cell: tuple[str, str], figures: Run) -> str:
    return f"  pip download {cell[0]} for {cell[1]}: {figures.wall:.1f} s"


def _ratio(ours: Run, told: dict[str, int], theirs: list[Run]) -> str:
    mine = ours.wall / (told["cells"] + told["lacking"])
    other = statistics.mean(each.wall for each in theirs)
    return f"a cell takes wheelhouse {mine:.3f} s and pip download {other:.1f} s on average: ÷ {other / mine:.0f}"
