"""The options that several commands share, each with its one help text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from wheelhouse_builder.spec import FILE_NAME

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, also for an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors, and what --json asks for.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Tell on standard error of each step and how long it took.")]

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="The spec, or the folder it lies in.", show_default=True)]
BundlePath = Annotated[Path, typer.Argument(metavar="FILE", help="The bundle.")]
Trust = Annotated[
    Path, typer.Option(metavar="ALLOWED_SIGNERS", help="The keys that you trust; it came to you by another path than the bundle.")
]
SigningKey = Annotated[
    Path | None,
    typer.Option(
        metavar="KEY",
        help="The private key to sign with, or a public one whose private half ssh-agent holds; default: the one the spec names, "
        "else ~/.config/wheelhouse/id_ed25519.",
    ),
]
PassphraseFd = Annotated[
    int | None,
    typer.Option("--passphrase-fd", metavar="N", min=0, help="Read the key's passphrase from file descriptor N, up to a newline."),
]
TargetName = Annotated[str | None, typer.Option(metavar="TARGET", help="For this target; default: the one that fits this Python best.")]


def spec_at(path: Path) -> Path:
    """The spec that ``path`` means: itself, or the one in that folder."""
    return path / FILE_NAME if path.is_dir() else path


def default_key(name: str = "id_ed25519") -> Path:
    """Where the signing key lies unless somebody says otherwise: ``wheelhouse/id_ed25519`` in the user's configuration folder."""
    # The XDG base directory specification: a relative path counts as not set.
    configured = Path(os.environ.get("XDG_CONFIG_HOME") or "")
    home = configured if configured.is_absolute() else Path.home() / ".config"
    return home / "wheelhouse" / name
