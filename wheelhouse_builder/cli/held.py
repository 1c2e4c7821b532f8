"""What ``wheelhouse inventory`` and ``wheelhouse request`` share: all but their words."""

from __future__ import annotations

from collections.abc import Callable

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Held, HeldIn, HeldOutput, HeldTrust, HeldVenv, Quiet, Verbose, given, paths
from wheelhouse_builder.runtime.inventory import run_inventory, write_inventory


def teller(about: str, *, request: bool) -> Callable[..., None]:
    """The command whose help says ``about``; ``request``: it tells what this host is, too."""

    def command(
        held: Held = None,
        *,
        prefix: HeldIn = None,
        venv: HeldVenv = None,
        trust: HeldTrust = None,
        output: HeldOutput = None,
        as_json: AsJson = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
        found = run_inventory(given(prefix), given(venv), paths(held), request=request, trust=given(trust))
        console.report(write_inventory(found, str(output)) if output else found)

    command.__doc__ = about
    return command
