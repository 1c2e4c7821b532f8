"""``wheelhouse targets``: the names of targets, and what one of them means."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Quiet, Verbose
from wheelhouse_builder.model.target import Target, friendly_targets
from wheelhouse_builder.resolve import engine_for

EXAMPLES = """
wheelhouse targets
wheelhouse targets rhel9-py311
wheelhouse targets cp313t-manylinux_2_34_aarch64 --json
wheelhouse targets this
"""

BEST_TAGS = 8
"""Tags that are shown; --json has all."""
NAMES_HINT = """
Each of them may be followed by a machine and a Python: debian12-aarch64, rhel9-py311, windows-arm64-py313. The name this is this host.
The full names, as cp312-manylinux_2_28_x86_64, say the same for every Python and platform; wheelhouse targets NAME explains one.
"""

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The target to explain: its name, a friendly name, or this.")]


def command(name: Name = None, *, as_json: AsJson = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """List the friendly names of targets, or explain one target.

    What is explained: its tags, its markers, who resolves for it.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    if name is None:
        _list(console)
    else:
        _explain(Target.parse(name), console)


def _list(console: Console) -> None:
    targets = friendly_targets()
    width = max(map(len, targets))
    lines = [f"{friendly:{width}}  {target}" for friendly, target in targets.items()]
    document = {"command": "targets", "targets": {friendly: target.name for friendly, target in targets.items()}}
    console.result(document, "\n".join(lines) + "\n" + NAMES_HINT.rstrip())


def _explain(target: Target, console: Console) -> None:
    document = {
        "command": "targets",
        "target": target.name,
        "interpreter": target.interpreter,
        "abi": target.abi,
        "floor": target.platforms[0],
        "resolver": engine_for(target),
        "markers": dict(target.markers),
        "tags": list(map(str, target.tags)),
    }
    console.result(document, "\n".join(_told(target, document)))


def _told(target: Target, document: dict[str, Any]) -> list[str]:
    """The explanation, as people read it."""
    width = max(map(len, target.markers))
    best = target.tags[:BEST_TAGS]
    return [
        target.name,
        f"  oldest platform  {target.platforms[0]}",
        f"  resolved by      {document['resolver']}",
        "  markers",
        *(f"    {key:{width}}  {_known(value)}" for key, value in target.markers.items()),
        f"  wheel tags, best first: {len(best)} of {len(target.tags)}",
        *(f"    {tag}" for tag in best),
    ]


def _known(value: str | None) -> str:
    return "only the host can tell: wheelhouse probe" if value is None else value or "(empty)"
