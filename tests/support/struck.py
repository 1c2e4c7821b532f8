"""A process that is killed, or finds the disk full, at one of the calls by which it changes the file system.

``python -I struck.py FAULT AT COUNT PROGRAM [ARGUMENT …]`` runs PROGRAM, a script, a ZIP file or a directory in one, and strikes at the
call with the number AT: ``kill``, ``full``, or ``none``. How many calls there were is written to the file COUNT. Needs nothing but the
standard library, so that any Python may be the one that is struck.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import runpy
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

KILLED = 137
"""How a process ends that was killed, as a shell has it."""
_CHANGING = ("rename", "replace", "mkdir", "rmdir", "unlink", "remove", "symlink", "link", "fsync", "ftruncate", "write")
_TAKES_ROOM = frozenset(_CHANGING) - {"rmdir", "unlink", "remove"}


class Fault:
    """Counts the calls that change the file system, and strikes at one of them: kills the process, or says that the disk is full."""

    def __init__(self, what: str, at: int) -> None:
        self.what, self.at, self.count = what, at, 0

    def strike(self, takes_room: bool) -> None:
        self.count += 1
        if self.count == self.at:
            if self.what == "kill":
                os._exit(KILLED)
            if self.what == "full" and takes_room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def arm(self, more: Iterable[tuple[Any, str]] = ()) -> None:
        """From here on, in this process, which ends soon; ``more`` are functions of modules that count, too."""
        for name in _CHANGING:
            setattr(os, name, self._struck(getattr(os, name), lambda *_a, **_k: True, name in _TAKES_ROOM))
        os.open = self._struck(os.open, lambda _path, flags, *_a, **_k: bool(flags & (os.O_WRONLY | os.O_RDWR)), True)
        opens = self._struck(builtins.open, lambda _file, mode="r", *_a, **_k: bool(set(mode) & set("wxa+")), True)
        builtins.open = io.open = opens
        for module, name in more:
            setattr(module, name, self._struck(getattr(module, name), lambda *_a, **_k: True, True))

    def _struck(self, function: Callable[..., Any], counts: Callable[..., bool], takes_room: bool) -> Any:
        def struck(*args: Any, **kwargs: Any) -> Any:
            if counts(*args, **kwargs):
                self.strike(takes_room)
            return function(*args, **kwargs)

        return struck


def main() -> None:
    what, at, count, program = sys.argv[1:5]
    del sys.argv[:4]
    fault = Fault(what, int(at))
    fault.arm()
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        fault.at = 0
        Path(count).write_text(str(fault.count))


if __name__ == "__main__":
    main()
