"""A real pip without a network: the wheel that CPython itself carries for ensurepip."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

_WHERE = "import ensurepip, sysconfig; print(ensurepip.__path__[0]); print(sysconfig.get_config_var('WHEEL_PKG_DIR') or '')"


@functools.cache
def bundled_pip(python: Path | str = sys.executable) -> Path:
    """The wheel of pip in the standard library of ``python``, or where its distributor moved it."""
    said = subprocess.run([python, "-I", "-c", _WHERE], stdin=subprocess.DEVNULL, check=True, capture_output=True, encoding="utf-8").stdout
    package, moved = said.splitlines()
    folders = [Path(package) / "_bundled", *([Path(moved)] if moved else [])]
    found = [wheel for folder in folders for wheel in sorted(folder.glob("pip-*-none-any.whl"))]
    assert found, f"no pip in {folders}: install what gives {python} its ensurepip"
    return found[0]
