"""Into an environment that is there and is not ours alone: no single step can do that, so each move is written down before the first one.

The journal names the files that go and those that come. What goes is kept until the last has come; who is killed in between, or fails, is
undone, by himself or by the next run. Until then the environment is neither the old nor the new one.
"""

import contextlib
import json
import os
import posixpath
import re
from typing import Iterable, Iterator, List, NamedTuple, Sequence, Set

from .audit import Row, rows_of
from .errors import InstallError
from .receipt import FILENAME, Receipt
from .signed_receipt import SIGNATURE
from .switch import Folder

JOURNAL = "journal.json"
STAGED = "environment"
"""Where in the private directory the new files lie."""
KEPT = "kept"
"""Where in the private directory those lie that went."""
_MOST_TOLD = 20


class Moves(NamedTuple):
    """What goes and what comes, as paths with slashes below the environment."""

    going: Sequence[str]
    coming: Sequence[str]


def plan(target: Folder, staged: Folder, receipt: Receipt, earlier: Iterable[str], site_packages: str) -> Moves:
    """The moves that bring what ``receipt`` lists into ``target``; what it had of these projects, and of the ``earlier`` ones, goes.

    Raises InstallError when that would touch what is nobody's or another's.
    """
    coming = [FILENAME, SIGNATURE] + [row.path for each in receipt["distributions"] for row in _recorded(staged, each["record"]["path"])]
    projects = {each["project"] for each in receipt["distributions"]} | set(earlier)
    going = [
        path
        for path in dict.fromkeys([*_of_projects(target, projects, site_packages), FILENAME, SIGNATURE])
        if os.path.lexists(_at(target.path, path))
    ]
    coming = [path for path in dict.fromkeys(coming) if os.path.lexists(_at(staged.path, path))]
    problems = ["%s is there, and belongs to none of the projects." % path for path in _foreign(target, going, coming)]
    problems += ["%s leads out of the environment." % path for path in sorted({*going, *coming}) if not _inside(target.path, path)]
    if problems:
        raise InstallError(*problems[:_MOST_TOLD], hint="Nothing was changed. Take these away, or install with --venv or --prefix.")
    return Moves(going, coming)


def carry_out(moves: Moves, private: Folder, target: Folder) -> None:
    """Make the moves, from and to the directory ``private``; whatever stops it, :func:`undo` brings back what was there."""
    private.write(JOURNAL, json.dumps(moves).encode("ascii"))
    private.sync_all()
    for path in moves.going:
        _move(_at(target.path, path), _at(os.path.join(private.path, KEPT), path))
    for path in moves.coming:
        _move(_at(os.path.join(private.path, STAGED), path), _at(target.path, path))
    target.sync_all()


def conclude(moves: Moves, private: Folder, target: Folder) -> None:
    """From here on there is nothing to undo."""
    private.rename(JOURNAL, private, "done.json")
    private.sync()
    for path in moves.going:
        _prune(_at(target.path, path), target.path)


def undo(private: str, target: str) -> bool:
    """Bring back what was there before the moves in ``private`` began; may be repeated. Whether there was anything to undo."""
    try:
        with open(os.path.join(private, JOURNAL), encoding="ascii") as file:
            moves = Moves(*json.load(file))
    except (FileNotFoundError, ValueError):  # not begun: it is on the disk before the first move
        return False
    for path in reversed(moves.coming):
        if not os.path.lexists(_at(os.path.join(private, STAGED), path)) and os.path.lexists(_at(target, path)):
            os.unlink(_at(target, path))
        _prune(_at(target, path), target)
    for path in moves.going:
        if os.path.lexists(_at(os.path.join(private, KEPT), path)):
            _move(_at(os.path.join(private, KEPT), path), _at(target, path))
    os.rename(os.path.join(private, JOURNAL), os.path.join(private, "undone.json"))
    return True


def _of_projects(target: Folder, projects: Set[str], site_packages: str) -> Iterator[str]:
    """The files of the installed distributions of ``projects``."""
    folder = _at(target.path, site_packages)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        match = re.fullmatch(r"(?P<project>.+?)(?:-[^-]+)?\.(?P<kind>dist-info|egg-info)", name)
        if match is None or re.sub(r"[-_.]+", "-", match.group("project")).lower() not in projects:
            continue
        record = posixpath.join(site_packages, name, "RECORD")
        if os.path.isdir(os.path.join(folder, name)) and not os.listdir(os.path.join(folder, name)):
            continue
        if not os.path.isfile(_at(target.path, record)):
            raise InstallError(
                "%s was installed without a RECORD of its files." % name,
                hint="Nothing was changed. Take it away by what brought it, or install with --venv or --prefix.",
            )
        for row in _recorded(target, record):
            yield row.path


def _recorded(folder: Folder, record: str) -> List[Row]:
    with open(_at(folder.path, record), "rb") as file:
        return rows_of(file.read(), record)


def _foreign(target: Folder, going: Sequence[str], coming: Sequence[str]) -> List[str]:
    gone = set(going)
    return [path for path in coming if path not in gone and os.path.lexists(_at(target.path, path)) and not path.endswith(".pyc")]


def _inside(target: str, path: str) -> bool:
    root = os.path.realpath(target)
    at = os.path.realpath(os.path.dirname(_at(root, path)))
    return not path.startswith(("../", "/")) and (at == root or at.startswith(root + os.sep))


def _at(folder: str, path: str) -> str:
    return os.path.join(folder, *path.split("/"))


def _move(source: str, destination: str) -> None:
    os.makedirs(os.path.dirname(destination), exist_ok=True)
    os.replace(source, destination)


def _prune(path: str, root: str) -> None:
    """Take away the directories above ``path`` that are empty now."""
    folder = os.path.dirname(path)
    with contextlib.suppress(OSError):
        while folder != root:
            os.rmdir(folder)
            folder = os.path.dirname(folder)
