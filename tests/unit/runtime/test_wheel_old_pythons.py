from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pytest

from tests.support.malformed_wheels import FILENAME, MALFORMED, good_wheel
from tests.support.pythons import cpythons
from wheelhouse_builder import runtime
from wheelhouse_builder.runtime.wheel import wheel_problems

CHECK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from runtime.wheel import wheel_problems
found = []
for line in open(sys.argv[2], encoding="utf-8"):
    path, filename = json.loads(line)
    with open(path, "rb") as file:
        found.append(wheel_problems(file, filename))
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[str]]]:
    """A list of wheels, each a path and a file name, and what this Python says of them."""
    directory = tmp_path_factory.mktemp("wheels")
    contents = [(good_wheel(), FILENAME), *((wheel.build(), wheel.filename) for wheel in MALFORMED.values())]
    lines = []
    for number, (data, filename) in enumerate(contents):
        (directory / str(number)).write_bytes(data)
        lines.append(json.dumps([str(directory / str(number)), filename]))
    (directory / "list").write_text("\n".join(lines), encoding="utf-8")
    return directory / "list", [wheel_problems(io.BytesIO(data), filename) for data, filename in contents]


@pytest.mark.parametrize("version", cpythons())
def test_each_cpython_says_the_same_of_each_wheel(wheels: tuple[Path, list[list[str]]], version: str) -> None:
    listed, expected = wheels
    rooms = Path(str(runtime.__file__)).parents[1]
    done = subprocess.run([cpythons()[version], "-I", "-c", CHECK, rooms, listed], capture_output=True, check=True)
    assert json.loads(done.stdout) == expected
