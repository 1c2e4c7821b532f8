"""The verifier that is carried in as one file is the reader that travels: the same verdict on every bundle, word for word."""

from __future__ import annotations

import difflib
import json
import subprocess
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.support import damaged
from tests.support.bundles import OURS, write_trust
from tests.support.cli import wheelhouse
from tests.support.pythons import cpythons
from wheelhouse_builder import verifier
from wheelhouse_builder.errors import WheelhouseError
from wheelhouse_builder.runtime.commands import run_inspect, run_verify

OLDEST_AND_NEWEST = (next(iter(cpythons())), list(cpythons())[-1])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, a trust store, and each bundle good or bad."""
    directory = tmp_path_factory.mktemp("inside")
    (directory / verifier.FILE_NAME).write_text(verifier.source(), encoding="utf-8")
    write_trust(directory, OURS)
    (directory / "bundles").mkdir()
    scratch = tmp_path_factory.mktemp("scratch")
    for number, (name, data) in enumerate([*damaged.good(scratch), *damaged.bad(scratch)]):
        (directory / "bundles" / f"{number:03} {name}.whb").write_bytes(data)
    return directory


_ALL = """
import json, sys, types
with open(sys.argv[1], encoding="utf-8") as file:
    head = file.read().split("\\n# ---- module: ")[0]
verifier = types.ModuleType("verifier")
verifier.__file__ = sys.argv[1]
exec(compile(head, sys.argv[1], "exec"), verifier.__dict__)
verifier.load()
from wheelhouse_runtime.errors import WheelhouseError
found = []
for path in sys.argv[2:]:
    for command in ("verify", "inspect"):
        try:
            asked = types.SimpleNamespace(command=command, file=path, trust="allowed_signers", state="state.json", volumes=[])
            found.append([0, verifier.run(asked)])
        except WheelhouseError as error:
            told = {"name": error.name, "exit_code": error.exit_code, "problems": list(error.problems), "hint": error.hint}
            found.append([error.exit_code, {"error": told}])
print(json.dumps(found))
"""


def carried(python: Path, place: Path, paths: list[Path]) -> Any:
    """What the file that was carried in says of each bundle, verified and inspected."""
    command = [str(part) for part in (python, "-I", "-B", "-W", "error", "-c", _ALL, place / verifier.FILE_NAME, *paths)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)


def ours(run: Any, *arguments: Any, **options: Any) -> tuple[int, Mapping[str, Any]]:
    try:
        return 0, run(*arguments, **options)
    except WheelhouseError as error:
        told = {"name": error.name, "exit_code": error.exit_code, "problems": list(error.problems), "hint": error.hint}
        return error.exit_code, {"error": told}


@pytest.mark.parametrize("version", OLDEST_AND_NEWEST)
def test_it_says_of_every_bundle_what_the_runtime_says(version: str, place: Path) -> None:
    paths = sorted(place.glob("bundles/*"))
    wanted: list[Any] = []
    for path in paths:
        wanted.append(_read(ours(run_verify, str(path), str(place / "allowed_signers"), state=str(place / "state.json")), place))
        wanted.append(_read(ours(run_inspect, str(path)), place))
    found = carried(cpythons()[version], place, paths)
    for number, (theirs, mine) in enumerate(zip(found, wanted, strict=True)):
        assert theirs == mine, paths[number // 2].name
    verdicts = [code for code, _ in found[::2]]
    assert verdicts.count(0) == 6
    assert set(verdicts) == {0, 11, 12}
    assert not (place / "state.json").exists()


@pytest.mark.parametrize("version", OLDEST_AND_NEWEST)
def test_its_command_line_tells_the_verdict_by_exit_code_and_json(version: str, place: Path) -> None:
    for path in sorted(place.glob("bundles/*"))[::20]:
        command = [str(part) for part in (cpythons()[version], place / verifier.FILE_NAME, "verify", path, "--trust", "allowed_signers")]
        done = subprocess.run([*command, "--json"], cwd=place, capture_output=True, text=True, check=False)
        assert [done.returncode, json.loads(done.stdout)] == _read(ours(run_verify, str(path), str(place / "allowed_signers")), place)


def _read(verdict: tuple[int, Mapping[str, Any]], place: Path) -> list[Any]:
    """The verdict as JSON makes it; the verifier names its trust store relative to where it runs."""
    return [verdict[0], json.loads(json.dumps(verdict[1]).replace(f"{place}/allowed_signers", "allowed_signers"))]


def test_the_same_version_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        wheelhouse("verifier", "-o", name, cwd=tmp_path)
    assert (tmp_path / "a.py").read_bytes() == (tmp_path / "b.py").read_bytes() == verifier.source().encode()


def test_what_stands_in_it_is_what_stands_in_the_runtime() -> None:
    text, found = verifier.source(), []
    for part in text.split("# ---- module: ")[1:]:
        name, _, body = part.partition(" ----\n")
        if name.isidentifier():
            original = files("wheelhouse_builder.runtime").joinpath(f"{name}.py").read_text(encoding="utf-8")
            assert not [line for line in difflib.ndiff(original.splitlines(), body.rstrip("\n").splitlines()) if line[0] in "+-"], name
            found.append(name)
    assert {"bundle", "sshsig", "ed25519", "policy", "memory"} <= set(found)
    assert not {"install", "unpack", "cli"} & set(found)


def test_files_beside_it_and_the_environment_have_no_say(tmp_path: Path, place: Path) -> None:
    (tmp_path / "v.py").write_text(verifier.source(), encoding="utf-8")
    for name in ("os", "re", "json", "hashlib", "argparse", "subprocess", "types"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(0)\n")
    for python in map(cpythons().__getitem__, OLDEST_AND_NEWEST):
        command = [str(python), "v.py", "verify", "nothing.whb", "--trust", str(place / "allowed_signers")]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (9, "")
        assert "nothing.whb" in done.stderr


def test_a_mistake_in_the_command_line_is_no_success(place: Path) -> None:
    for arguments in ([], ["verify"], ["unpack", "x"], ["verify", "x", "--tru", "y"]):
        done = subprocess.run([cpythons()[OLDEST_AND_NEWEST[0]], place / verifier.FILE_NAME, *arguments], capture_output=True, check=False)
        assert done.returncode == 2


def test_nothing_in_it_installs_or_starts_programs() -> None:
    """A reviewer reads what verifying needs, and no more."""
    _, *modules = verifier.source().split("\n# ---- module: ")
    assert not {module.partition(" ")[0] for module in modules} & {"install", "unpack", "places", "environment", "child", "probe"}
    assert not [module.partition(" ")[0] for module in modules if "import subprocess" in module]
