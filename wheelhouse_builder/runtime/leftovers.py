"""What runs leave beside a destination when they are killed: known by a mark in its name, and taken away by the next one."""

import hashlib
import os
import stat
from typing import List

from .staging import ENDED, PREFIX, discard
from .switch import Folder


def mark_of(name: str) -> str:
    """Stands in the name of all that is made for the destination ``name`` beside it."""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8] + "-"


def lock_beside(parent: str, mark: str) -> str:
    """The lock file of whoever works at the destination with this mark in ``parent``."""
    return os.path.join(parent, PREFIX + mark + "lock")


def leftovers(parent: Folder, mark: str) -> List[str]:
    """The names of the directories in ``parent`` that an earlier run made, while no other is at work there."""
    return [name for name in sorted(os.listdir(parent.path)) if name.startswith(PREFIX + mark) and _is_ours(parent, name)]


def cleared(path: str) -> str:
    """Take away the directory ``path``, which an earlier run left; what is to be said of that."""
    ended = os.path.exists(os.path.join(path, ENDED))
    discard(path, ended=ended)
    if os.path.isdir(path):
        return "%s cannot be taken away: somebody still uses what lies in it." % path
    why = "an earlier run could not, for it used what lay in it" if ended else "an earlier run was killed and left it"
    return "%s was taken away: %s." % (path, why)


def _is_ours(parent: Folder, name: str) -> bool:
    """Whether it is a directory that nobody but this user can have made or filled."""
    status = parent.status(name)
    if status is None or not stat.S_ISDIR(status.st_mode):
        return False
    return os.name == "nt" or (status.st_uid == os.geteuid() and not status.st_mode & 0o077)
