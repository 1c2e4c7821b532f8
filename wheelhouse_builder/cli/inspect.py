"""``wheelhouse inspect``: what a bundle says of itself."""

from __future__ import annotations

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, BundlePath, Quiet, Verbose, Volumes, paths
from wheelhouse_builder.runtime.commands import run_inspect

EXAMPLES = """
wheelhouse inspect acme-web-2026.11.whb
wheelhouse inspect acme-web-2026.11.whb --json
"""


def command(file: BundlePath, *, volumes: Volumes = None, as_json: AsJson = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Show what a bundle says of itself; verifies nothing."""
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    console.report(run_inspect(str(file), volumes=paths(volumes)))
