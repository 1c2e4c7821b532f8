"""Linux wheels: auditwheel, told the target's floor, so that it leaves out only libraries that a system that old has."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair.policies import policy_of
from wheelhouse_builder.repair.tools import Ran, run_tool
from wheelhouse_builder.repair.values import Options

CHILD = Path(__file__).with_name("auditwheel_child.py")
MUSL_ITSELF = "libc.so"
"""What musl is linked as, where it was not built by Alpine; its loader knows that it is meant. glibc has another name."""
ANY = "auto"
"""auditwheel's word for the oldest platform that the code allows."""


def repair_linux(wheel: Path, target: Target, *, options: Options, scratch: Path, runner: Runner) -> Ran:
    """Let auditwheel graft into a copy of ``wheel`` what it needs and ``target`` has not.

    When that fails for the target's floor, it is tried without one: then the audit can name what asks for more than the target has.
    Raises DistributionError when auditwheel has no policy for the target.
    """
    policy = policy_of(target.platforms[0])
    if policy is None:
        raise DistributionError(
            f"{wheel.name}: auditwheel has no policy for {target.platforms[0]}, so nobody can say which libraries it has",
            hint="name a newer platform in the targets, or leave the project out for this one",
        )
    ran = _auditwheel(wheel, policy.platform, policy.platform, options, scratch / "floor", runner, foreign=_is_foreign(target))
    if ran.wheel is None:
        higher = _auditwheel(wheel, policy.platform, ANY, options, scratch / ANY, runner, foreign=_is_foreign(target))
        ran = ran if higher.wheel is None else higher
    return ran


def _auditwheel(wheel: Path, host: str, platform: str, options: Options, output: Path, runner: Runner, *, foreign: bool) -> Ran:
    """Run it as if on ``host``, for ``platform``."""
    arguments = [str(CHILD), host, "repair", "--plat", platform, "-w", str(output)]
    for library in (MUSL_ITSELF, *options.exclude):
        arguments += ["--exclude", library]
    paths = os.pathsep.join(map(str, options.library_paths))
    environment = {"AUDITWHEEL_LD_LIBRARY_PATH": paths}  # comes before the system's
    if foreign or not options.system_libraries:
        arguments += ["--ldpaths", paths]  # comes instead of the system's
    return run_tool(
        f"auditwheel {version('auditwheel')}",
        [*arguments, str(wheel)],
        output=output,
        runner=runner,
        environment=environment,
        epoch=options.epoch,
        cwd=wheel.parent,
    )


def _is_foreign(target: Target) -> bool:
    """Whether libraries of this host are nothing for the target: another system, another machine, another C library."""
    return (
        sys.platform != "linux"
        or target.markers["platform_machine"] != os.uname().machine
        or not target.platforms[0].startswith("manylinux_")
    )
