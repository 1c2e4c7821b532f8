"""A catalogue of much-used projects for many targets, beside a loop of ``pip download`` over a sample of the same cells.

A cell is one project on one target. Both start with nothing. wheelhouse resolves, fetches, checks, audits, rehearses, packs all of it into
one signed file and verifies that; pip downloads, and where it fails, or brings what does not fit the target, that is not held against it.
It is told all the tags that it needs, which a loop by hand leaves out. Like for like is the time until all wheels lie on the disk, though
ours have been read and checked member by member by then.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.utils import canonicalize_name

from tests.bench.measure import Contender, Run, run
from tests.data import DATA
from tests.support.cli import environment, wheelhouse
from wheelhouse_builder.model.target import Target

PLATFORMS = ("manylinux_2_28_x86_64", "win_amd64", "manylinux_2_28_aarch64", "macosx_14_0_arm64", "musllinux_1_2_x86_64")
PYTHONS = ("cp310", "cp311", "cp312", "cp313", "cp314")
SAMPLE = 20
"""Cells that pip is asked for: it takes 1 to 60 seconds for each."""
SPEC = """\
bundle: shelf
version: "1"
kind: catalogue
keep: 1
requirements: {projects}
targets: {targets}
"""
BUNDLE = '"$0" -m wheelhouse_builder bundle -o shelf.whb --key key --effort fast --verbose --json >told.json 2>notes'


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
        (folder / "wheelhouse.yaml").write_text(SPEC.format(projects=json.dumps(projects), targets=json.dumps(targets)))
        wheelhouse("keygen", "--key", "key", cwd=folder)
        command = ("sh", "-ec", f'cd "$1"; {BUNDLE} || {{ tail notes; exit 1; }}', sys.executable, str(folder))
        ours = run(Contender(name="wheelhouse", command=command, env=environment(folder)))
        wheelhouse("verify", "shelf.whb", "--trust", "key.allowed_signers", cwd=folder)
        told, notes = json.loads((folder / "told.json").read_text()), (folder / "notes").read_text().splitlines()
        cells = random.Random(0).sample([(project, target) for project in projects for target in targets], SAMPLE)
        theirs = [_download(project, Target.parse(target), folder) for project, target in cells]
    count = len(projects) * len(targets)
    steps = [f"  {line}" for line in notes if re.fullmatch(r"[a-z ]+: .*( s| times)", line)]
    loop = [_theirs(cell, each) for cell, each in zip(cells, theirs, strict=True)]
    fetched = sum(float(match[1]) for line in notes if (match := re.fullmatch(r"resolving: .* ([\d.]+) s", line)))
    return "\n".join([_ours(ours, told, count), *steps, *loop, _ratio(fetched / count, ours.wall / count, theirs)])


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


def _ours(figures: Run, told: dict[str, Any], cells: int) -> str:
    bundle = told["bundle"]
    return (
        f"wheelhouse: {cells} cells, {len(told['lacking'])} that cannot be had: {figures.wall:.0f} s, {figures.cpu:.0f} s of CPU,"
        f" peak {figures.peak / 1e6:.0f} MB; {bundle['distributions']} files, {bundle['wheels_size'] / 1e6:.0f} MB,"
        f" as one file {bundle['size'] / 1e6:.0f} MB"
    )


def _theirs(cell: tuple[str, str], figures: Run) -> str:
    return f"  pip download {cell[0]} for {cell[1]}: {figures.wall:.1f} s"


def _ratio(fetched: float, whole: float, theirs: list[Run]) -> str:
    """Of a cell: until its wheels lie there, and until all is one file."""
    other = statistics.mean(each.wall for each in theirs)
    return (
        f"a cell takes pip download {other:.2f} s on average; wheelhouse until all wheels lie there {fetched:.4f} s,"
        f" ÷ {other / fetched:.0f}; until they are one signed file {whole:.3f} s, ÷ {other / whole:.0f}"
    )
