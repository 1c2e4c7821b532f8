"""What travels inside the bundle runs on every CPython from 3.6 on, with nothing but its standard library."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import wheelhouse_builder.runtime
from tests.support.pythons import cpythons

RUNTIME = Path(wheelhouse_builder.runtime.__file__).parent
FILES = sorted(RUNTIME.glob("*.py"))
MODULES = [path.stem for path in FILES if path.stem not in ("__init__", "__main__", "bundle_main")]

COMPILE = """
import sys
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        compile(file.read(), path, "exec", dont_inherit=True)
"""

IMPORT = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module("wheelhouse_runtime." + name)
print(json.dumps({name: getattr(module, "__file__", None) for name, module in sys.modules.items()}))
"""


def run(version: str, code: str, *arguments: str) -> str:
    """What ``code`` prints under CPython ``version``, isolated, without site-packages, with warnings as errors."""
    done = subprocess.run(
        [cpythons()[version], "-I", "-S", "-B", "-W", "error", "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds the package under the name that it has in a bundle."""
    directory = tmp_path_factory.mktemp("root")
    shutil.copytree(RUNTIME, directory / "wheelhouse_runtime", ignore=shutil.ignore_patterns("__pycache__"))
    return directory


def test_there_is_something_to_try() -> None:
    assert {"bundle", "errors", "manifest", "zstd"} <= set(MODULES)


@pytest.mark.parametrize("version", cpythons())
def test_every_file_compiles(version: str) -> None:
    run(version, COMPILE, *map(str, FILES))


@pytest.mark.parametrize("version", cpythons())
def test_every_module_can_be_imported_under_its_name_in_the_bundle(version: str, root: Path) -> None:
    loaded = json.loads(run(version, IMPORT, str(root), *MODULES))
    ours = {name.partition(".")[2] for name in loaded if name.startswith("wheelhouse_runtime.")}
    assert ours >= set(MODULES)
    assert foreign(version, loaded, root) == {}


def foreign(version: str, loaded: dict[str, str | None], root: Path) -> dict[str, str]:
    """The loaded modules that are neither the interpreter's own nor ours."""
    code = "import json, sysconfig; print(json.dumps([sysconfig.get_path('stdlib'), sysconfig.get_path('platstdlib')]))"
    homes = [Path(path).resolve() for path in json.loads(run(version, code))] + [root.resolve()]
    places = {name: Path(path).resolve() for name, path in loaded.items() if path}
    return {
        name: str(path)
        for name, path in places.items()
        if "site-packages" in path.parts or "dist-packages" in path.parts or not any(home in path.parents for home in homes)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_imports_name_the_standard_library_or_neighbours(path: Path) -> None:
    absolute = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            absolute |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            absolute.add(str(node.module).partition(".")[0])
    looked_for = {"pip", "_manylinux"} if path.stem == "probe" else set()  # whether the host has them
    assert absolute - sys.stdlib_module_names - {"wheelhouse_runtime"} == looked_for
    assert "wheelhouse_builder" not in absolute
