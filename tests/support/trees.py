"""Two trees of files, compared."""

from __future__ import annotations

import marshal
import stat
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import CodeType

HEADER = 16
"""Bytes of a .pyc before the code (PEP 552)."""
STAMPED = 8
"""Bytes of it before time and size of the source."""


def differences(ours: Path, theirs: Path, *, ignored: AbstractSet[str] = frozenset()) -> list[str]:
    """In what the trees differ: names, kinds, permissions, contents; of compiled code not in the time that its source has there.

    ``ignored`` are paths that do not count.
    """
    names = {_relative(path, ours) for path in ours.rglob("*")} - ignored
    others = {_relative(path, theirs) for path in theirs.rglob("*")} - ignored
    found = [f"{name} is only in {tree.name}" for tree, more in ((ours, names - others), (theirs, others - names)) for name in sorted(more)]
    return [*found, *(f"{name}: {problem}" for name in sorted(names & others) for problem in _differ(ours / name, theirs / name))]


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _differ(one: Path, other: Path) -> Iterator[str]:
    modes = [path.lstat().st_mode for path in (one, other)]
    if modes[0] != modes[1]:
        yield f"{oct(modes[0])} and {oct(modes[1])}"
    elif stat.S_ISLNK(modes[0]):
        if one.readlink() != other.readlink():
            yield "links to another place"
    elif stat.S_ISREG(modes[0]) and not _same(one, other):
        yield f"{one.read_bytes()[-300:]!r} and {other.read_bytes()[-300:]!r}"


def _same(one: Path, other: Path) -> bool:
    first, second = one.read_bytes(), other.read_bytes()
    if first == second or one.suffix != ".pyc":
        return first == second
    return first[:STAMPED] == second[:STAMPED] and (first[HEADER:] == second[HEADER:] or _same_code(first[HEADER:], second[HEADER:]))


def _same_code(first: bytes, second: bytes) -> bool:
    """Whether both are the same code for this Python, which may write sets in another order each time."""
    try:
        one, other = marshal.loads(first), marshal.loads(second)
    except (ValueError, EOFError, TypeError):  # another Python's
        return len(first) == len(second) and sorted(first) == sorted(second)
    return isinstance(one, CodeType) and one == other and one.co_filename == other.co_filename
