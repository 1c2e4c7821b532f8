"""Windows wheels: delvewheel, which needs nothing of Windows."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair.tools import Ran, run_tool
from wheelhouse_builder.repair.values import Options


def repair_windows(wheel: Path, target: Target, *, options: Options, scratch: Path, runner: Runner) -> Ran:  # noqa: ARG001
    """Let delvewheel graft into a copy of ``wheel`` the libraries that are not Windows' own."""
    output = scratch / "delvewheel"
    # --no-diagnostic: else the paths of this host are written into the wheel
    arguments = ["-m", "delvewheel", "repair", "--no-diagnostic", "--analyze-existing", "-w", str(output)]
    if options.library_paths:
        arguments += ["--add-path", os.pathsep.join(map(str, options.library_paths))]
    if options.exclude:
        arguments += ["--exclude", os.pathsep.join(options.exclude)]
    return run_tool(
        f"delvewheel {version('delvewheel')}",
        [*arguments, str(wheel)],
        output=output,
        runner=runner,
        environment={"PATH": ""},  # where it would look for libraries
        epoch=options.epoch,
        cwd=wheel.parent,
    )
