"""The releases below a prefix, once they are there: which there are, back to an earlier one, and away with old ones."""

import contextlib
import os
from typing import Iterator, List, Optional, Tuple

from .errors import InstallError, UsageError
from .locking import alone
from .places import (
    RELEASES,
    Place,
    Release,
    before,
    current_release,
    point,
    prefix_with_releases,
    problems_at,
    releases,
    superfluous,
    take_away,
    tidy,
)
from .progress import NoProgress, Progress
from .report import Report
from .staging import disk_failures, staging
from .switch import Folder, opened

KEPT = 2
"""How many releases `gc` keeps unless it is told: the one in use, and the one to go back to."""


def run_list(prefix: str) -> Report:
    """What is installed below ``prefix``, the newest first. Raises AlreadyThere, EnvironmentFailure, UsageError when it is no prefix."""
    root = prefix_with_releases(prefix)
    current = current_release(root)
    return {"command": "list", "prefix": root, "current": current, "releases": [_told(each, current) for each in releases(root)]}


def run_rollback(prefix: str, to: Optional[str] = None, *, progress: Optional[Progress] = None) -> Report:
    """Let ``current`` lead to the release ``to``, by default to the one that was in use before.

    Raises InstallError when there is none, or it is not whole, UsageError for a name that is none; then nothing was changed.
    """
    with _at_work(prefix, progress) as (place, _, done):
        root = str(place.prefix)
        current = current_release(root)
        release = _named(root, to) if to else before(root, current or "")
        problems = problems_at(release.path, release.receipt)
        if problems:
            raise InstallError(
                "%s is not as it was installed:" % release.name, *["  " + each for each in problems[:20]], hint="Install its bundle again."
            )
        if release.name != current:
            point(root, release.name)
    changed = release.name != current
    return {"command": "rollback", "prefix": root, "current": release.name, "before": current, "changed": changed, "repaired": done}


def run_gc(prefix: str, keep: int = KEPT, *, progress: Optional[Progress] = None) -> Report:
    """Take away all releases below ``prefix`` but the one in use and the newest, ``keep`` in all. Raises UsageError."""
    with _at_work(prefix, progress) as (place, parent, done):
        root = str(place.prefix)
        old = superfluous(root, keep)
        if old:
            with staging(parent.path, place.mark) as scratch, opened(scratch, parent) as private:
                for each in old:
                    take_away(each, parent, private)
    names = [each.name for each in old]
    kept = [each.name for each in releases(root)]
    return {"command": "gc", "prefix": root, "current": current_release(root), "removed": names, "kept": kept, "repaired": done}


@contextlib.contextmanager
def _at_work(prefix: str, progress: Optional[Progress]) -> Iterator[Tuple[Place, Folder, List[str]]]:
    """Alone below ``prefix``; what a killed run left there is mended, and told."""
    root = prefix_with_releases(prefix)
    place = Place(os.path.join(root, RELEASES), "", root)
    with disk_failures(place.parent), alone(place.lock, progress or NoProgress()), opened(place.parent) as parent:
        yield place, parent, tidy(parent, place)


def _named(prefix: str, name: str) -> Release:
    """The release called ``name``, or the only one of a bundle of that version."""
    found = releases(prefix)
    fitting = [each for each in found if each.name == name] or [each for each in found if each.receipt["bundle"]["version"] == name]
    if len(fitting) != 1:
        raise UsageError(
            "%s is %s." % (name, "more than one release" if fitting else "no release below %s" % prefix),
            hint="There are: %s." % (", ".join(each.name for each in found) or "none"),
        )
    return fitting[0]


def _told(release: Release, current: Optional[str]) -> Report:
    bundle = release.receipt["bundle"]
    return {
        "name": release.name,
        "path": release.path,
        "in_use": release.name == current,
        "bundle": bundle["name"],
        "version": bundle["version"],
        "digest": bundle["digest"],
        "target": release.receipt["target"],
        "installed": release.receipt["installed"],
    }
