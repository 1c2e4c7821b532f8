"""Where a bundle's bytes come from: one regular file here, volumes that make one in :mod:`volumes`.

Everything is opened once, read only, and each read names its place.
"""

import os
import stat
import threading
from typing import Any, Dict, List, Optional

from .errors import BundleRefused, EnvironmentFailure

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""O_NONBLOCK: a named pipe in the bundle's place must not keep us waiting; O_BINARY: Windows."""


class Source:
    """The bytes of a bundle."""

    path = ""
    """As the user named it, for messages."""
    size = 0
    """Bytes of the whole bundle."""
    identity: Optional[str] = None
    """The content digest that the volumes claim, which the manifest has to confirm; None where nothing is claimed."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset`` on; the caller has capped the length. May run in several threads at once."""
        raise NotImplementedError

    def place(self, offset: int) -> str:
        """The byte at ``offset`` for a message: which file it lies in."""
        return "{}, byte {}".format(self.path, offset)

    def volumes(self) -> Optional[Dict[str, Any]]:
        """The volumes of the bundle for a report; None where it is one file."""
        return None

    def heal(self) -> bool:
        """Look for what is damaged and can be replaced: whether reading once more may yield better bytes."""
        return False

    def damage(self) -> List[str]:
        """Read all and say which parts are not what they claim to be, a sentence each; of one file nothing is claimed."""
        return []

    def close(self) -> None:
        """Close what is open; may be called again."""


class File(Source):
    """A regular file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            descriptor = os.open(path, _OPEN_FLAGS)
        except (OSError, ValueError) as error:  # ValueError: NUL in the path
            raise _cannot("open", path, error) from None
        try:
            self.size = _regular_size(path, descriptor)
            self._raw = os.fdopen(descriptor, "rb", buffering=0)
        except BaseException:
            os.close(descriptor)
            raise

    def read(self, offset: int, length: int) -> bytes:
        """See :class:`Source`."""
        parts: List[bytes] = []
        with self._lock:
            try:
                self._raw.seek(offset)
                while length:
                    part = self._raw.read(length)
                    if not part:
                        raise BundleRefused("{} became shorter while it was read.".format(self.path), hint="Copy it again.")
                    parts.append(part)
                    length -= len(part)
            except OSError as error:
                raise _cannot("read", self.path, error) from None
        return b"".join(parts)

    def close(self) -> None:
        """See :class:`Source`."""
        self._raw.close()


def _regular_size(path: str, descriptor: int) -> int:
    """The size in bytes of the open file, which must be a regular one."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise BundleRefused("{} is not a regular file.".format(path), hint="Name the bundle itself, usually NAME-VERSION.whb.")
    return status.st_size


def _cannot(verb: str, path: str, error: Exception) -> EnvironmentFailure:
    return EnvironmentFailure(
        "Cannot {} {}: {}.".format(verb, path, getattr(error, "strerror", None) or error),
        hint="Is it there, may you read it, and is the medium sound?",
    )
