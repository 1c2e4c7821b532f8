"""How many bytes a file has, and their SHA-256."""

import hashlib
from typing import BinaryIO, Callable, NamedTuple, Optional

from .payload import PIECE


class Measured(NamedTuple):
    """What :func:`measure` finds."""

    size: int
    sha256: str


def measure(file: BinaryIO, between: Optional[Callable[[], None]] = None) -> Measured:
    """Read ``file`` from where it stands to its end, calling ``between`` before each piece. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    for piece in iter(lambda: file.read(PIECE), b""):
        if between is not None:
            between()
        digest.update(piece)
        size += len(piece)
    return Measured(size, digest.hexdigest())
