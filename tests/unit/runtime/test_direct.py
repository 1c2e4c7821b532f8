"""What the direct engine leaves is what pip 26.3 leaves, file by file, mode by mode, and RECORD line by line."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.cli import environment
from tests.support.contents import held, make_lock
from tests.support.handmade import bundle_for
from tests.support.pip import bundled_pip
from tests.support.trees import differences
from tests.support.wheels import EPOCH, core_metadata, make_wheel, wheel_members, wheel_metadata
from tests.support.zips import ZipMember, deflated
from tests.support.zips import write_zip as write_odd_zip
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.pack import Contents, pack
from wheelhouse_builder.runtime import placing
from wheelhouse_builder.runtime.bundle import verify
from wheelhouse_builder.runtime.commands import Destination, Manner, run_install, run_unpack
from wheelhouse_builder.runtime.errors import BundleRefused, InstallError, UsageError
from wheelhouse_builder.runtime.host import this_host
from wheelhouse_builder.runtime.placing import write_new
from wheelhouse_builder.runtime.policy import read_trust
from wheelhouse_builder.runtime.report import Report

ODD_FILES = {
    "odd/__init__.py": "def main():\n    print('odd')\n",
    "odd/naïve.py": "# coding: utf-8\nWORD = 'ü'\n",
    "odd/not_python.py": "this is no Python\n",
    "odd/empty.py": "",
    "odd/bin/tool": "#!/bin/sh\nexit 0\n",
    "odd/a,b.txt": "a comma in its name\n",
    "odd-1.0.data/scripts/odd-script": "#!python\nprint('odd')\n",
    "odd-1.0.data/scripts/odd-window": "#!pythonw -u\nprint('odd')\n",
    "odd-1.0.data/scripts/odd.sh": "#!/bin/sh\nexit 0\n",
    "odd-1.0.data/scripts/tool.py": "#!python\nprint('compiled, too')\n",
    "odd-1.0.data/scripts/wrapped": "setuptools made this for the entry point\n",
    "odd-1.0.data/data/share/odd/page.1": ".TH ODD\n",
    "odd-1.0.data/headers/odd.h": "#define ODD 1\n",
    "odd-1.0.data/purelib/odd_pure.py": "PURE = True\n",
    "odd-1.0.data/platlib/odd_plat.py": "PURE = False\n",
    "odd-1.0.dist-info/licenses/LICENSE": "free\n",
    "odd-1.0.dist-info/entry_points.txt": """\
[console_scripts]
wrapped = odd:main
dotted.name=odd:main [extra]
  spaced   =   odd : main
deep = odd.sub.module:Class.method
[gui_scripts]
window = odd:main
[pytest11]
odd = odd
""".replace("odd : main", "odd:main"),
}
EXECUTABLE = ("odd/bin/tool", "odd-1.0.data/scripts/odd.sh")
VERSIONED = (f"-3.{sys.version_info.minor}", f"3.{sys.version_info.minor}")
OURS_ALONE = {"wheelhouse-receipt.json"}
"""What pip does not write."""


def odd_wheel(directory: Path, files: Mapping[str, str] = ODD_FILES) -> Path:
    """A wheel with one of everything."""
    path = directory / "odd-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in wheel_members("odd", "1.0", files=files).items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = 3, (0o100755 if name in EXECUTABLE else 0o100644) << 16
            archive.writestr(info, data, compress_type=zipfile.ZIP_DEFLATED)
    return path


def wheels_in(directory: Path) -> list[Path]:
    directory.mkdir(parents=True)
    files = {"shared/__init__.py": "", "plain/__init__.py": "VALUE = {1, 2, 3}\n"}
    return [
        odd_wheel(directory),
        make_wheel(directory, "plain", "2.0", files=files, entry_points={"plain": "plain:main", "easy_install": "plain:main"}),
        make_wheel(directory, "other-one", "1.2", files={"shared/__init__.py": "", "other_one.py": "import sys\n"}),
    ]


def install(
    directory: Path,
    wheels: list[Path],
    venv: Path,
    *,
    mode: str = "dense",
    compiling: bool = True,
    exact: bool = False,
    engine: str = "direct",
) -> Report:
    path = directory / "acme.whb"
    path.write_bytes(bundle_for(this_host(), wheels, bundled_pip(), mode=mode).signed(OURS))
    manner = Manner(engine=engine, compile=compiling, imports=False, exact=exact)
    return run_install(str(path), Destination(venv=str(venv)), str(write_trust(directory, OURS)), manner)


def install_by_pip(directory: Path, wheels: list[Path], venv: Path, *options: str) -> None:
    """The same by the pip that the tests run with."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    listed = directory / "listed.txt"
    listed.write_text("".join("{}=={}\n".format(*wheel.name.split("-")[:2]).replace("_", "-") for wheel in [*wheels, bundled_pip()]))
    command: list[str | Path] = [sys.executable, "-I", "-m", "pip", "--isolated", "--python", venv / "bin/python", "install", "--no-index"]
    command += ["--no-deps", "--quiet", "--no-cache-dir", "--disable-pip-version-check", "--no-warn-script-location", *options]
    command += ["--find-links", wheels[0].parent, "--find-links", bundled_pip().parent, "-r", listed]
    env = environment(directory) | {"PIP_CONFIG_FILE": os.devnull}
    subprocess.run(command, check=True, env=env, umask=0o022)


def both(directory: Path, wheels: list[Path], *, name: str = "venv", mode: str = "dense", compiling: bool = True) -> list[str]:
    """In what the two differ, each having installed to the same path."""
    venv, ours = directory / name, directory / "ours"
    install(directory, wheels, venv, mode=mode, compiling=compiling)
    venv.rename(ours)
    install_by_pip(directory, wheels, venv, *([] if compiling else ["--no-compile"]))
    return differences(ours, venv, ignored=OURS_ALONE)


@pytest.mark.parametrize(("mode", "compiling"), [("dense", True), ("plain", False)])
def test_the_tree_is_the_one_that_pip_leaves(tmp_path: Path, mode: str, compiling: bool) -> None:
    assert both(tmp_path, wheels_in(tmp_path / "made"), mode=mode, compiling=compiling) == []


@pytest.mark.parametrize("name", ["with a space", "x" * 120])
def test_an_interpreter_that_no_first_line_can_name_is_started_by_the_shell(tmp_path: Path, name: str) -> None:
    assert both(tmp_path, wheels_in(tmp_path / "made"), name=name, compiling=False) == []
    said = subprocess.run([tmp_path / name / "bin/wrapped"], check=True, capture_output=True, encoding="utf-8").stdout
    assert said == "odd\n"


def test_pip_takes_away_what_was_placed_and_leaves_nothing(tmp_path: Path) -> None:
    wheels = wheels_in(tmp_path / "made")
    venv = tmp_path / "venv"
    install(tmp_path, wheels, venv)
    python = venv / "bin/python"
    said = subprocess.run(
        [python, "-I", "-m", "pip", "list", "--format", "freeze"], check=True, capture_output=True, encoding="utf-8"
    ).stdout
    assert {"odd==1.0", "plain==2.0", "other-one==1.2"} < set(said.split())
    subprocess.run([python, "-I", "-m", "pip", "uninstall", "-y", "-q", "odd", "plain", "other-one"], check=True, env=environment(tmp_path))
    left = {path.name for path in venv.rglob("*")}
    assert not {name for name in left if name.startswith(("odd", "plain", "other_one", "shared", "tool.", "wrapped"))}


def test_another_distributions_file_is_not_overwritten(tmp_path: Path) -> None:
    wheels = wheels_in(tmp_path / "made")
    wheels.append(make_wheel(tmp_path / "made", "rival", "1.0", files={"other_one.py": "import os\n"}))
    with pytest.raises(InstallError, match="another distribution has put something else"):
        install(tmp_path, wheels, tmp_path / "venv")
    assert not (tmp_path / "venv").exists()


def test_a_file_that_another_wheel_has_too_may_still_be_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(path: str, pieces: Iterable[bytes], mode: int) -> None:
        write_new(path, _late(pieces) if path.endswith("shared/__init__.py") else pieces, mode)

    monkeypatch.setattr(placing, "write_new", slowly)
    files = {"shared/__init__.py": "SHARED = True\n"}
    (tmp_path / "made").mkdir()
    install(tmp_path, [make_wheel(tmp_path / "made", name, "1.0", files=files) for name in ("one", "two", "three")], tmp_path / "venv")
    [shared] = (tmp_path / "venv").glob("lib/python*/site-packages/shared/__init__.py")
    assert shared.read_text() == "SHARED = True\n"


def _late(pieces: Iterable[bytes]) -> Iterator[bytes]:
    time.sleep(0.3)
    yield from pieces


def test_a_wheel_that_vendors_others_with_their_metadata_is_itself(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    inner = "whole/_vendor/inner-1.0.dist-info"
    files = {
        "whole/_vendor/inner.py": "",
        f"{inner}/METADATA": core_metadata("inner", "1.0"),
        f"{inner}/WHEEL": wheel_metadata("py3-none-any"),
    }
    files |= {f"{inner}/RECORD": "inner.py,,\n", f"{inner}/entry_points.txt": "[console_scripts]\ninner = inner:main\n"}
    assert both(tmp_path, [make_wheel(tmp_path / "made", "whole", "1.0", files=files)]) == []
    assert not (tmp_path / "venv/bin/inner").exists()


def test_a_malformed_wheel_is_refused_though_it_is_signed(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    [wheel] = [make_wheel(tmp_path / "made", "demo", "1.0")]
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("demo/unrecorded.py", "")
    with pytest.raises(BundleRefused, match="is not in RECORD"):
        install(tmp_path, [wheel], tmp_path / "venv")
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("reference", ["odd", "odd:", "odd:main; print()"])
def test_an_entry_point_that_cannot_be_a_script_is_refused(tmp_path: Path, reference: str) -> None:
    (tmp_path / "made").mkdir()
    wheel = odd_wheel(tmp_path / "made", {**ODD_FILES, "odd-1.0.dist-info/entry_points.txt": f"[console_scripts]\nodd = {reference}\n"})
    with pytest.raises(InstallError, match="cannot become a script"):
        install(tmp_path, [wheel], tmp_path / "venv")
    assert not (tmp_path / "venv").exists()


def test_the_engine_that_starts_pip_leaves_the_same(tmp_path: Path) -> None:
    wheels = wheels_in(tmp_path / "made")
    install(tmp_path, wheels, tmp_path / "venv")
    (tmp_path / "venv").rename(tmp_path / "first")
    install(tmp_path, wheels, tmp_path / "venv", engine="pip")
    its_scripts = {"wrapped", "dotted.name", "spaced", "deep", "window", "plain", "easy_install", "pip", "pip3"}
    of_another_pip = {f"bin/{name}" for name in (*its_scripts, *(f"{name}{end}" for name in ("easy_install", "pip") for end in VERSIONED))}
    found = differences(tmp_path / "first", tmp_path / "venv", ignored={*OURS_ALONE, *of_another_pip})
    assert [problem for problem in found if ".dist-info/RECORD: " not in problem] == []


@pytest.mark.parametrize(("engine", "compiling"), [("direct", True), ("direct", False), ("pip", True)])
def test_bytecode_that_a_wheel_brings_along_is_compiled_anew_or_stays(tmp_path: Path, engine: str, compiling: bool) -> None:
    """As numpy's did; pip compiles it anew, and leaves the wheel's digest in RECORD, which is then wrong."""
    name = importlib.util.cache_from_source("demo/__init__.py")
    wheel = make_wheel(tmp_path / "made", "demo", "1.0", files={"demo/__init__.py": "A = 1\n", name: b"compiled elsewhere"})
    install(tmp_path, [wheel], tmp_path / "venv", engine=engine, compiling=compiling)
    [site] = (tmp_path / "venv").glob("lib/python*/site-packages")
    with (site / "demo-1.0.dist-info/RECORD").open(newline="") as file:
        [row] = [row for row in csv.reader(file) if row[0] == name]
    assert bool(row[1]) == (not compiling)
    assert ((site / name).read_bytes() == b"compiled elsewhere") == (not compiling)


def test_exact_wheels_are_rebuilt_first_and_the_result_is_the_same(tmp_path: Path) -> None:
    wheels = wheels_in(tmp_path / "made")
    install(tmp_path, wheels, tmp_path / "venv", compiling=False)
    (tmp_path / "venv").rename(tmp_path / "first")
    install(tmp_path, wheels, tmp_path / "venv", compiling=False, exact=True)
    assert differences(tmp_path / "first", tmp_path / "venv", ignored=OURS_ALONE) == []


def test_the_report_names_no_check_that_was_not_made(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    wheels = [make_wheel(tmp_path / "made", "demo", "1.0")]
    made = {mode: install(tmp_path, wheels, tmp_path / mode, mode=mode, compiling=False) for mode in ("dense", "plain")}
    again = install(tmp_path, wheels, tmp_path / "plain", mode="plain", compiling=False)
    numbers = [[each["number"] for each in report["checks"]] for report in (made["dense"], made["plain"], again)]
    assert numbers == [[1, 2, 3, 4, 5, 6, 8, 9], [1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 5, 9]]


def test_an_engine_that_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no engine 'conda'"):
        run_install("acme.whb", Destination(venv=str(tmp_path / "venv")), None, Manner(engine="conda"))


@pytest.mark.parametrize("engine", ["direct", "pip"])
def test_a_wheel_that_no_skeleton_tells_travels_as_it_is(tmp_path: Path, engine: str) -> None:
    members = [ZipMember(name=name, content=data, data=deflated(data)) for name, data in wheel_members("turned", "1.0").items()]
    turned = write_odd_zip(tmp_path / "turned-1.0-py3-none-any.whl", members, directory_order=range(len(members) - 1, -1, -1))
    everything = [held(path) for path in (turned, make_wheel(tmp_path, "plain", "2.0"), bundled_pip())]
    lock = make_lock(Target.parse("this").name, everything[:-1], everything[-1:])
    contents = Contents.gather(name="acme", version="1", locks=[lock], wheels={each.filename: each for each in everything})
    pack(contents, tmp_path / "acme.whb", signers=[OURS], effort="fast")
    trust = str(write_trust(tmp_path, OURS))
    with verify(str(tmp_path / "acme.whb"), read_trust(trust)) as bundle:
        entries = {entry.path for frame in bundle.manifest.frames for entry in frame.entries}
    assert {f"wheels/{turned.name}", "skeletons/plain-2.0-py3-none-any.whl"} <= entries
    assert f"skeletons/{turned.name}" not in entries
    run_unpack(str(tmp_path / "acme.whb"), str(tmp_path / "out"), trust)
    assert (tmp_path / "out/wheels" / turned.name).read_bytes() == turned.read_bytes()
    manner = Manner(engine=engine, compile=False, imports=False)
    run_install(str(tmp_path / "acme.whb"), Destination(venv=str(tmp_path / "venv")), trust, manner)
    subprocess.run([tmp_path / "venv/bin/python", "-I", "-c", "import turned, plain"], check=True)
