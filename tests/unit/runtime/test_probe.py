"""The probe: what it says of each Python here is what pip and packaging say in that Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import packaging
import pytest
from packaging.specifiers import SpecifierSet
from packaging.tags import mac_platforms

from tests.support.cli import wheelhouse
from tests.support.pip import bundled_pip
from tests.support.pythons import cpythons
from wheelhouse_builder.runtime import probe

PACKAGING = Path(packaging.__path__[0]).parent
"""Where our own packaging lies."""
_SERVED = SpecifierSet(metadata("packaging")["Requires-Python"])
FOR_PACKAGING = [version for version in cpythons() if _SERVED.contains(version)]
"""The Pythons on which it runs: each of its releases may leave an old one behind."""
WITH_TAGS_IN_PIP = [version for version in cpythons() if int(version.partition(".")[2]) >= 7]
NEWEST_PIP = {"2.7": "20.3.4", "3.6": "21.3.1"}
"""For the Pythons whose own pip is older than PEP 600."""

BY_PACKAGING = """
import sys
sys.path.insert(0, sys.argv[1])
import json
from packaging.markers import default_environment
from packaging.tags import sys_tags
print(json.dumps([[str(tag) for tag in sys_tags()], default_environment()]))
"""
BY_PIP = """
import sys
sys.path.insert(0, sys.argv[1])
import json
from pip._internal.utils.compatibility_tags import get_supported
print(json.dumps([str(tag) for tag in get_supported()]))
"""


def legacy_python() -> Path | None:
    """A Python 2.7, where there is one."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    on_path = shutil.which("python2.7")
    return next(iter(sorted(pyenv.glob("2.7*/bin/python"))), Path(on_path) if on_path else None)


def every_python() -> dict[str, Path]:
    legacy = legacy_python()
    return {**({"2.7": legacy} if legacy else {}), **cpythons()}


def said(python: Path | str, *arguments: str | Path) -> Any:
    done = subprocess.run([python, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def but_linux(tags: list[str]) -> list[str]:
    """Without linux_x86_64, which packaging moved from the last place to the first."""
    return [tag for tag in tags if "-linux_" not in tag]


@pytest.mark.parametrize("version", every_python())
def test_it_runs_on_each_python_and_leaves_nothing_out(version: str) -> None:
    document = said(every_python()[version], probe.__file__)
    assert set(document) == set(probe.probe())
    assert document["markers"]["python_version"] == version
    assert set(document["markers"]) == set(probe.markers())
    assert all(free > 0 for free in document["disk"].values())


@pytest.mark.parametrize("version", FOR_PACKAGING)
def test_tags_and_markers_are_those_of_packaging_in_the_same_order(version: str) -> None:
    tags, markers = said(cpythons()[version], "-I", "-c", BY_PACKAGING, PACKAGING)
    document = said(cpythons()[version], probe.__file__)
    assert document["tags"] == tags
    assert document["markers"] == {key: value for key, value in markers.items() if key != "extra"}


@pytest.mark.parametrize("version", WITH_TAGS_IN_PIP)
def test_tags_are_those_that_its_own_pip_accepts(version: str) -> None:
    python = cpythons()[version]
    theirs = said(python, "-I", "-c", BY_PIP, bundled_pip(python))
    ours = said(python, probe.__file__)["tags"]
    assert but_linux(ours) == but_linux(theirs)
    assert set(ours) == set(theirs)


@pytest.mark.network
@pytest.mark.parametrize("version", [version for version in NEWEST_PIP if version in every_python()])
def test_tags_are_those_of_the_last_pip_for_an_old_python(version: str, tmp_path: Path) -> None:
    requirement = f"pip=={NEWEST_PIP[version]}"
    download = [sys.executable, "-m", "pip", "download", "--isolated", "--no-deps", "--only-binary=:all:", "--dest", str(tmp_path)]
    subprocess.run([*download, "--ignore-requires-python", requirement], check=True, capture_output=True)
    python = every_python()[version]
    theirs = said(python, "-E", "-s", "-c", BY_PIP, next(tmp_path.glob("pip-*.whl")))
    assert but_linux(said(python, probe.__file__)["tags"]) == but_linux(theirs)


@pytest.mark.parametrize("version", [(10, 3), (10, 9), (10, 15), (11, 0), (14, 5), (26, 1)])
@pytest.mark.parametrize("machine", ["x86_64", "arm64", "i386"])
def test_platforms_of_macos_are_those_of_packaging(version: tuple[int, int], machine: str) -> None:
    if (machine == "arm64") > (version >= (11, 0)) or (machine == "i386") > (version < (11, 0)):
        return  # no such host
    assert list(probe.mac_platforms(version, machine)) == list(mac_platforms(version, machine))


def test_platforms_of_musl_follow_its_loader() -> None:
    assert list(probe.linux_platforms(["aarch64"], None, (1, 2))) == [
        "linux_aarch64",
        "musllinux_1_2_aarch64",
        "musllinux_1_1_aarch64",
        "musllinux_1_0_aarch64",
    ]


def test_a_distributor_who_denies_manylinux_is_heard(tmp_path: Path) -> None:
    (tmp_path / "_manylinux.py").write_text(
        "def manylinux_compatible(major, minor, machine):\n    return minor < 20 if minor != 18 else None\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import runpy; runpy.run_path({probe.__file__!r}, run_name='__main__')"
    tags = said(sys.executable, "-c", code)["tags"]
    assert not [tag for tag in tags if "manylinux_2_20" in tag]
    assert [tag for tag in tags if "manylinux_2_18" in tag]


def test_the_script_is_one_file_that_runs_by_itself(tmp_path: Path) -> None:
    script = tmp_path / "wheelhouse-probe.py"
    script.write_text(wheelhouse("probe", "--script", cwd=tmp_path).stdout)
    assert script.read_text().isascii()  # Python 2.7 takes no other file without being told
    subprocess.run([sys.executable, "-I", "-W", "error", script, tmp_path / "host.json"], check=True)
    written = json.loads((tmp_path / "host.json").read_text())
    assert {**written, "disk": 0} == {**said(sys.executable, "-I", script), "disk": 0}
    assert json.loads(wheelhouse("probe", cwd=tmp_path).stdout)["tags"] == said(sys.executable, script)["tags"]


def test_another_python_is_asked_by_its_path(tmp_path: Path) -> None:
    version, python = next(iter(cpythons().items()))
    told = wheelhouse("probe", "--python", python, "-o", "host.json", cwd=tmp_path).stdout
    assert told.startswith(f"host.json: CPython {version}.")
    assert json.loads((tmp_path / "host.json").read_text())["markers"]["python_version"] == version


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--script", "-o", "host.json"), 2, "no other option"),
        (("--python", "no-such-python"), 9, "cannot be run"),
        (("--python", "/bin/false"), 9, "could not be probed"),
    ],
)
def test_what_cannot_be_done_is_told(options: tuple[str, ...], code: int, words: str, tmp_path: Path) -> None:
    assert words in wheelhouse("probe", *options, cwd=tmp_path, expect=code).stderr
