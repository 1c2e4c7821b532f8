"""Programs that we start inside: in a clean environment, with a private temporary directory, with nothing to read and all output caught."""

import os
import subprocess
import sys
from typing import Callable, Dict, Optional, Sequence

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
    said = done.stdout.decode(sys.getfilesystemencoding(), "replace")
    if done.returncode and not (tolerated and tolerated(said)):
        last = said.splitlines()[-LAST_LINES:]
        raise InstallError(failure, *["  " + line.rstrip() for line in last], hint=hint or "Nothing was changed.")
    return said
