"""``wheelhouse recipe``: how projects that publish no wheel are built, and one of them built alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.made import made_document, made_told
from wheelhouse_builder.cli.options import AsJson, Quiet, Verbose
from wheelhouse_builder.document import instead
from wheelhouse_builder.errors import UsageError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.pipeline import try_recipe
from wheelhouse_builder.recipe import Cookbook, Recipe

EXAMPLES = """
wheelhouse recipe list
wheelhouse recipe show mysqlclient
wheelhouse recipe try docopt
wheelhouse recipe try mysqlclient==2.2.7 --target debian12 --root debian12=/srv/roots/bookworm -o wheels
wheelhouse recipe try acme-codec --recipes recipes
"""

ACTIONS = ("list", "show", "try")

Action = Annotated[str, typer.Argument(metavar="ACTION", help=f"One of {', '.join(ACTIONS)}.")]
Name = Annotated[str | None, typer.Argument(metavar="PROJECT", help="The project; to try it, perhaps a release of it: docopt==0.6.2.")]


def command(
    action: Action = "list",
    name: Name = None,
    *,
    target: Annotated[
        list[str] | None, typer.Option(metavar="TARGET", help="With try: what to build for; default: this. May be repeated.")
    ] = None,
    recipes: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="A folder of recipes, asked before those of wheelhouse. May be repeated.")
    ] = None,
    root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET=DIR", help="With try: a bare system's root directory to test this target's wheel in. May be repeated."
        ),
    ] = None,
    build_root: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="With try: an older system to build in, a root directory or an OCI image. May be repeated."),
    ] = None,
    untested: Annotated[bool, typer.Option("--untested", help="With try: do not run the recipe's test.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="With try: where to put the wheels, too.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the recipes, show one, or try one.

    To try one is to build, repair and test its project as a bundle would.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    folders = tuple(recipes or ())
    cookbook = Cookbook.of(folders)
    if action not in ACTIONS:
        raise UsageError(f"recipe {action}: it is one of {', '.join(ACTIONS)}", hint="wheelhouse recipe list")
    if action == "list":
        _list(cookbook, console)
        return
    wanted = _requirement(name, cookbook)
    if action == "show":
        _show([each for each in cookbook if each.project == canonicalize_name(wanted.name)], console)
        return
    targets = tuple(Target.parse(text) for text in target or ["this"])
    built = try_recipe(
        wanted,
        targets,
        cookbook,
        store=Store(),
        reporter=console,
        tested=not untested,
        roots=_roots(root or (), targets),
        build_roots=tuple(build_root or ()),
    )
    if output:
        output.mkdir(parents=True, exist_ok=True)
        for each in built.made:
            shutil.copyfile(each.wheel.path, output / each.wheel.filename)
    console.result({"command": "recipe", "built": made_document(built.made)}, "\n".join(made_told(built.made)).strip("\n"))


def _list(cookbook: Cookbook, console: Console) -> None:
    width = max((len(recipe.project) for recipe in cookbook), default=0)
    lines = [f"{recipe.project:{width}}  {recipe.versions or 'every release'}  {recipe.path}" for recipe in cookbook]
    entries = [{"project": each.project, "versions": str(each.versions), "path": str(each.path)} for each in cookbook]
    console.result({"command": "recipe", "recipes": entries}, "\n".join(lines))


def _show(found: Sequence[Recipe], console: Console) -> None:
    entries = [{"project": each.project, "path": str(each.path), "text": each.path.read_text(encoding="utf-8")} for each in found]
    text = "\n".join(f"# {entry['path']}\n{entry['text'].rstrip()}" for entry in entries)
    console.result({"command": "recipe", "recipes": entries}, text)


def _requirement(name: str | None, cookbook: Cookbook) -> Requirement:
    """What ``name`` asks for, if a recipe serves it. Raises UsageError."""
    known = tuple(dict.fromkeys(recipe.project for recipe in cookbook))
    if name is None:
        raise UsageError("recipe: which project?", hint=f"known are {', '.join(known)}")
    try:
        wanted = Requirement(name)
    except InvalidRequirement:
        raise UsageError(f"recipe {name}: that is no project", hint="write docopt, or docopt==0.6.2") from None
    if not cookbook.has(canonicalize_name(wanted.name)):
        raise UsageError(f"no recipe builds {wanted.name}{instead(wanted.name, known)}", hint="name the folder of yours with --recipes")
    return wanted


def _roots(texts: Sequence[str], targets: Sequence[Target]) -> dict[str, Path]:
    roots = {}
    for text in texts:
        name, _, folder = text.partition("=")
        path, target = Path(folder).expanduser(), Target.parse(name).name
        if not folder or not path.is_dir():
            raise UsageError(f"--root {text}: there is no such folder", hint="write it as debian12=/srv/roots/bookworm")
        if target not in {each.name for each in targets}:
            raise UsageError(f"--root {text}: {target} is not built for", hint=f"add --target {name}")
        roots[target] = path
    return roots
