"""Paths of a system that lies in a directory: links in it mean what they mean to programs that run there, not what they mean here."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from wheelhouse_builder.model.target import Target

SYSTEM_PYTHONS = (
    "usr/local/bin/python{version}",
    "usr/bin/python{version}",
    "opt/python{version}/bin/python{version}",
    "opt/python/{interpreter}-{abi}/bin/python{version}",  # manylinux' images
)
"""Where a system keeps the Python of a version."""
MOST_LINKS = 40
"""As many does Linux follow in one path."""


def inside(root: Path, path: str) -> Path:
    """Where ``path`` of the system in ``root`` lies on this host: below ``root``, whatever links are in it.

    Raises OSError for endless ones.
    """
    here: list[str] = []
    pending = path.split("/")[::-1]
    links = 0
    while pending:
        name = pending.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = here[:-1]
        elif (place := root.joinpath(*here, name)).is_symlink():
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(place))
            leads = place.readlink().as_posix()
            here = [] if leads.startswith("/") else here
            pending += leads.split("/")[::-1]
        else:
            here.append(name)
    return root.joinpath(*here)


def system_python(root: Path, target: Target) -> tuple[str, Path] | None:
    """The target's Python in the system in ``root``: its path there, and the program's on this host; None where there is none."""
    names = {"version": str(target.markers["python_version"]), "interpreter": target.interpreter, "abi": target.abi}
    for pattern in SYSTEM_PYTHONS:
        path = pattern.format(**names)
        try:
            program = inside(root, path)
        except OSError:
            continue
        if program.is_file():
            return f"/{path}", program
    return None
