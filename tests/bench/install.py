"""Installing 43 wheels (270 MB) on CPython 3.12: our engines beside bare pip, from an unpacked wheelhouse, and uv.

Verification and rebuilding are ours alone to do, and are in our figures. What the peers do not do is told by step, and there is a line
without it: the environment, which is made for them before the clock starts, audit, trial (do requirements fit, imports), the disk's part.
Nothing is deleted before the end, which takes 20 GB: for minutes, ext4 passes over each inode of what was deleted when it looks for a free
one, and so would charge each run for the files of the one before.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import uv

from tests.bench.measure import Contender, Run, compare, table
from tests.data import DATA
from tests.support.cli import environment, wheelhouse
from tests.support.pythons import cpythons

PYTHON = "3.12"
TARGET = "cp312-manylinux_2_28_x86_64"
WAYS = {"pip": ("pip", "web.whb"), "direct": ("direct", "web.whb"), "carried": ("direct", "carried.whb")}
"""Engine and bundle; carried: the bytecode."""
RUNS = 5
BESIDE = ("making the environment", "auditing", "trying it out", "writing to the disk")
"""Steps that the peers do not have; none runs while another does."""
PIP = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('pip', run_name='__main__', alter_sys=True)"


def bench() -> str:
    """Medians of five rounds, all compiling and none, and what each step of ours took in the last round."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        return "\n\n".join(_round(folder, title, compiling=compiling) for title, compiling in (("all compile", True), ("none does", False)))


def _round(folder: Path, title: str, *, compiling: bool) -> str:
    said = {way: folder / f"{way}-{compiling}.jsonl" for way in WAYS}
    figures = compare(_contenders(folder, said, compiling=compiling), RUNS)
    steps = {way: [json.loads(line)["seconds"] for line in path.read_text().splitlines()] for way, path in said.items()}
    rows = {**figures, **{f"{_ours(way)}, as they do": _alone(figures[_ours(way)], steps[way]) for way in WAYS}}
    told = [f"{_ours(way)}: " + ", ".join(f"{what} {seconds:.2f}" for what, seconds in steps[way][-1].items()) for way in WAYS]
    return "\n".join([title, table(rows, peer="pip"), "", table(rows, peer="uv"), "", *told])


def _ours(way: str) -> str:
    return f"wheelhouse {way}"


def _alone(runs: Sequence[Run], steps: Sequence[Mapping[str, float]]) -> list[Run]:
    """The runs without what the peers do not do."""
    return [replace(run, wall=run.wall - sum(step.get(what, 0) for what in BESIDE)) for run, step in zip(runs, steps, strict=True)]


def _prepare(folder: Path) -> None:
    """A bundle of web.in, and the same unpacked."""
    shutil.copy(DATA / "web.in", folder)
    lines = ["bundle: bench", 'version: "1"', "requirements: [web.in]", f"targets: [{TARGET}]", "sign: {key: key}", ""]
    (folder / "wheelhouse.yaml").write_text("\n".join(lines))
    wheelhouse("keygen", "--key", "key", cwd=folder)
    wheelhouse("bundle", "-o", "web.whb", "--effort", "fast", cwd=folder)
    (folder / "wheelhouse.yaml").write_text("\n".join([*lines, "bytecode: true", ""]))
    wheelhouse("bundle", "-o", "carried.whb", "--effort", "fast", cwd=folder, env={"PATH": f"{cpythons()[PYTHON].parent}:/usr/bin:/bin"})
    wheelhouse("unpack", "web.whb", "house", "--target", TARGET, "--trust", "key.allowed_signers", cwd=folder)


def _contenders(folder: Path, said: Mapping[str, Path], *, compiling: bool) -> list[Contender]:
    env = {**environment(folder), "PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1"}
    python, venv, house, cache = cpythons()[PYTHON], folder / "venv", folder / "house", folder / "cache"
    [pip] = (house / "wheels").glob("pip-*.whl")
    offline = ("--no-index", "--require-hashes", "--no-deps", "--find-links", house / "wheels")
    asked = tuple(map(str, (*offline, "-r", house / "targets" / TARGET / "requirements.txt")))
    fresh = partial(_fresh, python, venv, cache)
    by_pip = (str(venv / "bin/python"), "-I", "-c", PIP, str(pip), "install", "--isolated", "-q", "--no-cache-dir", "--no-input", *asked)
    by_uv = (uv.find_uv_bin(), "pip", "install", "-q", "--offline", "--cache-dir", str(cache), "--python", str(venv / "bin/python"), *asked)
    return [
        Contender(name="pip", command=(*by_pip, *([] if compiling else ["--no-compile"])), prepare=fresh, env=env),
        Contender(name="uv", command=(*by_uv, *(["--compile-bytecode"] if compiling else [])), prepare=fresh, env=env),
        *(_contender(folder, way, said[way], env, compiling=compiling) for way in WAYS),
    ]


def _contender(folder: Path, way: str, said: Path, env: Mapping[str, str], *, compiling: bool) -> Contender:
    """``install`` from the bundle's own reader; its report is kept, one line a run."""
    venv, (engine, bundle) = folder / "venv", WAYS[way]
    install = [cpythons()[PYTHON], folder / bundle, "install", "--venv", venv, "--engine", engine, "--json"]
    install += ["--trust", folder / "key.allowed_signers", "--state", folder / "state.json", *([] if compiling else ["--no-compile"])]
    command = f"{shlex.join(map(str, install))} > {said}.one && tr -d '\\n' < {said}.one >> {said} && echo >> {said}"
    return Contender(name=_ours(way), command=("sh", "-c", command), prepare=partial(_put_aside, venv), env=env)


def _fresh(python: Path, venv: Path, cache: Path) -> None:
    """An empty environment, and an empty cache of uv's."""
    for path in (venv, cache):
        _put_aside(path)
    subprocess.run([python, "-I", "-m", "venv", "--without-pip", venv], check=True)


def _put_aside(path: Path) -> None:
    """Out of the way, not deleted; and on the disk, so that the next run does not wait for that."""
    if path.exists():
        path.rename(Path(mkdtemp(prefix="used-", dir=path.parent)) / path.name)
    os.sync()
