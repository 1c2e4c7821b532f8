"""A system's root directory, as small as one can be that runs a Python: for tests of what is entered by chroot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

LEFT_OUT = shutil.ignore_patterns("site-packages", "test", "tests", "__pycache__", "config-*", "idlelib", "tkinter", "lib2to3")


def make_root(folder: Path, python: Path) -> Path:
    """A root with a shell, the C library, and ``python`` under /usr/local."""
    for name in ("mnt", "tmp", "bin", "usr/local/bin", "dev", "proc"):
        (folder / name).mkdir(parents=True)
    ask = "import sys, sysconfig; print(sysconfig.get_path('stdlib')); print(sysconfig.get_path('platstdlib')); print(sys.base_prefix)"
    stdlib, _, prefix = map(Path, subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.split())
    program = prefix / "bin" / stdlib.name
    shutil.copytree(stdlib, folder / "usr/local/lib" / stdlib.name, ignore=LEFT_OUT, copy_function=_link)
    shutil.copy(program, folder / "usr/local/bin" / stdlib.name)
    shutil.copy("/bin/sh", folder / "bin/sh")
    for file in (program, Path("/bin/sh"), *(stdlib / "lib-dynload").glob("*.so")):
        for library in _libraries(file):
            place = folder / library.relative_to("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                shutil.copy(library, place)
    return folder


def _libraries(file: Path) -> list[Path]:
    """The shared libraries that the loader finds for ``file``, and the loader itself."""
    said = subprocess.run(["ldd", file], check=False, capture_output=True, text=True).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", said)]


def _link(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
