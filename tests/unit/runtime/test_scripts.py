"""Scripts are what pip writes: on this system compared with a real pip (test_direct.py), on Windows with what its launchers read."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pip
import pytest

from wheelhouse_builder.runtime.errors import InstallError
from wheelhouse_builder.runtime.scripts import (
    LAUNCHERS,
    EntryPoints,
    Interpreter,
    find_launchers,
    is_wrapper,
    read_entry_points,
    scripts_of,
)

WINDOWS = Interpreter(r"C:\Program Files\app\Scripts\python.exe", (3, 12), {"t": b"MZ console", "w": b"MZ window"})


def test_on_windows_a_script_is_a_launcher_the_interpreter_and_a_zip_file_with_the_code() -> None:
    points = EntryPoints({"acme": "acme.main:run", "old.py": "acme:old"}, {"panel": "acme.ui:App.show"})
    made = dict(scripts_of(points, WINDOWS))
    assert list(made) == ["acme.exe", "old.exe", "panel.exe"]
    launcher, line, code = made["acme.exe"].partition(b'#!"C:\\Program Files\\app\\Scripts\\python.exe"\n')
    assert (launcher, bool(line)) == (b"MZ console", True)
    with zipfile.ZipFile(BytesIO(code)) as archive:
        assert "from acme.main import run\n" in archive.read("__main__.py").decode()
    assert made["panel.exe"].startswith(b'MZ window#!"C:\\Program Files\\app\\Scripts\\pythonw.exe"\n')
    assert dict(scripts_of(points, WINDOWS)) == made


def test_the_launchers_are_those_that_pip_carries() -> None:
    folder = Path(pip.__file__).parent / "_vendor/distlib"
    carried = {LAUNCHERS + path.name: path.read_bytes() for path in folder.glob("*.exe")}
    found = find_launchers(carried)
    assert found == {"t": (folder / "t64.exe").read_bytes(), "w": (folder / "w64.exe").read_bytes()}
    with pytest.raises(InstallError, match="without which there are no scripts on Windows"):
        find_launchers({})


def test_pip_and_easy_install_are_named_after_the_python_that_they_are_for() -> None:
    points = EntryPoints(
        {"pip3.7": "pip:main", "pip": "pip:main", "easy_install-3.7": "e:main", "easy_install": "e:main", "pipx": "x:y"}, {}
    )
    names = [name for name, _ in scripts_of(points, Interpreter("/opt/app/bin/python", (3, 12)))]
    assert names == ["pip", "pip3", "pip3.12", "easy_install", "easy_install-3.12", "pipx"]


def test_a_python_without_removesuffix_gets_the_text_that_pip_wrote_for_it() -> None:
    [(_, old)] = scripts_of(EntryPoints({"acme": "acme:run"}, {}), Interpreter("/opt/app/bin/python", (3, 8)))
    [(_, new)] = scripts_of(EntryPoints({"acme": "acme:run"}, {}), Interpreter("/opt/app/bin/python", (3, 9)))
    assert b"re.sub" in old
    assert b"removesuffix" in new


@pytest.mark.parametrize("name", ["..", ".", "a/b", r"a\b", "C:acme", "acme:hidden", "nul", "a\x1b[2J"])
def test_a_script_stays_in_its_directory(name: str) -> None:
    with pytest.raises(InstallError, match="cannot become a script"):
        list(scripts_of(EntryPoints({name: "acme:run"}, {}), Interpreter("/opt/app/bin/python", (3, 12))))


def test_what_setuptools_made_for_entry_points_is_known() -> None:
    points = read_entry_points("[console_scripts]\nacme = acme:run\n[gui_scripts]\npanel=acme:show\n[other]\nx = y\n")
    assert [name for name in ("acme", "acme.exe", "acme-script.py", "panel.pya", "acme.sh", "x") if is_wrapper(name, points)] == [
        "acme",
        "acme.exe",
        "acme-script.py",
        "panel.pya",
    ]
    with pytest.raises(InstallError, match="is no entry point"):
        read_entry_points("[console_scripts]\nacme\n")
