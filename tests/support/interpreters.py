"""The CPythons of this host: those on PATH and those of pyenv, from 3.6 on."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

MINORS = range(6, 16)
"""Of Python 3."""


@functools.cache
def interpreters() -> dict[str, str]:
    """Version ("3.6") → path of an interpreter that starts. Ours is always among them."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for minor in MINORS:
        version = f"3.{minor}"
        candidates = [*_of_pyenv(version), shutil.which(f"python{version}")]
        working = next((path for path in candidates if path and _starts(path, version)), None)
        if working:
            found.setdefault(version, working)
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


def _of_pyenv(version: str) -> list[str]:
    root = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    return [str(path) for path in sorted(root.glob(f"{version}.*/bin/python"))]


def _starts(path: str, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-I", "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8")
    return done.returncode == 0 and done.stdout.strip() == version


@functools.cache
def pip_wheel(python: str = sys.executable) -> Path:
    """The wheel of pip that ``python`` carries for its ensurepip: a true pip without a network."""
    code = "import ensurepip, sysconfig; print(ensurepip.__path__[0]); print(sysconfig.get_config_var('WHEEL_PKG_DIR') or '')"
    said = subprocess.run([python, "-I", "-c", code], stdin=subprocess.DEVNULL, check=True, capture_output=True, encoding="utf-8").stdout
    ensurepip, packages = said.splitlines()
    folders = [Path(ensurepip) / "_bundled", Path(packages or ensurepip), Path("/usr/share/python-wheels")]
    wheels = [wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))]
    assert wheels, f"{python} carries no pip; install the system's package for it (python3-venv on Debian)"
    return wheels[0]
