"""macOS wheels: delocate, on macOS as it is, elsewhere with repairwheel's stand-ins for the tools of macOS."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair.tools import Ran, run_tool
from wheelhouse_builder.repair.values import Options

CHILD = Path(__file__).with_name("delocate_child.py")


def repair_macos(wheel: Path, target: Target, *, options: Options, scratch: Path, runner: Runner) -> Ran:  # noqa: ARG001
    """Let delocate graft into a copy of ``wheel`` the libraries that are not macOS' own, and sign what it changes, ad hoc."""
    output = scratch / "delocate"
    native = sys.platform == "darwin"
    arguments = ["-m", "delocate.cmd.delocate_wheel"] if native else [str(CHILD)]
    arguments += ["--sanitize-rpaths", "-w", str(output)]
    for library in options.exclude:
        arguments += ["--exclude", max(library.split("*"), key=len)]  # delocate wants a part of the path
    if options.exclude:
        arguments.append("--ignore-missing-dependencies")  # it looks for those that it excludes, too; the audit names the others
    tool = f"delocate {version('delocate')}"
    return run_tool(
        tool if native else f"{tool} with repairwheel {version('repairwheel')}",
        [*arguments, str(wheel)],
        output=output,
        runner=runner,
        environment={"DYLD_LIBRARY_PATH": os.pathsep.join(map(str, options.library_paths))},
        epoch=options.epoch,
        cwd=wheel.parent,
    )
