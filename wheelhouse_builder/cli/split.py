"""``wheelhouse split``: a bundle as volumes for media of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Quiet, Verbose
from wheelhouse_builder.pack.volumes import MEDIA, Split, parse_size
from wheelhouse_builder.pack.volumes import split as split_bundle

EXAMPLES = """
wheelhouse split acme-web-2026.11.whb --size 4G
wheelhouse split acme-web-2026.11.whb --size dvd --recovery 2 -o volumes/
"""


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The bundle.")],
    *,
    size: Annotated[str, typer.Option(metavar="SIZE", help=f"Of the largest volume: 650M, 4G, 4Gi, or a medium: {', '.join(MEDIA)}.")],
    recovery: Annotated[
        int, typer.Option(min=0, max=100, metavar="N", help="Add N volumes of the same size; any N lost volumes can be replaced then.")
    ] = 0,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where to write them; default: here.")] = Path(),
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Cut a bundle into volumes for media of any size.

    Each volume says which part of which bundle it is. verify, unpack and install read them as they lie: in any order, in several
    directories, renamed. Nothing has to be joined, and media are never written to.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    done = split_bundle(file, parse_size(size), output, recovery=recovery, reporter=console)
    document = {
        "command": "split",
        "digest": f"sha256:{done.digest}",
        "volumes": [str(path) for path in done.volumes],
        "recovery": [str(path) for path in done.recovery],
        "largest": done.largest,
    }
    console.result(document, _told(done))


def _told(done: Split) -> str:
    more = f" and {len(done.recovery)} for recovery" if done.recovery else ""
    lines = [f"{len(done.volumes)} volumes{more}, of at most {decimal(done.largest)} each.", ""]
    lines += [f"  {path}" for path in (*done.volumes, *done.recovery)]
    return "\n".join([*lines, "", "next", f"  and inside: python3 {done.volumes[-1].name} verify --volumes DIR --trust ALLOWED_SIGNERS"])
