"""``wheelhouse repair``: a wheel that was built elsewhere, with the libraries that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Quiet, Verbose
from wheelhouse_builder.errors import DistributionError, UsageError, WheelhouseError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair import Options, Repaired, repair

EXAMPLES = """
wheelhouse repair acme-1.0-cp311-cp311-linux_x86_64.whl --target cp311-manylinux_2_28_x86_64 -o wheels
wheelhouse repair acme-1.0-cp312-cp312-win_amd64.whl --target cp312-win_amd64 --libraries dlls -o wheels
"""


def command(
    wheels: Annotated[list[Path], typer.Argument(metavar="WHEEL…", help="The wheels, as they were built.")],
    *,
    target: Annotated[str, typer.Option(metavar="TARGET", help="What they are to work on; wheelhouse targets lists names.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where to write them; a folder that a spec's indexes may name.")
    ],
    libraries: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Where libraries are looked for first; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A library that the target has, as libcuda.so.*; may be repeated.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Copy into wheels the libraries that they need, and audit them.

    They are audited for the target. This is for wheels that nobody repaired: those of a private index that are tagged linux_x86_64, those
    of a build farm. The originals stay as they are. What the target is too old for is refused, with the symbol that asks for it.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    if missing := [str(path) for path in wheels if not path.is_file()]:
        raise UsageError(*(f"{path}: there is no such file" for path in missing))
    if others := [str(path) for path in wheels if path.suffix != ".whl"]:
        raise UsageError(*(f"{path}: it is no wheel" for path in others), hint="name files that end in .whl")
    options = Options(library_paths=tuple(libraries or ()), exclude=tuple(exclude or ()))
    done = _all(wheels, Target.parse(target), options, output)
    document = {"command": "repair", "target": target, "wheels": [{**asdict(each), "path": str(each.path)} for each in done]}
    console.result(document, "\n".join(line for each in done for line in _told(each)))


def _all(wheels: Sequence[Path], target: Target, options: Options, output: Path) -> list[Repaired]:
    """Repair each; tell all that failed at once."""
    done: list[Repaired] = []
    failures: list[WheelhouseError] = []
    for wheel in wheels:
        try:
            done.append(repair(wheel, target, options=options, output=output, runner=Processes()))
        except DistributionError as failure:
            failures.append(failure)
    if failures:
        hints = dict.fromkeys(failure.hint for failure in failures)
        raise DistributionError(*(problem for failure in failures for problem in failure.problems), hint="\n".join(hints))
    return done


def _told(repaired: Repaired) -> list[str]:
    symbols = ", ".join(f"{symbol.name}@{symbol.version}" for symbol in repaired.symbols)
    return [
        str(repaired.path),
        f"  repaired by  {repaired.tool or 'nothing: it is pure'}",
        *(f"  grafted      {each.library} as {each.member}" for each in repaired.grafted),
        *([f"  needs        {symbols}"] if symbols else []),
    ]
