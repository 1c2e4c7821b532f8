"""web.in, installed directly on each CPython of this host, is what the bundle's own pip leaves of the same wheels, file by file.

Not compared: the receipt, which pip does not write; in compiled code the time of its source, and the order of constant sets, which is
another one in each run of Python.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.data import DATA
from tests.support.cli import environment, wheelhouse
from tests.support.pythons import cpythons
from tests.support.trees import differences

pytestmark = [pytest.mark.slow, pytest.mark.network]

VERSIONS = [version for version in cpythons() if int(version.partition(".")[2]) >= 11]
"""Those that the newest pip runs on, but for 3.10: the last numpy for it brings compiled code along, of which pip leaves a wrong digest."""
PIP = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('pip', run_name='__main__', alter_sys=True)"
MAKE_VENV = "import venv; venv.EnvBuilder(symlinks=True).create('venv')"
"""As the library has it; of its command line, newer ones also leave a .gitignore."""
SOME = ("django", "numpy", "uvicorn", "tzdata", "zope-interface")
VERSIONS_SEEN = (
    "import importlib.metadata, json; print(json.dumps(sorted((d.name, d.version) for d in importlib.metadata.distributions())))"
)


def said(*command: str | Path, cwd: Path) -> str:
    env = environment(cwd) | {"PIP_CONFIG_FILE": "/dev/null"}
    done = subprocess.run([*command], cwd=cwd, env=env, capture_output=True, check=False, encoding="utf-8", umask=0o022)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed_by_pip(folder: Path, python: Path, target: str, options: Sequence[str]) -> None:
    said(python, "-I", "-c", MAKE_VENV, cwd=folder)
    [pip] = (folder / "house/wheels").glob("pip-*.whl")
    (folder / "pip.txt").write_text(f"pip=={pip.name.split('-')[1]}\n")
    asked = ("--no-index", "--no-deps", "--find-links", "house/wheels", "-r", f"house/targets/{target}/requirements.txt")
    bare: tuple[str | Path, ...] = ("venv/bin/python", "-I", "-c", PIP, pip, "install", "--isolated", "-q", "--no-cache-dir", *options)
    said(*bare, *asked, cwd=folder)
    said(*bare, "--no-index", "--find-links", "house/wheels", "-r", "pip.txt", cwd=folder)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_the_same_and_pip_can_work_with_it(version: str, tmp_path: Path) -> None:
    target, python = f"cp{version.replace('.', '')}-manylinux_2_28_x86_64", cpythons()[version]
    shutil.copy(DATA / "web.in", tmp_path)
    lines = ["bundle: same", 'version: "1"', "requirements: [web.in]", f"targets: [{target}]", "sign: {key: key}", ""]
    (tmp_path / "wheelhouse.yaml").write_text("\n".join(lines))
    wheelhouse("keygen", "--key", "key", cwd=tmp_path)
    wheelhouse("bundle", "-o", "web.whb", "--effort", "fast", cwd=tmp_path)
    wheelhouse("unpack", "web.whb", "house", "--target", target, "--trust", "key.allowed_signers", cwd=tmp_path)
    direct = ("web.whb", "install", "--venv", "venv", "--trust", "key.allowed_signers", "--engine", "direct")
    for options in ([], ["--no-compile"]):
        said(python, *direct, *options, cwd=tmp_path)
        (tmp_path / "venv").rename(tmp_path / "ours")
        installed_by_pip(tmp_path, python, target, options)
        assert differences(tmp_path / "ours", tmp_path / "venv", ignored={"wheelhouse-receipt.json"}) == []
        seen = [
            json.loads(said(tree / "bin/python", "-I", "-c", VERSIONS_SEEN, cwd=tmp_path))
            for tree in (tmp_path / "ours", tmp_path / "venv")
        ]
        assert seen[0] == seen[1]
        assert len(seen[0]) > 40
        pip_in_ours(tmp_path)
        shutil.rmtree(tmp_path / "ours")
        shutil.rmtree(tmp_path / "venv")


def pip_in_ours(folder: Path) -> None:
    """``list``, ``check`` and ``uninstall`` of what was installed directly, by the pip within."""
    shutil.rmtree(folder / "venv")
    (folder / "ours").rename(folder / "venv")
    pip = ("venv/bin/python", "-I", "-m", "pip", "--isolated", "--disable-pip-version-check")
    listed = json.loads(said(*pip, "list", "--format", "json", cwd=folder))
    assert {each["name"].lower().replace(".", "-").replace("_", "-") for each in listed} > set(SOME)
    assert "No broken requirements" in said(*pip, "check", cwd=folder)
    said(*pip, "uninstall", "-y", "-q", *SOME, cwd=folder)
    [site] = (folder / "venv").glob("lib/python*/site-packages")
    left = [path for name in ("django", "numpy", "uvicorn", "tzdata") for path in (site / name).rglob("*") if path.is_file()]
    assert left == []
    (folder / "venv").rename(folder / "ours")
    (folder / "venv").mkdir()
