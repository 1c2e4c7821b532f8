"""``wheelhouse list``: the releases below a prefix."""

from __future__ import annotations

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Prefix, Quiet, Verbose
from wheelhouse_builder.runtime.releasing import run_list

EXAMPLES = """
wheelhouse list --prefix /opt/acme
wheelhouse list --prefix /opt/acme --json
"""


def command(
    *,
    prefix: Prefix,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the releases below a prefix, the newest first."""
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    console.report(run_list(str(prefix)))
