"""``wheelhouse verify``: whether a bundle is whole, and who signed it."""

from __future__ import annotations

from typing import Annotated

import typer

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Bases, BundlePath, Quiet, State, Trust, Verbose, Volumes, given, paths
from wheelhouse_builder.runtime.commands import run_verify

EXAMPLES = """
wheelhouse verify acme-web-2026.11.whb --trust allowed_signers
wheelhouse verify acme-web-2026.11.whb --trust allowed_signers --deep
"""


def command(
    file: BundlePath,
    *,
    trust: Trust = None,
    state: State = None,
    volumes: Volumes = None,
    base: Bases = None,
    deep: Annotated[bool, typer.Option("--deep", help="Also rebuild and check each wheel, in the temporary directory.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check the signature and every byte of a bundle.

    A check that cannot be made has failed.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    console.report(
        run_verify(str(file), given(trust), state=given(state), volumes=paths(volumes), bases=paths(base), deep=deep, progress=console)
    )
