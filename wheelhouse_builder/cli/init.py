"""``wheelhouse init``: a first ``wheelhouse.yaml``, with comments, from what lies in the folder."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Quiet, Verbose
from wheelhouse_builder.errors import AlreadyThere, SpecError, UsageError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.spec import DEFAULT_INDEX, FILE_NAME

SOURCES = ("requirements.in", "requirements.txt", "pyproject.toml")
"""What is looked for in the folder, in this order: the file that people write goes before the one that tools write."""

USUAL_TARGETS = ("cp312-manylinux_2_28_x86_64", "cp312-win_amd64", "cp312-macosx_14_0_arm64")
"""Shown as comments."""

EXAMPLES = """
wheelhouse init
wheelhouse init requirements/prod.in --target cp312-manylinux_2_28_x86_64 --target cp312-win_amd64
"""


def command(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SOURCE",
            help="A requirements file or pyproject.toml; default: the first of requirements.in, requirements.txt, pyproject.toml.",
        ),
    ] = None,
    *,
    target: Annotated[
        list[str] | None, typer.Option(metavar="TARGET", help="A target to serve; may be repeated; default: this host's.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a commented wheelhouse.yaml into this folder.

    The bundle is called like the project or the folder. Without --target a terminal is asked, anything else gets the target of this
    host. A wheelhouse.yaml that is there already is never overwritten.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    path = Path(FILE_NAME).absolute()
    if path.exists():
        raise AlreadyThere(f"{path} exists and is not overwritten", hint="edit it, or move it away first")
    found = _source(source)
    targets = _parsed(target) if target else _asked() if console.interactive else _parsed(["this"])
    _write(path, spec_text(found, targets))
    document = {"command": "init", "spec": str(path), "requirements": str(found), "targets": [each.name for each in targets]}
    console.result(document, f"{path.name} is written, for {', '.join(document['targets'])}\nnext: look at it, then `wheelhouse bundle`")


def spec_text(source: Path, targets: Sequence[Target]) -> str:
    """The text of a spec that bundles what ``source`` asks for."""
    constraints = source.parent / "constraints.txt"
    constrained = f"constraints: [{_quoted(_relative(constraints))}]" if constraints.is_file() else "# constraints: [constraints.txt]"
    return "\n".join(
        [
            "# What goes into the bundle, and for whom. `wheelhouse bundle` makes NAME-VERSION.whb of it.",
            f"bundle: {_quoted(_bundle_name(source))}",
            f'version: "{datetime.now(UTC):%Y.%m}"  # a string: keep the quotes',
            "",
            "# Files, requirements such as uvicorn[standard]>=0.30, or a pyproject.toml with extras and dependency groups.",
            "requirements:",
            *_requirement_lines(source),
            "",
            "# Versions that may be used but need not be.",
            constrained,
            "",
            "# One Python on one platform each: <python tag>-<platform tag>. A Linux tag names the oldest libc that must be served.",
            "targets:",
            *(f"  - {target.name}" for target in targets),
            *(f"  # - {name}" for name in USUAL_TARGETS if name not in {target.name for target in targets}),
            "",
            "# An index of your own; credentials come from environment variables, or from ~/.netrc.",
            f"# index: {DEFAULT_INDEX}",
            "# index: {url: https://index.example/simple, user_variable: INDEX_USER, password_variable: INDEX_PASSWORD}",
            "",
            "# The key to sign with, as `wheelhouse keygen` makes it.",
            "# sign: {key: ~/.config/wheelhouse/id_ed25519}",
            "",
        ]
    )


def _source(given: Path | None) -> Path:
    """The file that says what is needed. Raises UsageError when there is none."""
    if given is not None:
        if given.is_file():
            return given
        raise UsageError(f"there is no file {given}", hint="name a requirements file or a pyproject.toml")
    for name in SOURCES:
        if Path(name).is_file():
            return Path(name)
    raise UsageError(f"this folder holds none of {', '.join(SOURCES)}", hint="name the file: `wheelhouse init PATH`")


def _parsed(names: Iterable[str]) -> tuple[Target, ...]:
    """The targets by their names, each once. Raises SpecError with what is wrong in all of them."""
    targets: dict[str, Target] = {}
    problems: list[str] = []
    for name in names:
        try:
            target = Target.parse(name)
        except SpecError as error:
            problems += error.problems
            hint = error.hint
        else:
            targets[target.name] = target
    if problems:
        raise SpecError(*problems, hint=hint)
    return tuple(targets.values())


def _asked() -> tuple[Target, ...]:
    """The targets that somebody at the terminal names."""
    while True:
        answer = typer.prompt("Targets, with spaces between them", default=Target.parse("this").name, err=True)
        try:
            return _parsed(answer.split())
        except SpecError as error:
            typer.echo("\n".join([*error.problems, error.hint]), err=True)


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


def _requirement_lines(source: Path) -> list[str]:
    if source.suffix != ".toml":
        return [f"  - {_quoted(_relative(source))}"]
    document = _toml(source)
    extras = list(_table(_table(document, "project"), "optional-dependencies"))
    groups = list(_table(document, "dependency-groups"))
    lines = [f"  - pyproject: {_quoted(_relative(source))}"]
    lines += [f"    # extras: [{', '.join(extras)}]"] if extras else []
    lines += [f"    # groups: [{', '.join(groups)}]"] if groups else []
    return lines


def _bundle_name(source: Path) -> str:
    """The project's name, or else the folder's, as a file name may have it."""
    written = _table(_toml(source), "project").get("name") if source.suffix == ".toml" else None
    name = written if isinstance(written, str) else source.absolute().parent.name
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name)[:80].strip("._+-") or "bundle"


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: is not TOML: {error}", hint="mend it, or name another file") from error


def _table(document: dict[str, Any], key: str) -> dict[str, Any]:
    table = document.get(key)
    return table if isinstance(table, dict) else {}


def _relative(path: Path) -> str:
    """``path`` as the spec in this folder names it; with a slash where its name alone would not look like a file's."""
    here = Path.cwd()
    text = (
        path.as_posix() if not path.is_absolute() else path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()
    )
    return text if "/" in text or path.suffix in {".txt", ".in", ".toml"} else f"./{text}"


def _quoted(text: str) -> str:
    """``text`` as a YAML scalar: in quotes only where it would be something else without."""
    plain = re.fullmatch(r"[A-Za-z0-9./_-][A-Za-z0-9./_+-]*", text) and yaml.safe_load(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)
