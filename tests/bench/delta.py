"""A month later: a fifth of web.in's projects are one version newer, and the delta to that is weighed beside the whole bundle.

Which fifth decides, for one project weighs a thousand times what another does: so several are drawn, and each is told.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.pack import LINUX
from tests.data import DATA
from tests.support.cli import wheelhouse
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve import lock_filename, read_lock

SHARE = 0.2
DRAWS = 3
TARGET = LINUX[0]
SPEC = f"""\
bundle: bench
version: "1"
requirements: [web.in]
constraints: [older.txt]
targets: [{TARGET}]
sign: {{key: key}}
"""


def bench() -> str:
    """Each draw, one line."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        _begin(folder)
        now = _versions(folder)
        whole = _bundle(folder, "whole.whb")
        rows = [_row(folder, draw, now, whole) for draw in range(DRAWS)]
    return "\n".join([f"the whole bundle: {whole / 1e6:.1f} MB", f"{'delta MB':>9}{'÷ whole':>9}  one version newer", *rows])


def _begin(folder: Path) -> None:
    shutil.copy(DATA / "web.in", folder)
    (folder / "wheelhouse.yaml").write_text(SPEC)
    (folder / "older.txt").write_text("")
    wheelhouse("keygen", "--key", "key", cwd=folder)
    wheelhouse("lock", cwd=folder)
    shutil.copy(_lock(folder), folder / "now.toml")


def _row(folder: Path, draw: int, now: Mapping[str, str], whole: int) -> str:
    """Bundle the older set, then the delta from it to the newest one."""
    older = _older(folder, now, random.Random(draw).sample(sorted(now), len(now)))
    _bundle(folder, f"base-{draw}.whb")
    (folder / "older.txt").write_text("")
    shutil.copy(folder / "now.toml", _lock(folder))
    delta = _bundle(folder, f"delta-{draw}.whb", "--base", f"base-{draw}.whb")
    return f"{delta / 1e6:9.1f}{delta / whole:9.3f}  {', '.join(older)}"


def _older(folder: Path, now: Mapping[str, str], order: list[str]) -> list[str]:
    """Lock the set in which at least a fifth of the projects are one version older, taken in this ``order`` where that resolves."""
    held: list[str] = []
    for project in order:
        (folder / "older.txt").write_text("\n".join(f"{each} < {now[each]}" for each in [*held, project]))
        if wheelhouse("lock", cwd=folder, expect=None).code == 0:
            held.append(project)
            found = _versions(folder)
            changed = sorted(each for each in now if found.get(each) != now[each])
            if len(changed) >= SHARE * len(now):
                return changed
    raise RuntimeError("too few projects of web.in have an older version that goes with the others")


def _versions(folder: Path) -> dict[str, str]:
    return {wheel.project: str(wheel.version) for wheel in read_lock(_lock(folder), Target.parse(TARGET)).wheels}


def _lock(folder: Path) -> Path:
    return folder / lock_filename(Target.parse(TARGET))


def _bundle(folder: Path, out: str, *options: str) -> int:
    """The size of what is written."""
    wheelhouse("bundle", "-o", out, "--key", "key", *options, cwd=folder)
    return (folder / out).stat().st_size
