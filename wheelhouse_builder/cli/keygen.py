"""``wheelhouse keygen``: a key to sign with, and the line by which the far side will know it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wheelhouse_builder.adapters import keys
from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Quiet, Verbose, default_key

EXAMPLES = """
wheelhouse keygen
wheelhouse keygen --key release_ed25519
"""


def command(
    *,
    key: Annotated[Path | None, typer.Option(metavar="PATH", help="Where to put it; default: ~/.config/wheelhouse/id_ed25519.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a key to sign bundles with.

    Writes an OpenSSH private key at PATH, its public key at PATH.pub, and PATH.allowed_signers, which the far side has to trust: carry
    that one in by another path than the bundles. Nothing is overwritten.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    made = keys.generate(key.expanduser() if key else default_key())
    document = {
        "command": "keygen",
        "private_key": str(made.path),
        "public_key": str(made.public),
        "allowed_signers": str(made.allowed_signers),
        "fingerprint": made.fingerprint,
    }
    console.result(document, _told(made))


def _told(made: keys.PublicKey) -> str:
    return "\n".join(
        [
            f"private key      {made.path}  (keep it secret)",
            f"public key       {made.public}",
            f"allowed signers  {made.allowed_signers}  (carry it inside, by another path than the bundles)",
            f"fingerprint      {made.fingerprint}",
        ]
    )
