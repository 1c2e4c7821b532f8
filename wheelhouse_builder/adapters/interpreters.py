"""The Pythons of this host, each as the exact target that it is."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.errors import EnvironmentFailure
from wheelhouse_builder.model.probed import probed_target
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.runtime import probe

_PROBE = "import runpy, sys; sys.path.pop(0); runpy.run_path(sys.argv.pop(1), run_name='__main__')"
"""Runs a file without its folder on the path: Python 2.7 has no -I."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """A Python that runs here."""

    path: Path
    target: Target


def probed_by(python: Path, runner: Runner) -> dict[str, Any]:
    """What the Python at ``python``, of any version from 2.7 on, says of itself. Raises EnvironmentFailure."""
    try:
        said = runner.run([str(python), "-c", _PROBE, probe.__file__])
    except OSError as error:
        raise EnvironmentFailure(
            f"{python} cannot be run: {error.strerror}", hint="name an interpreter, such as /usr/bin/python3"
        ) from error
    if said.returncode != 0:
        last = (said.stderr.strip() or said.stdout.strip() or "without a word").splitlines()[-1]
        raise EnvironmentFailure(f"{python} could not be probed: {last}", hint="is it a Python, and does it start?")
    document: dict[str, Any] = json.loads(said.stdout)
    return document


def interpreters(runner: Runner) -> Iterator[Interpreter]:
    """This Python, and each on PATH and under pyenv that starts, the first of each ABI; they are looked for as they are asked for."""
    seen: set[str] = set()
    for path in _candidates():
        try:
            target = probed_target(probed_by(path, runner), name="this_host", where=str(path))
        except EnvironmentFailure:  # a shim of a version that is not chosen, a broken installation
            continue
        if target.name not in seen:
            seen.add(target.name)
            yield Interpreter(path=path, target=target)


def _candidates() -> Iterator[Path]:
    """This interpreter, then executables called python, python3, python3.12, python3.13t, pypy3 and the like, no file twice."""
    yield Path(sys.executable)
    # pyenv's shims stand for versions of which it has the real ones elsewhere, and take a second each to say no.
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder and Path(folder).name != "shims"]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    seen = {Path(sys.executable).resolve()}
    for folder in (*folders, *sorted(pyenv.glob("*/bin"))):
        for path in sorted([*folder.glob("python*"), *folder.glob("pypy*")]):
            is_one = path.name.rstrip("0123456789.t") in ("python", "pypy") and os.access(path, os.X_OK) and path.is_file()
            if is_one and path.resolve() not in seen:
                seen.add(path.resolve())
                yield path
