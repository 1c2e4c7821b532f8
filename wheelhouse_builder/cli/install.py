"""``wheelhouse install``: a verified bundle becomes an environment."""

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
from wheelhouse_builder.runtime.commands import Destination, Manner, run_install
from wheelhouse_builder.runtime.install import DEFAULT_ENGINE

EXAMPLES = """
wheelhouse install acme-web-2026.11.whb --venv /opt/acme --trust allowed_signers
wheelhouse install acme-web-2026.11.whb --prefix /opt/acme --keep 3 --trust allowed_signers
wheelhouse install acme-web-2026.11.whb --venv /opt/acme --trust allowed_signers --target cp312-manylinux_2_28_x86_64
wheelhouse install acme-web-2026.11.whb --venv /opt/acme --trust allowed_signers --engine direct
wheelhouse install acme-web-2026.11.whb --venv /opt/acme --allow-rollback "2026.12 breaks the reports"
"""

Venv = Annotated[Path | None, typer.Option(metavar="DIR", help="A virtual environment: new, or in place of one that was installed before.")]
Prefix = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Releases side by side in DIR/releases, of which DIR/current is the one in use."),
]
Python = Annotated[
    Path | None,
    typer.Option(metavar="EXE", help="The environment of this Python, as it is: not in one step, but undone when it fails."),
]
Keep = Annotated[
    int | None, typer.Option(metavar="N", help="With --prefix: take away all releases but the newest N, the one in use counted.")
]
WithPython = Annotated[
    Path | None, typer.Option(metavar="EXE", help="Make the environment of this Python; default: of the one that runs this.")
]
EngineName = Annotated[
    str,
    typer.Option(
        metavar="ENGINE",
        help="pip: the bundle's own pip installs; host-pip: that of this host, from 20.3 on; direct: without any, faster, same result.",
    ),
]
NoCompile = Annotated[bool, typer.Option("--no-compile", help="Do not byte-compile: Python does so when it imports, if it may write.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
NoImports = Annotated[
    bool, typer.Option("--no-imports", help="Do not import each module to see whether it can be, before it is switched in.")
]
SignReceipt = Annotated[
    Path | None, typer.Option(metavar="KEY", help="Sign the receipt with this key of OpenSSH's, by this host's ssh-keygen.")
]


def command(
    file: BundlePath,
    *,
    venv: Venv = None,
    prefix: Prefix = None,
    python: Python = None,
    keep: Keep = None,
    trust: Trust = None,
    state: State = None,
    allow_rollback: AllowRollback = "",
    volumes: Volumes = None,
    base: Bases = None,
    exact: Exact = False,
    target: TargetName = None,
    with_python: WithPython = None,
    engine: EngineName = DEFAULT_ENGINE,
    no_compile: NoCompile = False,
    dry_run: DryRun = False,
    no_imports: NoImports = False,
    sign_receipt: SignReceipt = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Install a bundle, in one step or not at all.

    It gets an environment of its own, but with --python. It is verified first, built beside its place, audited and tried. No network is
    used. What is there already stays when it is the same, and is replaced when it came from another bundle.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    console.report(
        run_install(
            str(file),
            Destination(venv=given(venv), prefix=given(prefix), python=given(python), keep=keep),
            given(trust),
            Manner(
                target=target,
                with_python=given(with_python),
                engine=engine,
                compile=not no_compile,
                imports=not no_imports,
                exact=exact,
                sign_receipt=given(sign_receipt),
            ),
            state=given(state),
            allow_rollback=allow_rollback,
            volumes=paths(volumes),
            bases=paths(base),
            dry_run=dry_run,
            progress=console,
        )
    )
