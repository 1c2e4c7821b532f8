"""The directories above a place. Whoever may rename what lies in one of them may put something else into the place, at any time."""

import os
import stat
from typing import Iterator, List, Tuple

from .errors import EnvironmentFailure

_UNKNOWN = 65534
"""How Linux calls owners and groups that a user namespace does not know."""


def require_own(directory: str) -> List[str]:
    """What is to be said of the directories from ``directory``, or the nearest that is there, up to the root.

    Raises EnvironmentFailure for root where a group, or everybody, may rename what lies in one: they would decide what root's users run.
    """
    if os.name == "nt":  # there, the mode says nothing of who may write
        return []
    open_to, foreign = [], []
    for path, status in _upwards(os.path.realpath(directory)):
        whom = _writers(status)
        if whom:
            open_to.append("%s may be written by %s (mode %04o)" % (path, whom, stat.S_IMODE(status.st_mode)))
        elif status.st_uid not in (0, os.geteuid(), _UNKNOWN):
            foreign.append("%s belongs to user %d" % (path, status.st_uid))
    if open_to and os.geteuid() == 0:
        raise EnvironmentFailure(
            *["%s, who could put something else into the place of what is installed below it." % each for each in open_to],
            hint="Nothing was changed. Take that right away (chmod go-w), let only owners rename there (chmod +t), or name another place.",
        )
    return ["%s, who can put something else into the place of what is installed below it." % each for each in open_to + foreign]


def _upwards(path: str) -> Iterator[Tuple[str, os.stat_result]]:
    while True:
        if os.path.isdir(path):
            yield path, os.stat(path)
        above = os.path.dirname(path)
        if above == path:
            return
        path = above


def _writers(status: os.stat_result) -> str:
    """Who else than its owner may rename what others own in such a directory; empty: nobody. A user's own group is as good as the user."""
    if status.st_mode & stat.S_ISVTX:
        return ""
    if status.st_mode & stat.S_IWOTH:
        return "everybody"
    if status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid(), _UNKNOWN):
        return "group %d" % status.st_gid
    return ""
