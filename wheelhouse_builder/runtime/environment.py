"""An empty virtual environment, made beside the place where it will live, that names that place."""

import base64
import hashlib
import json
import os
import re
import shutil
import sys
from functools import partial
from typing import Dict, Iterator, List, Mapping, Sequence, Tuple

from .child import run
from .errors import EnvironmentFailure, InstallError
from .host import Host

_NO_VENV = "no module venv: "
# The interpreter to make it of is what venv would take: of an environment, the one behind it.
_MAKE = (
    """
import json, os, sys
try:
    import venv
except ImportError:
    base = getattr(sys, "_base_executable", sys.executable)
    print(%r + json.dumps([os.path.abspath(base), "%%d.%%d.%%d" %% sys.version_info[:3]]))
else:
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(sys.argv[1])
"""
    % _NO_VENV
)
_BESIDE_PYTHON = re.compile(r"pythonw?\.exe|.*\.dll|python\d+\.zip", re.IGNORECASE)
"""What an interpreter needs beside itself on Windows; the zip is the standard library of the builds that are meant to be embedded."""

_PATHS = """
import json, os, sys, sysconfig
headers = os.path.join(sys.prefix, "include", "site", "python%d.%d" % sys.version_info[:2])
print(json.dumps(dict(sysconfig.get_paths(), headers=headers)))
"""


def make_environment(host: Host, path: str, final: str, scratch: str) -> str:
    """Make a virtual environment of the interpreter ``host`` at ``path``, without pip; returns its interpreter.

    It is meant to be renamed to ``final``, and says so. Raises EnvironmentFailure.
    """
    failure = "%s could not make a virtual environment." % host.executable
    try:
        said = run([host.executable, "-I", "-c", _MAKE, path], scratch, failure)
    except InstallError as error:
        raise EnvironmentFailure(*error.problems) from error
    for line in said.splitlines():
        if line.startswith(_NO_VENV):
            _make_by_hand(path, *json.loads(line[len(_NO_VENV) :]))
    relocate(path, final)
    return interpreter_of(path)


def _make_by_hand(path: str, base: str, version: str) -> None:
    """A virtual environment as PEP 405 has it, of an interpreter that lacks the module for it: some distributors pack that on its own."""
    home = os.path.dirname(base)
    scripts = os.path.dirname(interpreter_of(path))
    minor = "python" + ".".join(version.split(".")[:2])
    os.makedirs(os.path.join(path, *(("Lib", "site-packages") if os.name == "nt" else ("lib", minor, "site-packages"))))
    for folder in (scripts, os.path.join(path, "Include" if os.name == "nt" else "include")):
        os.makedirs(folder)
    if os.name == "nt":
        for name in filter(_BESIDE_PYTHON.fullmatch, os.listdir(home)):
            shutil.copyfile(os.path.join(home, name), os.path.join(scripts, name))
    else:
        os.symlink(base, interpreter_of(path))
        for name in ("python3", minor):
            os.symlink("python", os.path.join(scripts, name))
        if sys.maxsize > 1 << 32 and sys.platform == "linux":
            os.symlink("lib", os.path.join(path, "lib64"))  # some distributors' Pythons look there
    with open(os.path.join(path, "pyvenv.cfg"), "w", encoding="utf-8") as file:
        file.write("home = %s\ninclude-system-site-packages = false\nversion = %s\n" % (home, version))


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
    changed = {path: content for path in _naming_files(environment) for content in _rewritten(path, changes)}
    for record in _records(environment) if changed else ():
        _tell_anew(record, changed)


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


def _rewritten(path: str, changes: Sequence[Tuple[bytes, bytes]]) -> List[bytes]:
    """Make the changes in the file at ``path``; returns its new content: nothing, if nothing changed."""
    with open(path, "rb") as file:
        before = after = file.read()
    for old, new in changes:
        after = after.replace(old, new)
    if after == before:
        return []
    with open(path, "wb") as file:
        file.write(after)
    return [after]


def _tell_anew(record: str, changed: Mapping[str, bytes]) -> None:
    """Let the RECORD at ``record`` say what the files that it holds are now; older pips tell what a script was in its wheel."""
    with open(record, "rb") as file:
        before = after = file.read()
    site_packages = os.path.dirname(os.path.dirname(record))
    for path, content in changed.items():
        name = os.fsencode(os.path.relpath(path, site_packages).replace(os.sep, "/"))
        row = re.compile(rb'^("?%s"?),sha256=[^,\r\n]*,\d*' % re.escape(name), re.MULTILINE)
        after = row.sub(partial(_with_end, _row_end(content)), after)
    if after != before:
        with open(record, "wb") as file:
            file.write(after)


def _with_end(end: bytes, row: "re.Match[bytes]") -> bytes:
    return row.group(1) + end


def _row_end(content: bytes) -> bytes:
    """What RECORD says of a file with this content, after its path."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return b",sha256=%s,%d" % (digest, len(content))
