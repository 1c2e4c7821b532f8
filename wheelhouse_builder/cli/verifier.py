"""``wheelhouse verifier``: the verifier as one file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Quiet, Verbose
from wheelhouse_builder.errors import UsageError
from wheelhouse_builder.verifier import FILE_NAME, source

EXAMPLES = f"""
wheelhouse verifier
wheelhouse verifier -o media/{FILE_NAME}
"""


def command(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write it.")] = Path(FILE_NAME),
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the verifier as one file that can be reviewed.

    It needs nothing but Python 3.6 and its standard library. Carry it in once, with the trust store, by another path than the bundles:
    the reader that travels in a bundle cannot vouch for it. The same version of wheelhouse writes the same bytes.
    """
    if output.is_dir():
        raise UsageError(f"{output} is a folder", hint=f"name the file to write, as in {output / FILE_NAME}")
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    data = source().encode()
    output.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    console.result(
        {"command": "verifier", "path": str(output), "size": len(data), "sha256": digest},
        "\n".join(
            [
                f"{output}: {len(data.splitlines()):,} lines to review",
                "",
                f"  sha256  {digest}",
                "",
                "next, inside",
                f"  python3 {output.name} verify FILE --trust STORE",
            ]
        ),
    )
