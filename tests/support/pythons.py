"""The CPythons of this host, so that what must run on each of them does."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST, NEWEST_MINOR = (3, 6), 20
_WHO = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"


@functools.cache
def cpythons() -> dict[str, Path]:
    """Each CPython from 3.6 on, by version ("3.6"): one per minor, from pyenv, from PATH, and the one that runs the tests."""
    found: dict[str, Path] = {}
    for candidate in _candidates():
        version = _version(candidate)
        if version is not None and tuple(map(int, version.split("."))) >= OLDEST:
            found.setdefault(version, candidate)
    return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[1])))


def _candidates() -> Iterator[Path]:
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from sorted(versions.glob("*/bin/python"))
    for minor in range(OLDEST[1], NEWEST_MINOR):
        on_path = shutil.which(f"python3.{minor}")
        if on_path:
            yield Path(on_path)
    yield Path(sys.executable)


def _version(python: Path) -> str | None:
    """The minor version, if ``python`` is a CPython that runs; a pyenv shim of a version that is not chosen does not."""
    done = subprocess.run([python, "-I", "-c", _WHO], capture_output=True, text=True, check=False)
    name, _, version = done.stdout.strip().partition(" ")
    return version if done.returncode == 0 and name == "cpython" else None
