"""``wheelhouse request``: what a host is and holds, for those who make its next bundle."""

from __future__ import annotations

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Held, HeldIn, HeldOutput, HeldVenv, Quiet, Verbose, given, paths
from wheelhouse_builder.runtime.inventory import run_inventory, write_inventory

EXAMPLES = """
wheelhouse request /var/lib/wheelhouse/bundles --prefix /opt/acme -o web01.json
wheelhouse request -o web01.json
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
    """Tell what this host is and what is here: the file that travels out and drives the next delta.

    It is what inventory tells, with what probe tells of this Python. Outside it is a target, targets: [web01.json], and the base of a
    delta, wheelhouse bundle --base web01.json.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    found = run_inventory(given(prefix), given(venv), paths(held), request=True)
    console.report(write_inventory(found, str(output)) if output else found)
