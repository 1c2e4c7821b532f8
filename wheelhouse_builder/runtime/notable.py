"""What a reviewer wants to see of a wheel before anybody installs it: the places that it fills beside its project's own name.

A distribution may install any module. One that is called like another project's, or a ``.pth`` file, whose lines run whenever Python
starts, is how a well-formed wheel does harm. Much of this is innocent (PyYAML installs ``yaml``); it is shown, not refused.
"""

import re
from typing import BinaryIO, Iterable, List, Optional

from .ziparchive import ZipArchive, ZipRefused

_SEPARATORS = re.compile(r"[-_.]+")
_LIBRARIES = ("purelib", "platlib")


def notable_members(file: BinaryIO, project: str) -> List[str]:
    """The notable places of the wheel in the seekable ``file``, sorted; none if it is no archive, which others tell.

    A directory at the top of the library ends in a slash. What goes to another scheme begins with its name, as ``scripts/``, ``data/``.
    """
    try:
        return notable_names((member.name for member in ZipArchive(file).members if not member.is_directory), project)
    except ZipRefused:
        return []


def notable_names(names: Iterable[str], project: str) -> List[str]:
    """The same for the files of a wheel, by their names."""
    own = _SEPARATORS.sub("", project.lower())
    places = (_place(name, own) for name in names)
    return sorted({ascii(place)[1:-1] for place in places if place is not None})


def _place(name: str, own: str) -> Optional[str]:
    """The place that the member fills, if it is notable; ``own`` is the project's name without separators."""
    top, slash, rest = name.partition("/")
    if slash and top.endswith(".dist-info"):
        return None
    if slash and top.endswith(".data"):
        scheme, _, rest = rest.partition("/")
        if scheme not in _LIBRARIES:
            return "/".join([scheme, *rest.split("/")[:2]])
        top, slash, _ = rest.partition("/")
    is_own = _SEPARATORS.sub("", top.split(".")[0].lower()).startswith(own)
    runs_at_start = not slash and top.endswith(".pth")  # site reads those at the top alone; elsewhere they are weights of networks
    return top + slash if runs_at_start or not is_own else None
