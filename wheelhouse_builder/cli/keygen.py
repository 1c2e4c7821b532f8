"""``wheelhouse keygen``: a key to sign with, and the line by which the far side will know it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wheelhouse_builder.adapters import keys
from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, PassphraseFd, Quiet, Verbose, default_key
from wheelhouse_builder.cli.passphrase import new_passphrase
from wheelhouse_builder.errors import UsageError
from wheelhouse_builder.runtime.sshsig import ECDSA_P384, ED25519, MLDSA_87

EXAMPLES = """
wheelhouse keygen
wheelhouse keygen --key release_ed25519 --passphrase
wheelhouse keygen --key release --type ecdsa-p384 --hybrid
"""

TYPES = {"ed25519": ED25519, "ecdsa-p384": ECDSA_P384, "ml-dsa-87": MLDSA_87}
"""As the command line names them, and as keys and signatures do."""


def command(
    *,
    key: Annotated[Path | None, typer.Option(metavar="PATH", help="Where to put it; default: ~/.config/wheelhouse/id_TYPE.")] = None,
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help=f"What to make: {', '.join(TYPES)}.")] = "ed25519",
    hybrid: Annotated[
        bool, typer.Option("--hybrid", help="Also make an ML-DSA-87 key, at PATH.mldsa87: bundles are then signed by both.")
    ] = False,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Encrypt the private key; asks for the passphrase, twice.")] = False,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a key to sign bundles with.

    Writes a private key at PATH, its public key at PATH.pub, and PATH.allowed_signers, which the far side has to trust: carry
    that one in by another path than the bundles. Nothing is overwritten. Ed25519 and ECDSA keys are OpenSSH's; ML-DSA-87, which
    withstands quantum computers, is PKCS #8, and ssh-keygen does not know it yet.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    algorithm = _algorithm(kind, hybrid=hybrid)
    path = key.expanduser() if key else default_key(f"id_{kind.replace('-', '_')}")
    secret = new_passphrase(passphrase_fd, wanted=passphrase)
    made = keys.generate(path, algorithm=algorithm, hybrid=hybrid, passphrase=secret)
    console.result(_document(made, encrypted=secret is not None), _told(made, encrypted=secret is not None))


def _algorithm(kind: str, *, hybrid: bool) -> str:
    if kind not in TYPES:
        raise UsageError(f"there is no type of key {kind!r}", hint=f"choose one of {', '.join(TYPES)}")
    if hybrid and TYPES[kind] == MLDSA_87:
        raise UsageError("a hybrid key needs another half than ML-DSA-87", hint="with --hybrid, choose ed25519 or ecdsa-p384")
    return TYPES[kind]


def _document(made: keys.NewKeys, *, encrypted: bool) -> dict[str, object]:
    return {
        "command": "keygen",
        "keys": [
            {
                "type": each.algorithm,
                "private_key": str(each.path),
                "encrypted": encrypted,
                "public_key": str(each.public),
                "fingerprint": each.fingerprint,
            }
            for each in made.keys
        ],
        "allowed_signers": str(made.allowed_signers),
    }


def _told(made: keys.NewKeys, *, encrypted: bool) -> str:
    secrecy = "encrypted" if encrypted else "keep it secret"
    lines: list[str] = []
    for each in made.keys:
        lines += [
            f"private key      {each.path}  ({secrecy})",
            f"public key       {each.public}",
            f"fingerprint      {each.fingerprint}",
        ]
    return "\n".join([*lines, f"allowed signers  {made.allowed_signers}  (carry it inside, by another path than the bundles)"])
