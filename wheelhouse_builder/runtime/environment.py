"""An empty virtual environment, made beside the place where it will live, that names that place."""

import base64
import hashlib
import json
import os
from typing import Dict, Iterator, List, Sequence, Tuple

from .child import run
from .errors import EnvironmentFailure, InstallError
from .host import Host

_NO_VENV = "this Python has no module venv"

_MAKE = (
    """
import os, sys
try:
    import venv
except ImportError as error:
    sys.exit("%s: %%s" %% error)
venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(sys.argv[1])
"""
    % _NO_VENV
)

_PATHS = """
import json, os, sys, sysconfig
headers = os.path.join(sys.prefix, "include", "site", "python%d.%d" % sys.version_info[:2])
print(json.dumps(dict(sysconfig.get_paths(), headers=headers)))
"""


def make_environment(host: Host, path: str, final: str, scratch: str) -> str:
    """Make a virtual environment of the interpreter ``host`` at ``path``, without pip; returns its interpreter.

    It is meant to be renamed to ``final``, and says so. Raises EnvironmentFailure.
    """
    try:
        run([host.executable, "-I", "-c", _MAKE, path], scratch, "%s could not make a virtual environment." % host.executable)
    except InstallError as error:
        hint = ""
        if any(_NO_VENV in problem for problem in error.problems):
            hint = "Install your system's package for it (python3-venv on Debian and Ubuntu), or use another Python."
        raise EnvironmentFailure(*error.problems, hint=hint) from error
    relocate(path, final)
    return interpreter_of(path)


def interpreter_of(environment: str) -> str:
    """The interpreter of the virtual environment at ``environment``."""
    return os.path.join(environment, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


def paths_of(python: str, scratch: str) -> Dict[str, str]:
    """Where the interpreter ``python`` has its schemes (see :class:`~.engine.Job`)."""
    found = json.loads(run([python, "-I", "-c", _PATHS], scratch, "%s does not start." % python))
    return {str(scheme): str(path) for scheme, path in found.items()}


def relocate(environment: str, final: str, executable: str = "") -> None:
    """Let what was written at ``environment`` name ``final`` instead: pyvenv.cfg, the scripts, and RECORD of what changed by that.

    pip could be told another ``sys.executable`` from the start. But it reads that file, too: on musl, to learn which wheels fit.
    """
    changes = [(os.fsencode(environment), os.fsencode(final))]
    if executable:
        changes.insert(0, (os.fsencode(interpreter_of(environment)), os.fsencode(executable)))
    rows = [row for path in _naming_files(environment) for row in _rewrite(path, changes)]
    for path in _records(environment) if rows else ():
        _rewrite(path, rows)


def _naming_files(environment: str) -> Iterator[str]:
    yield os.path.join(environment, "pyvenv.cfg")
    scripts = os.path.dirname(interpreter_of(environment))
    for name in sorted(os.listdir(scripts)):
        path = os.path.join(scripts, name)
        if not os.path.islink(path) and os.path.isfile(path):
            yield path


def _records(environment: str) -> Iterator[str]:
    for folder, _, names in os.walk(os.path.join(environment, "Lib" if os.name == "nt" else "lib")):
        if folder.endswith(".dist-info") and "RECORD" in names:
            yield os.path.join(folder, "RECORD")


def _rewrite(path: str, changes: Sequence[Tuple[bytes, bytes]]) -> List[Tuple[bytes, bytes]]:
    """Make the changes in the file at ``path``; returns what has to change in a RECORD that holds the file: nothing, if nothing did."""
    with open(path, "rb") as file:
        before = after = file.read()
    for old, new in changes:
        after = after.replace(old, new)
    if after == before:
        return []
    with open(path, "wb") as file:
        file.write(after)
    return [(_row_end(before), _row_end(after))]


def _row_end(content: bytes) -> bytes:
    """What RECORD says of a file with this content, after its path."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return b",sha256=%s,%d" % (digest, len(content))
