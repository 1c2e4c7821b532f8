"""Virtual environments of Pythons that have the module for it, and of those that have not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.pythons import cpythons
from wheelhouse_builder.runtime import environment
from wheelhouse_builder.runtime.environment import make_environment
from wheelhouse_builder.runtime.host import this_host

SHELLS = {"bin/activate", "bin/activate.csh", "bin/activate.fish", "bin/Activate.ps1", "bin/activate.ps1"}
"""For people's shells: nobody needs these who runs the interpreter by its path."""
ASK = "import sys, sysconfig; print([sys.prefix, sys.base_prefix, sysconfig.get_path('purelib'), sysconfig.get_path('scripts'), sys.path])"


@pytest.mark.parametrize("version", cpythons())
def test_a_python_without_venv_gets_the_same_environment(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, place = this_host()._replace(executable=str(cpythons()[version])), tmp_path / "environment"
    said, trees = [], []
    for prelude in ("", "import sys; sys.modules['venv'] = None"):
        monkeypatch.setattr("wheelhouse_builder.runtime.environment._MAKE", f"{prelude}\n{environment._MAKE}")
        python = make_environment(host, str(place), str(place), str(tmp_path))
        said.append(subprocess.run([python, "-I", "-c", ASK], check=True, capture_output=True, text=True).stdout)
        trees.append({path.relative_to(place).as_posix() for path in place.rglob("*")})
        place.rename(tmp_path / f"made {len(said)}")
    assert said[0] == said[1]
    assert trees[0] - trees[1] <= {*SHELLS, f"include/python{version}"}
    assert trees[1] - trees[0] <= {f"bin/python{version}"}
