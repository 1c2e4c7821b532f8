"""Whatever the environment, the home directory and the working directory say of Python and pip, the same files are installed.

What is installed on a poisoned host is compared with what is installed on a clean one, file by file, modes too. Code that the poison brings
notes that it ran: once it may, in the very first process, which Python started with it before anything of ours was asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.handmade import bundle_for
from tests.support.pip import bundled_pip
from tests.support.trees import differences
from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime.host import this_host

EVIL = "[global]\nindex-url = https://evil.example\nno-binary = :all:\ntarget = {0}\nprefix = {0}\n[install]\nuser = yes\nroot = {0}\n"
NOTES = "import os, sys\nwith open({0!r}, 'a') as notes:\n    notes.write('%d %s\\n' % (sys.flags.isolated, __name__))\n"
SHADOWED = (
    "sitecustomize",
    "usercustomize",
    "json",
    "hashlib",
    "zipfile",
    "shutil",
    "tempfile",
    "pip",
    "demo",
    "other",
    "wheelhouse_runtime",
)


class Host:
    """A directory with a bundle, where it is installed, and a home that somebody else has furnished."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.venv, self.poison = folder, folder / "place" / "venv", folder / "poison"
        self.notes, self.loot = folder / "notes", folder / "loot"
        self.venv.parent.mkdir()
        write_trust(folder, OURS)
        main = "import other\n\n\ndef main():\n    print('demo', other.__version__)\n"
        wheels = [
            make_wheel(folder / "made", "demo", "1.0", files={"demo/__init__.py": main}, entry_points={"demo": "demo:main"}),
            make_wheel(
                folder / "made", "other", "1.2", files={"other/__init__.py": "__version__ = '1.2'\n", "other/run.sh": "#!/bin/sh\n"}
            ),
        ]
        (folder / "acme.whb").write_bytes(bundle_for(this_host(), wheels, bundled_pip(), smoke=[["demo"]]).signed(OURS))

    def furnish(self) -> dict[str, str]:
        """Put the poison out; the environment that leads to it."""
        home, site = self.poison / "home", f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        settings = EVIL.format(str(self.loot))
        user = self.poison / "user" / site
        for path in ("home/.config/pip/pip.conf", "home/.pip/pip.conf", "xdg/pip/pip.conf", "pip.conf", "dirs/pip/pip.conf"):
            _write(self.poison / path, settings)
        for path in ("home/.pydistutils.cfg", "setup.cfg", "home/.config/uv/uv.toml"):
            _write(self.poison / path, f"[install]\nprefix = {self.loot}\n")
        for folder in (self.poison, user, home / ".local" / site):
            for name in SHADOWED:
                _write(folder / f"{name}.py", NOTES.format(str(self.notes)))
            _write(folder / "evil.pth", f"import os; open({str(self.notes)!r}, 'a').write('2 evil.pth\\n')\n")
        return {
            **{f"PIP_{name}": str(self.loot) for name in ("TARGET", "PREFIX", "ROOT", "SRC", "LOG", "CACHE_DIR", "PYTHON")},
            "PIP_INDEX_URL": "https://evil.example",
            "PIP_EXTRA_INDEX_URL": "https://evil.example",
            "PIP_FIND_LINKS": str(self.poison),
            "PIP_CONFIG_FILE": str(self.poison / "pip.conf"),
            "PIP_NO_BINARY": ":all:",
            "PIP_USER": "1",
            "PIP_REQUIRE_VIRTUALENV": "1",
            "PIP_CONSTRAINT": str(self.poison / "nowhere.txt"),
            "PYTHONPATH": str(self.poison),
            "PYTHONUSERBASE": str(self.poison / "user"),
            "PYTHONSTARTUP": str(self.poison / "json.py"),
            "PYTHONPYCACHEPREFIX": str(self.loot),
            "PYTHONOPTIMIZE": "2",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "error",
            "PYTHONNOUSERSITE": "",
            "VIRTUAL_ENV": str(self.poison),
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(self.poison / "xdg"),
            "XDG_CONFIG_DIRS": str(self.poison / "dirs"),
            "TMPDIR": str(self.poison / "absent"),
            "PATH": os.environ["PATH"],
        }

    def install(self, engine: str, env: dict[str, str], cwd: Path, umask: int) -> None:
        command: list[str | Path] = [sys.executable, self.folder / "acme.whb", "install", "--venv", self.venv, "--engine", engine]
        command += ["--trust", self.folder / "allowed_signers", "--state", self.folder / "state.json"]
        done = subprocess.run(command, env=env, cwd=cwd, umask=umask, capture_output=True, check=False, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=oct)
@pytest.mark.parametrize("engine", ["direct", "pip"])
def test_a_poisoned_host_installs_what_a_clean_one_does(tmp_path: Path, engine: str, umask: int) -> None:
    host = Host(tmp_path)
    host.install(engine, {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}, tmp_path, 0o022)
    clean = host.venv.rename(tmp_path / "clean")
    env = host.furnish()
    host.install(engine, env, host.poison, umask)
    assert differences(host.venv, clean, ignored={"wheelhouse-receipt.json"}) == []
    assert not host.loot.exists()
    notes = host.notes.read_text().splitlines()
    assert {note.partition(" ")[0] for note in notes} <= {"0", "2"}, "an isolated process ran it"
    assert [note for note in notes if note == "0 sitecustomize"] == ["0 sitecustomize"], "one process that was not isolated, the first"
    said = subprocess.run([host.venv / "bin/demo"], capture_output=True, check=True, encoding="utf-8").stdout
    assert said == "demo 1.2\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
