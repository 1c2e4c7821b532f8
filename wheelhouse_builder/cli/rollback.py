"""``wheelhouse rollback``: back to an earlier release."""

from __future__ import annotations

from typing import Annotated

import typer

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Prefix, Quiet, Verbose
from wheelhouse_builder.runtime.releasing import run_rollback

EXAMPLES = """
wheelhouse rollback --prefix /opt/acme
wheelhouse rollback --prefix /opt/acme --to 2026.10
"""


def command(
    *,
    prefix: Prefix,
    to: Annotated[
        str | None,
        typer.Option(metavar="RELEASE", help="Go to this one: its name, or its bundle's version; default: what was in use before."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Go back to the release that was in use before, in one step.

    It must be whole, as it was installed. No bundle is needed.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    console.report(run_rollback(str(prefix), to, progress=console))
