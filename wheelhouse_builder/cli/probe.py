"""``wheelhouse probe``: a host as an exact target."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from wheelhouse_builder.adapters.interpreters import probed_by
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Quiet, Verbose
from wheelhouse_builder.errors import UsageError
from wheelhouse_builder.runtime import probe

EXAMPLES = """
wheelhouse probe -o targets/web01.json
wheelhouse probe --python /usr/bin/python3.9 -o targets/web01-py39.json
wheelhouse probe --script > wheelhouse-probe.py
"""


def command(
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it; default: standard output.")
    ] = None,
    python: Annotated[Path | None, typer.Option(metavar="PYTHON", help="The interpreter to ask, from 2.7 on; default: this one.")] = None,
    script: Annotated[
        bool, typer.Option("--script", help="Print the one file that does the same on a host without wheelhouse, with Python 2.7 or 3.4+.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write down what a Python and its host are, for an exact target.

    The document holds every wheel tag that the Python accepts, in its order, all environment markers, and what else decides on an
    installation: C library, pip, OpenSSH, zstd, free disk. Its file name stands for the host under targets: in wheelhouse.yaml.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    if script:
        if output or python or as_json:
            raise UsageError(
                "--script goes with no other option", hint="send it into a file: wheelhouse probe --script > wheelhouse-probe.py"
            )
        typer.echo(files("wheelhouse_builder.runtime").joinpath("probe.py").read_text(encoding="utf-8"), nl=False)
        return
    document = probed_by(python, Processes()) if python else probe.probe()
    if output is None:
        console.result(document, probe.as_text(document))
    else:
        output.write_text(f"{probe.as_text(document)}\n", encoding="ascii")
        console.result(document, _told(document, output))


def _told(document: dict[str, Any], output: Path) -> str:
    markers, libc = document["markers"], document["libc"]
    system = (
        f"{libc['name']} {libc['version']}" if libc else f"{markers['platform_system']} {document['macos'] or document['windows'] or ''}"
    )
    python = f"{markers['platform_python_implementation']} {markers['python_full_version']}"
    found = f"{output}: {python} on {system.strip()}, {markers['platform_machine']}; {len(document['tags'])} tags"
    return "\n".join([found, "", "next", f"  name it under targets: in wheelhouse.yaml, as {output.as_posix()}"])
