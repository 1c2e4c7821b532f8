"""Real requirement sets from PyPI: each target gets what it needs, in the wheels that it likes best, and installs without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import uv
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from tests.data import DATA
from tests.support.cli import environment, wheelhouse
from tests.support.pythons import cpythons
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.model.target import Target

pytestmark = pytest.mark.network

PYPI = "https://pypi.org/simple"
FOREIGN = {
    "cp312-manylinux_2_28_x86_64": "x86_64-manylinux_2_28",
    "cp312-win_amd64": "x86_64-pc-windows-msvc",
    "cp312-macosx_14_0_arm64": "aarch64-apple-darwin",
    "cp313-manylinux_2_28_aarch64": "aarch64-manylinux_2_28",
}
"""Targets, and uv's names for their platforms."""
TOP_LEVELS = """\
import importlib, importlib.metadata
names = set()
for distribution in importlib.metadata.distributions():
    for file in distribution.files or ():
        top = file.parts[0]
        if file.suffix in (".py", ".so") and len(file.parts) <= 2 and top != ".." and not top.endswith((".libs", ".data")):
            names.add(top.split(".")[0])
for name in sorted(names - {"__pycache__"}):
    print(importlib.import_module(name).__name__)
"""
"""Imports every top-level module of the environment, and names them."""
PIPS = {"20.3.4": "3.9", "23.3.2": "3.9", "26.3": "3.12"}
"""Versions of pip, and the CPython that each is tried on if the host has it; else the one that runs the tests, too new for pip 20.3,
which is then not among the tests at all."""


def spec(folder: Path, requirements: str, *targets: str) -> None:
    shutil.copy(DATA / requirements, folder)
    (folder / "wheelhouse.yaml").write_text(
        f'bundle: real\nversion: "1"\nrequirements: [{requirements}]\ntargets: {list(targets)}\nsign: {{key: key}}\n'
    )
    wheelhouse("keygen", "--key", "key", cwd=folder)


def rank(filename: str, target: str) -> int | None:
    """How far down its list of tags the target finds this wheel; None: not at all."""
    tags = parse_wheel_filename(filename)[3]
    return next((position for position, tag in enumerate(Target.parse(target).tags) if tag in tags), None)


def best_rank(filenames: Iterable[str], version: Version, target: str) -> int | None:
    """The least rank among the wheels of one release; an index has files of old whose names are none."""
    ranks = []
    for filename in filenames:
        with suppress(InvalidWheelFilename):
            if parse_wheel_filename(filename)[1] == version:
                ranks.append(rank(filename, target))
    return min((found for found in ranks if found is not None), default=None)


def offline(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(["unshare", "-rn", *command], cwd=cwd, env=environment(cwd), capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def markers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("markers")
    spec(folder, "markers.in", *FOREIGN)
    wheelhouse("bundle", "-o", "markers.whb", "--effort", "fast", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def held(markers: Path) -> dict[str, dict[str, str]]:
    """Target → project → file name."""
    listed = wheelhouse("inspect", "markers.whb", "--json", cwd=markers).document["distributions"]
    return {target: {each["project"]: each["filename"] for each in listed if target in each["targets"]} for target in FOREIGN}


@pytest.fixture(scope="module")
def python() -> tuple[str, Path]:
    """Version and path of the CPython that the set is for: 3.12 where the host has it."""
    minor = "3.12" if "3.12" in cpythons() else f"3.{sys.version_info.minor}"
    return minor, cpythons()[minor]


@pytest.fixture(scope="module")
def web(python: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("web")
    spec(folder, "web.in", f"cp{python[0].replace('.', '')}-manylinux_2_28_x86_64")
    wheelhouse("bundle", "-o", "web.whb", "--effort", "fast", cwd=folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pips")
    targets = {
        f"cp{minor.replace('.', '')}-manylinux_2_28_x86_64" for minor in {*pythons_of_pips().values(), f"3.{sys.version_info.minor}"}
    }
    spec(folder, "markers.in", *sorted(targets))
    wheelhouse("bundle", "-o", "markers.whb", "--effort", "fast", cwd=folder)
    wheelhouse("unpack", "markers.whb", "house", "--target", "all", "--trust", "key.allowed_signers", cwd=folder)
    return folder


def pythons_of_pips() -> dict[str, str]:
    """The minor version of the CPython on which each pip is tried."""
    ours = f"3.{sys.version_info.minor}"
    return {pip: minor if minor in cpythons() else ours for pip, minor in PIPS.items() if minor in cpythons() or pip != "20.3.4"}


class TestMarkers:
    """The set on which other tools go wrong for Windows."""

    def test_windows_has_colorama_and_lacks_uvloop(self, held: dict[str, dict[str, str]]) -> None:
        windows = held["cp312-win_amd64"]
        assert len(windows) == 23
        assert "colorama" in windows
        assert "uvloop" not in windows
        assert "uvloop" in held["cp312-macosx_14_0_arm64"]

    @pytest.mark.parametrize("target", FOREIGN)
    def test_each_set_is_what_uv_says(self, held: dict[str, dict[str, str]], target: str, tmp_path: Path) -> None:
        version = str(Target.parse(target).markers["python_full_version"])
        command = [
            uv.find_uv_bin(),
            "pip",
            "compile",
            "--no-config",
            "--no-build",
            "--no-header",
            "--no-annotate",
            "--no-python-downloads",
            "--quiet",
        ]
        command += ["--default-index", PYPI, "--python", sys.executable, "--python-version", version, "--python-platform", FOREIGN[target]]
        env = {**environment(tmp_path), "MACOSX_DEPLOYMENT_TARGET": "14.0"}
        said = subprocess.run([*command, DATA / "markers.in"], env=env, capture_output=True, check=True, text=True).stdout
        pins = {canonicalize_name(name.partition("[")[0]): version for name, _, version in (line.partition("==") for line in said.split())}
        assert {project: str(parse_wheel_filename(filename)[1]) for project, filename in held[target].items()} == pins

    def test_each_wheel_has_the_best_tag_that_its_target_accepts(self, held: dict[str, dict[str, str]]) -> None:
        with IndexClient() as client:
            for name, wheels in held.items():
                for project, filename in wheels.items():
                    offered = [file.filename for file in client.files(PYPI, project)]
                    assert rank(filename, name) == best_rank(offered, parse_wheel_filename(filename)[1], name), (name, filename)


class TestWeb:
    """43 wheels: built, unpacked, installed in every way that is promised, and imported, without a network."""

    def test_it_installs_and_every_top_level_module_imports(self, web: Path, python: tuple[str, Path]) -> None:
        offline(python[1], "web.whb", "install", "--venv", "venv", "--trust", "key.allowed_signers", cwd=web)
        imported = set(offline("venv/bin/python", "-I", "-c", TOP_LEVELS, cwd=web).split())
        assert imported > {
            "PIL",
            "django",
            "fastapi",
            "gevent",
            "grpc",
            "lxml",
            "numpy",
            "pandas",
            "psycopg2",
            "sqlalchemy",
            "uvicorn",
            "yaml",
        }
        assert "No broken requirements" in offline("venv/bin/python", "-m", "pip", "check", cwd=web)


class TestPips:
    """What is unpacked installs by every pip from 20.3 on, and by uv."""

    def environment(self, pips: Path, minor: str, pip: str) -> Path:
        """A fresh environment of one CPython that holds one pip."""
        place = pips / f"{minor}-{pip}"
        subprocess.run([cpythons()[minor], "-m", "venv", place], check=True)
        env = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        subprocess.run([place / "bin/python", "-m", "pip", "install", "-q", f"pip=={pip}"], env=env, check=True, capture_output=True)
        return place

    @pytest.mark.parametrize(("pip", "minor"), pythons_of_pips().items())
    def test_a_hashed_requirements_file(self, pips: Path, pip: str, minor: str) -> None:
        python = self.environment(pips, minor, pip) / "bin/python"
        locks = pips / f"house/targets/cp{minor.replace('.', '')}-manylinux_2_28_x86_64"
        asked = ("--find-links", "house/wheels", "--require-hashes", "-r", locks / "requirements.txt")
        offline(python, "-m", "pip", "install", "--no-index", *asked, cwd=pips)
        offline(python, "-c", "import fastapi, numpy, psycopg2, uvicorn, uvloop, tqdm", cwd=pips)

    def test_a_pylock_by_pip(self, pips: Path) -> None:
        minor = pythons_of_pips()["26.3"]
        python = self.environment(pips, minor, "26.2") / "bin/python"
        locks = pips / f"house/targets/cp{minor.replace('.', '')}-manylinux_2_28_x86_64"
        offline(python, "-m", "pip", "install", "--no-index", "-r", locks / "pylock.toml", cwd=pips)
        offline(python, "-c", "import fastapi, numpy, psycopg2, uvicorn, uvloop, tqdm", cwd=pips)

    def test_a_pylock_by_uv(self, pips: Path) -> None:
        minor = f"3.{sys.version_info.minor}"
        venv.create(pips / "by-uv")
        lock = pips / f"house/targets/cp{minor.replace('.', '')}-manylinux_2_28_x86_64/pylock.toml"
        offline(uv.find_uv_bin(), "pip", "sync", "--no-config", "--offline", "--python", "by-uv/bin/python", lock, cwd=pips)
        offline("by-uv/bin/python", "-c", "import fastapi, numpy, psycopg2, uvicorn, uvloop, tqdm", cwd=pips)
        assert all("path" in wheel for package in tomllib.loads(lock.read_text())["packages"] for wheel in package["wheels"])
