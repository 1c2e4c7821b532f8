"""An installation, an upgrade or a rollback that is killed, or that fills the disk, leaves the old environment or the new one, whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import SCENARIOS, lay_out
from tests.support.pip import bundled_pip

ROOT = Path(__file__).parents[2]
WITHOUT_PIP = tuple(name for name in SCENARIOS if name != "by-pip")


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    lay_out(folder)
    return folder


def campaign(folder: Path, *arguments: str | int) -> dict[str, Any]:
    """What the program of faults found in ``folder``."""
    command = [sys.executable, "-m", "tests.support.faults", *map(str, (folder, *arguments))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("scenario", "fault", "first", "step"),
    [("replaced", "kill", 30, 40), ("upgraded", "full", 50, 35), ("shared-upgraded", "kill", 150, 120), ("rolled-back", "kill", 3, 3)],
)
def test_a_sample_of_the_points(laid_out: Path, scenario: str, fault: str, first: int, step: int) -> None:
    found = campaign(laid_out, scenario, fault, first, step)
    assert found["wrong"] == {}
    assert found["struck"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "full"])
@pytest.mark.parametrize("scenario", WITHOUT_PIP)
def test_each_point(laid_out: Path, scenario: str, fault: str) -> None:
    """The moves into a shared environment are alike, and many: every fourth."""
    found = campaign(laid_out, scenario, fault, 1, 4 if scenario.startswith("shared") else 1)
    assert found["wrong"] == {}
    assert fault == "full" or found["struck"] == found["tried"]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["replaced", "upgraded", "shared-upgraded"])
def test_random_instants(laid_out: Path, scenario: str) -> None:
    assert campaign(laid_out, scenario, "random", 30)["wrong"] == {}


@pytest.mark.slow
def test_random_instants_while_pip_works(tmp_path: Path) -> None:
    lay_out(tmp_path, bundled_pip())
    assert campaign(tmp_path, "by-pip", "random", 20)["wrong"] == {}
