"""The options that several commands share, each with its one help text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from wheelhouse_builder.runtime.memory import default_path
from wheelhouse_builder.runtime.policy import default_place
from wheelhouse_builder.spec import FILE_NAME

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, also for an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors, and what --json asks for.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Tell on standard error of each step and how long it took.")]

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="The spec, or the folder it lies in.", show_default=True)]
BundlePath = Annotated[Path, typer.Argument(metavar="FILE", help="The bundle, one of its volumes, or the directory that holds them.")]
Volumes = Annotated[
    list[Path] | None,
    typer.Option(metavar="PATH", help="Where other volumes of the bundle lie: a file, or a directory. May be repeated."),
]
Bases = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="PATH",
        help="For a delta: the bundle that it builds on, its volumes, or a directory with its wheels. May be repeated.",
    ),
]
Trust = Annotated[
    Path | None,
    typer.Option(
        metavar="STORE",
        help="Whom you trust: an allowed_signers file, or a directory with one and a policy.json; it came to you by another path than the "
        f"bundle. Default: {default_place()}.",
    ),
]
State = Annotated[
    Path | None, typer.Option(metavar="FILE", help=f"Where this host remembers what was here before. Default: {default_path()}.")
]
AllowRollback = Annotated[
    str,
    typer.Option(metavar="REASON", help="Take a bundle that is older than one of its channel that was here. Recorded in the state file."),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Refuse where this Python's zlib cannot make each wheel again byte for byte, instead of writing its content otherwise.",
    ),
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
Prefix = Annotated[Path, typer.Option(metavar="DIR", help="The directory that was given to: wheelhouse install --prefix.")]
Held = Annotated[list[Path] | None, typer.Argument(metavar="PATH", help="Bundles, and directories of bundles or wheels, that are kept.")]
HeldIn = Annotated[Path | None, typer.Option("--prefix", metavar="DIR", help="What was given to: wheelhouse install --prefix.")]
HeldVenv = Annotated[Path | None, typer.Option("--venv", metavar="DIR", help="What was given to: wheelhouse install --venv.")]
HeldTrust = Annotated[
    Path | None,
    typer.Option("--trust", metavar="STORE", help="Require that each receipt is signed by somebody of this trust store."),
]
HeldOutput = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it; default: standard output.")]
TargetName = Annotated[str | None, typer.Option(metavar="TARGET", help="For this target; default: the one that fits this Python best.")]


def paths(given: list[Path] | None) -> tuple[str, ...]:
    """The paths of an option that may be repeated, as the reader of bundles takes them."""
    return tuple(map(str, given or ()))


def given(path: Path | None) -> str | None:
    """A path as the reader of bundles takes it."""
    return None if path is None else str(path)


def spec_at(path: Path) -> Path:
    """The spec that ``path`` means: itself, or the one in that folder."""
    return path / FILE_NAME if path.is_dir() else path


def default_key(name: str = "id_ed25519") -> Path:
    """Where the signing key lies unless somebody says otherwise: ``wheelhouse/id_ed25519`` in the user's configuration folder."""
    # The XDG base directory specification: a relative path counts as not set.
    configured = Path(os.environ.get("XDG_CONFIG_HOME") or "")
    home = configured if configured.is_absolute() else Path.home() / ".config"
    return home / "wheelhouse" / name
