"""Programs that we start inside: in a clean environment, with a private temporary directory, with nothing to read and all output caught."""

import contextlib
import os
import subprocess
import sys
import tempfile
from typing import IO, Any, Callable, Dict, List, Optional, Sequence, Union

from .errors import InstallError

PASSED_ON = ("PATH", "LANG", "LC_ALL", "USER", "LOGNAME", "SYSTEMROOT", "SYSTEMDRIVE", "USERPROFILE", "LOCALAPPDATA", "APPDATA")
"""What a child process may see of our environment: no PIP_*, no PYTHON*, no proxies."""

LAST_LINES = 15
"""How much of what a program said is shown when it failed."""


def clean_environment(scratch: str) -> Dict[str, str]:
    """The environment for a child, whose home and temporary directory are below ``scratch``."""
    temporary = os.path.join(scratch, "tmp")
    os.makedirs(temporary, exist_ok=True)
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return dict(passed_on, PIP_CONFIG_FILE=os.devnull, HOME=temporary, TMPDIR=temporary, TEMP=temporary, TMP=temporary)


def run_side_by_side(commands: Sequence[Sequence[str]], scratch: str, failure: str, *, hint: str = "") -> None:
    """Run all at once, to the end of the last one, as :func:`run` does each. Raises InstallError for the first in order that failed."""
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile(dir=scratch)) for _ in commands]
        for code, output in zip(ended(commands, scratch, outputs), outputs):
            output.seek(0)
            if code:
                raise _failure(failure, output.read(), hint)


def ended(commands: Sequence[Sequence[str]], scratch: str, outputs: Sequence[Union[int, IO[bytes]]]) -> List[int]:
    """Run all at once, each of which says what it says to one of ``outputs``; the codes with which they ended."""
    children: List["subprocess.Popen[bytes]"] = []
    settings: Dict[str, Any] = {"env": clean_environment(scratch), "cwd": scratch, "stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    try:
        for command, output in zip(commands, outputs):
            children.append(subprocess.Popen(list(command), stdout=output, **settings))  # those that started are to end
        return [child.wait() for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()


def run(command: Sequence[str], scratch: str, failure: str, *, hint: str = "", tolerated: Optional[Callable[[str], bool]] = None) -> str:
    """Run to the end in ``scratch`` and return what was said. Raises InstallError with ``failure`` and the last lines of it.

    A failure of which, by what was said, ``tolerated`` is true is none.
    """
    done = subprocess.run(
        list(command),
        env=clean_environment(scratch),
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    said = _decoded(done.stdout)
    if done.returncode and not (tolerated and tolerated(said)):
        raise _failure(failure, done.stdout, hint)
    return said


def _failure(failure: str, said: bytes, hint: str) -> InstallError:
    last = _decoded(said).splitlines()[-LAST_LINES:]
    return InstallError(failure, *["  " + line.rstrip() for line in last], hint=hint or "Nothing was changed.")


def _decoded(said: bytes) -> str:
    return said.decode(sys.getfilesystemencoding(), "replace")
