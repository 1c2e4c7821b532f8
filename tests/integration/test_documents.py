"""Every command line that the documents show is run, in their order, as they show it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest
import uv

from tests.support.cli import environment
from tests.support.workplace import this_target
from wheelhouse_builder.recipe import read_recipe
from wheelhouse_builder.spec import read_spec

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.network


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [text for found, text in BLOCK.findall(document.read_text(encoding="utf-8")) if found == language]


def sh(script: str, folder: Path, env: Mapping[str, str] | None = None, *, offline: bool = False) -> str:
    """Run a block as a shell would, from ``folder``, with ``wheelhouse`` and this interpreter's ``python3`` on PATH."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    programs = {"wheelhouse": str(Path(sys.executable).parent / "wheelhouse"), "python3": sys.executable, "uv": uv.find_uv_bin()}
    for name, program in programs.items():
        if not (tools / name).is_symlink():
            (tools / name).symlink_to(program)
    everything = environment(folder, {"PATH": f"{tools}:{os.environ['PATH']}", **(env or {})})
    command = [*(("unshare", "-rn") if offline else ()), "sh", "-euc", script]
    done = subprocess.run(command, cwd=folder, env=everything, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def fresh_environment(folder: Path, pip: Path) -> dict[str, str]:
    """Environment variables of an active, empty virtual environment with the given pip, as a developer inside would have one."""
    venv.create(folder, with_pip=True)
    sh(f"{folder}/bin/python -m pip install --quiet --no-index {pip}", folder)
    return {"VIRTUAL_ENV": str(folder), "PATH": f"{folder}/bin:{folder.parent / 'tools'}:{os.environ['PATH']}"}


@pytest.mark.parametrize("example", ["web", pytest.param("science", marks=pytest.mark.slow)])
def test_the_walk_throughs_walk_through(example: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / example, tmp_path, dirs_exist_ok=True)
    scripts = blocks(tmp_path / "README.md", "sh")
    assert len(scripts) > 1
    for position, script in enumerate(scripts):
        sh(script, tmp_path, offline=position > 0)


def test_the_readme_keeps_its_promises(tmp_path: Path) -> None:
    make, connected, inside, after_unpack, by_hand = blocks(ROOT / "README.md", "sh")
    assert [line.partition("#")[0].strip() for line in make.splitlines()] == ["make demo", "make test"]
    spec, options, recipe = blocks(ROOT / "README.md", "yaml")
    (tmp_path / "wheelhouse.yaml").write_text(spec.replace("cp312-manylinux_2_28_x86_64 ", f"{this_target()} "))
    (tmp_path / "requirements.in").write_text("uvicorn\n")
    (tmp_path / "constraints.txt").write_text("click<9\n")
    (tmp_path / "everything.yaml").write_text(spec + options)
    (tmp_path / "acme.env").write_text("ACME=1\n")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/mysqlclient.yaml").write_text(recipe)
    assert read_spec(tmp_path / "everything.yaml").policy.channel == "stable"
    assert read_recipe(tmp_path / "recipes/mysqlclient.yaml").project == "mysqlclient"
    sh(connected, tmp_path)
    shutil.copy(tmp_path / "home/.config/wheelhouse/id_ed25519.allowed_signers", tmp_path / "allowed_signers")
    sh(inside, tmp_path, offline=True)
    assert "tar --zstd -tf acme-web-2026.11.whb" in (ROOT / "README.md").read_text()
    assert "acme-web-2026.11/README.txt" in sh("tar --zstd -tf acme-web-2026.11.whb", tmp_path).splitlines()
    assert "Good" in sh(by_hand, tmp_path, offline=True)
    (pip,) = (tmp_path / "wheelhouse/wheels").glob("pip-*.whl")
    for position, line in enumerate(after_unpack.replace("TARGET", this_target()).splitlines()):
        env = fresh_environment(tmp_path / f"inside{position}", pip)
        sh(line, tmp_path, env, offline=True)
        sh("python -c 'import uvicorn, click, h11'", tmp_path, env, offline=True)
