"""What the wheel of a source tree will require: its build backend is asked, in the sandbox, without a network."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import uv

from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.adapters.sandbox import INSIDE, SYSTEM_PATH, Sandbox
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.sdist import Backend, unpack_sdist
from wheelhouse_builder.tree import MOMENT

CHILD = Path(__file__).with_name("metadata_child.py")
PYTHON = f"cp{sys.version_info[0]}{sys.version_info[1]}"
"""The Python that asks is the one that runs this."""
_UV = ("--no-config", "--offline", "--no-cache", "--color", "never", "--no-progress", "--no-python-downloads")
_LAST_LINES = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A source tree, and all that is needed to ask it."""

    path: Path
    """Of its archive."""
    filename: str
    backend: Backend
    requirements: tuple[tuple[str, Path], ...]
    """File names of the wheels that the backend consists of and needs, and where they lie."""
    repository: Path | None
    """The directory of git that belongs to it: some versions stand there alone."""


def ask_metadata(asked: Asked, runner: Runner) -> str:
    """The METADATA of the wheel. Raises DistributionError with the last lines of what the backend said, EnvironmentFailure."""
    sandbox = Sandbox(runner=runner)
    sandbox.require()
    with TemporaryDirectory(prefix="wheelhouse-metadata-") as scratch:
        folder = Path(scratch)
        _lay_out(asked, folder)
        program, python = uv.find_uv_bin(), f"{INSIDE}/env/bin/python"
        _step(sandbox, folder, [program, "venv", *_UV, "--quiet", "--no-project", "--python", sys.executable, f"{INSIDE}/env"])
        if asked.requirements:
            wheels = [f"wheels/{filename}" for filename, _ in asked.requirements]
            install = ["pip", "install", *_UV, "--quiet", "--no-index", "--no-deps", "--link-mode", "copy", "--python", python]
            _step(sandbox, folder, [program, *install, *wheels])
        script = 'cd src && exec "$@"'
        ask = [python, f"{INSIDE}/{CHILD.name}", asked.backend.name, f"{INSIDE}/said", *asked.backend.path]
        _step(sandbox, folder, ["sh", "-c", script, "sh", *ask])
        said = folder / "said/METADATA"
        if said.parent.is_symlink() or said.is_symlink() or not said.is_file():
            raise DistributionError("its build backend left no file METADATA: a link in its place leads anywhere on this host")
        return said.read_text(encoding="utf-8")


def _lay_out(asked: Asked, folder: Path) -> None:
    unpack_sdist(asked.path, asked.filename, folder / "src")
    if asked.repository:
        shutil.copytree(asked.repository, folder / "src/.git", symlinks=True)
    (folder / "wheels").mkdir()
    for filename, path in asked.requirements:
        shutil.copyfile(path, folder / "wheels" / filename)
    shutil.copyfile(CHILD, folder / CHILD.name)


def _step(sandbox: Sandbox, folder: Path, command: Sequence[str]) -> None:
    environment = {"PATH": f"{INSIDE}/env/bin:{SYSTEM_PATH}", "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": str(MOMENT)}
    ended = sandbox.run(folder, command, env=environment)
    if ended.returncode != 0:
        said = [line.rstrip() for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
        raise DistributionError(
            "\n  ".join(("its build backend does not say what its wheel will be", *said[-_LAST_LINES:])),
            hint="does the project build at all? what the backend needs stands in pyproject.toml, under [build-system]",
        )
