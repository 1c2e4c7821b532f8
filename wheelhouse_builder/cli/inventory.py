"""``wheelhouse inventory``: what a host or a prefix holds."""

from __future__ import annotations

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Held, HeldIn, HeldOutput, HeldVenv, Quiet, Verbose, given, paths
from wheelhouse_builder.runtime.inventory import run_inventory, write_inventory

EXAMPLES = """
wheelhouse inventory --prefix /opt/acme
wheelhouse inventory acme-web-2026.10.whb /srv/wheelhouse -o inventory.json
"""


def command(
    held: Held = None,
    *,
    prefix: HeldIn = None,
    venv: HeldVenv = None,
    output: HeldOutput = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Tell what is here: installed, in bundles that were kept, and in directories of wheels.

    One JSON document. Nothing is verified. Of what is installed no wheel can be made again bit for bit, so a delta leaves out only what is
    in the bundles and directories that are named here.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    found = run_inventory(given(prefix), given(venv), paths(held))
    console.report(write_inventory(found, str(output)) if output else found)
