"""A real pip without a network: the wheel that CPython itself carries for ensurepip."""

from __future__ import annotations

import ensurepip
import sysconfig
from pathlib import Path


def bundled_pip() -> Path:
    """The wheel of pip in this interpreter's standard library, or where its distributor moved it."""
    folders = [Path(ensurepip.__file__).parent / "_bundled"]
    if moved := sysconfig.get_config_var("WHEEL_PKG_DIR"):
        folders.append(Path(moved))
    found = [wheel for folder in folders for wheel in sorted(folder.glob("pip-*-py3-none-any.whl"))]
    assert found, f"no pip in {folders}: install what gives this Python its ensurepip"
    return found[0]
