"""``wheelhouse unpack``: a verified bundle becomes a directory for pip and uv."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import (
    AllowRollback,
    AsJson,
    Bases,
    BundlePath,
    Exact,
    Quiet,
    State,
    Trust,
    Verbose,
    Volumes,
    given,
    paths,
)
from wheelhouse_builder.runtime.commands import run_unpack

EXAMPLES = """
wheelhouse unpack acme-web-2026.11.whb wheelhouse/ --trust allowed_signers
wheelhouse unpack acme-web-2026.11.whb wheelhouse/ --trust allowed_signers --target cp312-win_amd64
wheelhouse unpack acme-web-2026.11.whb wheelhouse/ --trust allowed_signers --target all
"""


def command(
    file: BundlePath,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; must not exist, or be empty.")],
    *,
    trust: Trust = None,
    state: State = None,
    allow_rollback: AllowRollback = "",
    volumes: Volumes = None,
    base: Bases = None,
    exact: Exact = False,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="TARGET", help="May be repeated; all: every target; default: the one that fits this Python best."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a bundle's wheels and locks to a directory.

    It is verified first, and when it fails nothing is written. pip and uv install from that directory without a network.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    console.report(
        run_unpack(
            str(file),
            str(directory),
            given(trust),
            state=given(state),
            allow_rollback=allow_rollback,
            volumes=paths(volumes),
            bases=paths(base),
            exact=exact,
            targets=target or (),
            progress=console,
        )
    )
