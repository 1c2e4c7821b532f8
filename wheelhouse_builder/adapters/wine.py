"""A place for Windows: a CPython as its embeddable package lays it out, run by wine, without a network.

Such a package has no venv; a copy of it is the environment. Output has to be read by a pipe, input closed; ``_wmi`` hangs, and goes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from wheelhouse_builder.adapters.places import Running, serves
from wheelhouse_builder.adapters.process import Finished, Runner
from wheelhouse_builder.adapters.sandbox import OFFLINE, require_offline
from wheelhouse_builder.errors import EnvironmentFailure
from wheelhouse_builder.model.probed import probed_target
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.runtime import probe

PYTHON = "python.exe"
HANGS = "_wmi.pyd"
_PROBE = "import runpy; runpy.run_path('probe.py', run_name='__main__')"


def is_for_windows(folder: Path) -> bool:
    """Whether ``folder`` is such a package."""
    return (folder / PYTHON).is_file() and any(folder.glob("python*._pth"))


class Wine:
    """The package in ``folder``, for the one target that it was given for. Nothing is written to it."""

    def __init__(self, runner: Runner, *, target: str, folder: Path) -> None:
        self._runner = runner
        self._target = target
        self._folder = folder
        self._prefix = TemporaryDirectory(prefix="wheelhouse-wine-", ignore_cleanup_errors=True)

    def find(self, target: Target) -> Running | None:
        """See :class:`~wheelhouse_builder.adapters.places.Place`. Raises EnvironmentFailure when the package is another Python."""
        if target.name != self._target:
            return None
        require_offline(self._runner)
        if shutil.which("wine") is None:
            raise EnvironmentFailure("there is no program wine, to run Windows' Python", hint="install wine")
        there = self._probed()
        if not serves(there, target):
            raise EnvironmentFailure(
                f"{self._folder} is {there.interpreter} for {there.platforms[0]}, not {target}",
                hint="give the folder of the embeddable package for that Python and machine",
            )
        return Running(place=self, python=str(self._folder / PYTHON))

    def run(self, folder: Path, command: Sequence[str]) -> Finished:
        """See :class:`~wheelhouse_builder.adapters.places.Place`."""
        environment = {"WINEPREFIX": self._prefix.name, "WINEDEBUG": "-all", "PYTHONDONTWRITEBYTECODE": "1"}
        return self._runner.run([*OFFLINE, "wine", *command], env=environment, cwd=folder)

    def environment(self, folder: Path, _python: str) -> tuple[Finished, Running]:
        """See :class:`~wheelhouse_builder.adapters.places.Place`."""
        venv = folder / "venv"
        shutil.copytree(self._folder, venv, ignore=shutil.ignore_patterns(HANGS))
        for path in venv.glob("python*._pth"):
            path.write_text(f"{path.stem.partition('.')[0]}.zip\n.\nLib\\site-packages\nimport site\n", encoding="utf-8")
        made = Running(place=self, python=f"venv/{PYTHON}")
        return made.run(folder, "-c", "import site"), made

    def _probed(self) -> Target:
        with TemporaryDirectory(prefix="wheelhouse-probe-") as scratch:
            folder = Path(scratch)
            shutil.copy(probe.__file__, folder / "probe.py")
            _, python = self.environment(folder, "")
            said = python.run(folder, "-c", _PROBE)
        if said.returncode != 0:
            raise EnvironmentFailure(
                f"{self._folder}: {PYTHON} does not run: {(said.stderr or said.stdout).strip()}", hint="does wine run other programs here?"
            )
        return probed_target(json.loads(said.stdout), name="wine", where=str(self._folder))
