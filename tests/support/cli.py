"""The command as a user starts it: a process of its own, standard output and error in pipes or on a pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = ("PATH", "LANG", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
"""What programs and the real index need, where this host sets it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """Standard output as the one JSON document that it is."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> dict[str, Any]:
        found = self.document["error"]
        assert isinstance(found, dict)
        return found


def wheelhouse(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, expect: int | None = 0) -> Ended:
    """Run ``wheelhouse`` in ``cwd`` with pipes; ``expect``: its exit code, None if any will do."""
    command = [sys.executable, "-m", "wheelhouse_builder", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, env=environment(cwd, env), stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8"
    )
    assert expect in (None, done.returncode), f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Ended(code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def on_terminal(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, answer: str = "") -> Ended:
    """Run ``wheelhouse`` on a pseudo-terminal of its own; standard output stays a pipe."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "wheelhouse_builder", *map(str, arguments)],
        cwd=cwd,
        env=environment(cwd, {"TERM": "xterm", "COLUMNS": "100", **(env or {})}),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        os.write(ours, answer.encode())
        shown = _until_closed(ours)
        assert process.stdout is not None
        stdout = process.stdout.read().decode()
    return Ended(code=process.returncode, stdout=stdout, stderr=shown)


def typed(*arguments: str | Path, cwd: Path, answers: Mapping[str, str], env: Mapping[str, str] | None = None) -> Ended:
    """Run ``wheelhouse`` on a pseudo-terminal that is its own, and type each of ``answers`` when its prompt has been shown.

    What is shown there, standard output included, comes back as standard error.
    """
    command = [sys.executable, "-m", "wheelhouse_builder", *map(str, arguments)]
    process, ours = pty.fork()
    if not process:
        os.chdir(cwd)
        os.execve(command[0], command, environment(cwd, {"TERM": "dumb", **(env or {})}))
    shown, waiting = b"", dict(answers)
    with os.fdopen(ours, "r+b", buffering=0) as terminal, suppress(OSError):  # Linux says EIO when the other side has closed
        while piece := terminal.read(4096):
            shown += piece
            for prompt in [each for each in waiting if shown.endswith(each.encode())]:
                terminal.write(waiting.pop(prompt).encode() + b"\n")
    _, status = os.waitpid(process, 0)
    return Ended(code=os.waitstatus_to_exitcode(status), stdout="", stderr=shown.decode())


def environment(cwd: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A user's environment whose home is ``cwd``/home, so that nothing of this host's user is touched."""
    kept = {key: os.environ[key] for key in KEPT if key in os.environ}
    return {**kept, "HOME": str(cwd / "home"), **(extra or {})}


def _until_closed(descriptor: int) -> str:
    shown = b""
    with os.fdopen(descriptor, "rb", buffering=0) as terminal:
        try:
            while piece := terminal.read(4096):
                shown += piece
        except OSError:  # Linux says EIO when the other side has closed
            pass
    return shown.decode()
