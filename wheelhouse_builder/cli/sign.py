"""``wheelhouse sign``: one more signature for a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wheelhouse_builder.adapters.keys import agent_signer, load_signers
from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, PassphraseFd, Quiet, Verbose, default_key
from wheelhouse_builder.cli.passphrase import passphrase_from
from wheelhouse_builder.errors import UsageError
from wheelhouse_builder.pack import sign

EXAMPLES = """
wheelhouse sign acme-web-2026.11.whb --key reviewer_ed25519
wheelhouse sign acme-web-2026.11.whb --agent SHA256:fe85JkIjo8VPe+XqXJGH5Mau1EMFdK1OdKvJUFicyA8
wheelhouse sign acme-web-2026.11.whb --attach manifest.json.sig
"""


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The bundle.")],
    *,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="The private key to sign with, or a public one whose private half ssh-agent holds; "
            "default: ~/.config/wheelhouse/id_ed25519.",
        ),
    ] = None,
    agent: Annotated[str | None, typer.Option(metavar="FINGERPRINT", help="Sign with this key of ssh-agent.")] = None,
    attach: Annotated[
        Path | None, typer.Option(metavar="SIG", help="Attach a signature that was made elsewhere; see wheelhouse manifest.")
    ] = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Add a signature to a bundle, beside those that it has.

    What is signed is the manifest, so the payload and the bundle's digest stay as they are. The bundle is checked whole, then replaced
    in one step by a signed copy, which needs its size on the disk until then. Verify it before you sign what somebody else made.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    if sum(option is not None for option in (key, agent, attach)) > 1:
        raise UsageError("--key, --agent and --attach exclude one another", hint="run the command once for each signature")
    if attach:
        done = sign.attach(file, attach)
    elif agent:
        done = sign.sign(file, [agent_signer(agent)])
    else:
        done = sign.sign(file, load_signers(key.expanduser() if key else default_key(), passphrase_from(passphrase_fd)))
    console.result(_document(file, done), _told(file, done))


def _document(file: Path, done: sign.Signed) -> dict[str, object]:
    return {
        "command": "sign",
        "bundle": {"path": str(file), "digest": f"sha256:{done.digest}"},
        "added": list(done.added),
        "signatures": list(done.fingerprints),
    }


def _told(file: Path, done: sign.Signed) -> str:
    lines = [f"{file}: {'signed' if done.added else 'that signature was there already'}.", "", f"  digest     sha256:{done.digest}"]
    lines += [f"  signed by  {each}{'  (new)' if each in done.added else ''}" for each in done.fingerprints]
    return "\n".join([*lines, "", "next", f"  wheelhouse verify {file} --trust ALLOWED_SIGNERS"])
