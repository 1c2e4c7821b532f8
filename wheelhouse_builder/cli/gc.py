"""``wheelhouse gc``: old releases go away."""

from __future__ import annotations

from typing import Annotated

import typer

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Prefix, Quiet, Verbose
from wheelhouse_builder.runtime.releasing import KEPT, run_gc

EXAMPLES = """
wheelhouse gc --prefix /opt/acme
wheelhouse gc --prefix /opt/acme --keep 3
"""


def command(
    *,
    prefix: Prefix,
    keep: Annotated[int, typer.Option(metavar="N", help="How many stay, the one in use counted.")] = KEPT,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Take old releases away, never the one in use."""
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    console.report(run_gc(str(prefix), keep, progress=console))
