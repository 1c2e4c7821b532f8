"""Whether wheels are what the specification says, asked of processes of our own, one for each core.

Much of the work is Python's own, so in threads it would hold up those that fetch meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Lock
from typing import IO, Any, Self, cast

from wheelhouse_builder.errors import EnvironmentFailure
from wheelhouse_builder.runtime.cores import cores
from wheelhouse_builder.runtime.wheel import wheel_problems

WORTH_A_PROCESS = 4 << 20
"""Bytes below which a wheel is read sooner than a process has started."""
_ROOT = Path(__file__).resolve().parents[2]
"""Last on its path: nothing that lies beside us is to stand for a module of the standard library."""
_START = "import sys; sys.path.append(sys.argv[1]); from wheelhouse_builder.adapters.examiner import answer; answer()"


class Examiner:
    """Asks; several threads may. What it started ends with the ``with`` statement."""

    def __init__(self) -> None:
        self._room = BoundedSemaphore(cores())
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._lock = Lock()
        self._started: list[subprocess.Popen[bytes]] = []
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over = True
        for process in self._started:
            process.kill()
            process.communicate()

    def problems(self, path: Path, filename: str) -> list[str]:
        """As :func:`wheel_problems` says, of the wheel at ``path``. Raises OSError, EnvironmentFailure."""
        if path.stat().st_size < WORTH_A_PROCESS:
            with path.open("rb") as file:
                return wheel_problems(file, filename)
        with self._room:
            process = self._take()
            found = _ask(process, path, filename)
            self._idle.put(process)
        return found

    def _take(self) -> subprocess.Popen[bytes]:
        with suppress(Empty):
            return self._idle.get_nowait()
        with self._lock:
            if self._over:
                raise EnvironmentFailure("the run is over")
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, str(_ROOT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if os.environ.get("WHEELHOUSE_DEBUG") == "1" else subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us, and we end it
            )
            self._started.append(process)
        return process


def _ask(process: subprocess.Popen[bytes], path: Path, filename: str) -> list[str]:
    stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    with suppress(BrokenPipeError):
        stdin.write(json.dumps([str(path), filename]).encode() + b"\n")
        stdin.flush()
    line = stdout.readline()
    if not line:
        raise EnvironmentFailure(
            f"{filename}: the process that looked at it ended too early",
            hint="perhaps this host has too little memory: the system's log tells; with WHEELHOUSE_DEBUG=1 you see what it said",
        )
    said: dict[str, Any] = json.loads(line)
    if "errno" in said:
        raise OSError(said["errno"], said["strerror"], str(path))
    return list(said["problems"])


def answer() -> None:
    """What such a process does: for each line of standard input, a wheel, a line of output."""
    for line in sys.stdin:
        path, filename = json.loads(line)
        try:
            with Path(path).open("rb") as file:
                said: dict[str, Any] = {"problems": wheel_problems(file, filename)}
        except OSError as error:
            said = {"errno": error.errno, "strerror": error.strerror}
        print(json.dumps(said), flush=True)  # noqa: T201 # the answer
