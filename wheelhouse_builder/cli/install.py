"""``wheelhouse install``: a verified bundle becomes a virtual environment."""

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
    TargetName,
    Trust,
    Verbose,
    Volumes,
    given,
    paths,
)
from wheelhouse_builder.runtime.commands import run_install

EXAMPLES = """
wheelhouse install acme-web-2026.11.whb --venv /opt/acme --trust allowed_signers
wheelhouse install acme-web-2026.11.whb --venv /opt/acme --trust allowed_signers --target cp312-manylinux_2_28_x86_64
wheelhouse install acme-web-2026.11.whb --venv /opt/acme --allow-rollback "2026.12 breaks the reports"
"""


def command(
    file: BundlePath,
    *,
    venv: Annotated[Path, typer.Option(metavar="DIR", help="The environment to make; must not exist, or be empty.")],
    trust: Trust = None,
    state: State = None,
    allow_rollback: AllowRollback = "",
    volumes: Volumes = None,
    base: Bases = None,
    exact: Exact = False,
    target: TargetName = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Install a bundle into a fresh virtual environment.

    It is verified first. No network is used, and when it fails there is no environment.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    console.report(
        run_install(
            str(file),
            str(venv),
            given(trust),
            state=given(state),
            allow_rollback=allow_rollback,
            volumes=paths(volumes),
            bases=paths(base),
            exact=exact,
            target=target,
            progress=console,
        )
    )
