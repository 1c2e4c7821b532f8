"""Timing whole processes, peer beside peer."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

LAUNCHER = """\
import json, resource, subprocess, sys, time
begun = time.perf_counter()
code = subprocess.call(sys.argv[2:])
wall, usage = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as figures:
    json.dump({"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}, figures)
sys.exit(code)
"""
"""Starts the command from a small process: Linux counts the memory of the one that forks as the child's own peak."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One finished command: seconds on the clock, seconds of CPU of all its processes, peak memory of the largest one in bytes."""

    wall: float
    cpu: float
    peak: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A command that does the work, and what has to be made ready, untimed, before each run."""

    name: str
    command: Sequence[str]
    prepare: Callable[[], None] = lambda: None
    env: Mapping[str, str] | None = None


def run(contender: Contender) -> Run:
    """Run it once. Raises RuntimeError when it fails: the time of a failure is no figure."""
    contender.prepare()
    with tempfile.TemporaryFile() as output, tempfile.NamedTemporaryFile() as figures:
        command = [sys.executable, "-I", "-S", "-c", LAUNCHER, figures.name, *contender.command]
        done = subprocess.run(command, env=contender.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{contender.name} failed: {output.read().decode(errors='replace')[-2000:]}")
        return Run(**json.load(figures))


def compare(contenders: Sequence[Contender], runs: int = 5) -> dict[str, list[Run]]:
    """Run all in turn, ``runs`` times, so that a drift of the machine's speed meets each alike."""
    figures: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for _ in range(runs):
        for contender in contenders:
            figures[contender.name].append(run(contender))
    return figures


def table(figures: Mapping[str, Sequence[Run]], peer: str) -> str:
    """Medians, and the median of the ratios to ``peer`` within each round."""
    lines = [f"{'':34}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'÷ ' + peer:>24}"]
    for name, rows in figures.items():
        ratio = statistics.median(row.wall / other.wall for row, other in zip(rows, figures[peer], strict=True))
        wall, cpu = statistics.median(row.wall for row in rows), statistics.median(row.cpu for row in rows)
        lines.append(f"{name:34}{wall:9.2f}{cpu:9.2f}{max(row.peak for row in rows) / 1e6:9.0f}{ratio:24.2f}")
    return "\n".join(lines)
