"""``wheelhouse join``: the bundle again, from its volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Quiet, Verbose, Volumes, paths
from wheelhouse_builder.pack.volumes import Joined
from wheelhouse_builder.pack.volumes import join as join_volumes

EXAMPLES = """
wheelhouse join acme-web-2026.11.whb.v01of05
wheelhouse join /media/first --volumes /media/second -o acme-web-2026.11.whb
"""


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One of the volumes, or the directory that holds them.")],
    *,
    volumes: Volumes = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it; default: NAME-VERSION.whb here.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a bundle back from its volumes.

    Its SHA-256 is checked, its signature is not.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    done = join_volumes(file, paths(volumes), output, reporter=console)
    document = {
        "command": "join",
        "path": str(done.path),
        "size": done.size,
        "sha256": done.sha256,
        "digest": f"sha256:{done.digest}",
        "recovered": list(done.recovered),
    }
    console.result(document, _told(done))


def _told(done: Joined) -> str:
    lines = [f"{done.path}: {decimal(done.size)}, whole.", ""]
    lines += [f"  {each} was lost and could be recovered" for each in done.recovered]
    return "\n".join([*lines, f"  sha256     {done.sha256}", "", "next", f"  wheelhouse verify {done.path} --trust ALLOWED_SIGNERS"])
