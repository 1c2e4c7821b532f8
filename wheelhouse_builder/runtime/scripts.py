"""The scripts of entry points, and the first line of scripts that a wheel carries: what pip 26.3 writes, byte for byte.

On Windows a script is a launcher, then the first line, then a ZIP file with the code. The launchers are those that pip carries.
Source: the PyPA specification "Entry points", and pip's results; a test compares with these.
"""

import io
import os
import re
import sys
import zipfile
from typing import Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

from .errors import InstallError
from .wheel import name_problem

LAUNCHERS = "pip/_vendor/distlib/"
"""Where in the wheel of pip the launchers lie."""
CONSOLE, GUI = "console_scripts", "gui_scripts"

_TEXT = """\
import sys
from {module} import {name}
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit({function}())
"""
# What pip wrote as long as it ran on Python 3.8, which has no removesuffix.
_OLD_TEXT = """\
# -*- coding: utf-8 -*-
import re
import sys
from {module} import {name}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({function}())
"""
_REFERENCE = re.compile(r"(?P<module>[\w.]+):(?P<function>[\w.]+)\s*(?:\[[^\[\]]*\])?")
_LONGEST, _LONGEST_ON_MACOS = 127, 512
"""Bytes of a first line that the kernel reads."""
_VERSIONED = {"pip": r"pip(\d+(\.\d+)?)?", "easy_install": r"easy_install(-\d+\.\d+)?"}
"""Commands that pip names after the Python that it installs into, and the names that wheels were built with instead."""


class EntryPoints(NamedTuple):
    """What a wheel wants scripts for: by the name of the script, ``module:function``."""

    console: Dict[str, str]
    gui: Dict[str, str]


class Interpreter(NamedTuple):
    """For whom scripts are written."""

    executable: str
    """At the path where it will be."""
    version: Tuple[int, int]
    launchers: Optional[Mapping[str, bytes]] = None
    """By kind, ``t`` for consoles and ``w`` for windows; None where scripts need none."""


def read_entry_points(text: str) -> EntryPoints:
    """What entry_points.txt says of scripts, line by line, as importlib.metadata reads it. Raises InstallError."""
    sections: Dict[str, Dict[str, str]] = {CONSOLE: {}, GUI: {}}
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and not line.startswith("#") and section in sections:
            name, equals, reference = (part.strip() for part in line.partition("="))
            if not (name and equals):
                raise InstallError("entry_points.txt: %s is no entry point." % ascii(line))
            sections[section][name] = reference
    return EntryPoints(sections[CONSOLE], sections[GUI])


def scripts_of(points: EntryPoints, interpreter: Interpreter) -> Iterator[Tuple[str, bytes]]:
    """The file name and the content of each script. Raises InstallError."""
    for name, reference in _named_for(points.console, interpreter.version).items():
        yield _script(name, reference, interpreter, "t")
    for name, reference in points.gui.items():
        yield _script(name, reference, interpreter, "w")


def is_wrapper(name: str, points: EntryPoints) -> bool:
    """Whether the script ``name`` of a wheel is one that setuptools made for an entry point, in place of which we make our own."""
    for end in (".exe", "-script.py", ".pya"):
        if name.lower().endswith(end):
            name = name[: -len(end)]
            break
    return name in points.console or name in points.gui


def with_first_line(content: bytes, interpreter: Interpreter) -> bytes:
    """The script that a wheel carries, whose first line may ask for the interpreter by ``#!python``."""
    if not content.startswith(b"#!python"):
        return content
    return b"#!" + os.fsencode(interpreter.executable) + os.linesep.encode("ascii") + content.partition(b"\n")[2]


def find_launchers(names: Dict[str, bytes]) -> Dict[str, bytes]:
    """The launchers for this system, of the files ``names`` below :data:`LAUNCHERS`. Raises InstallError."""
    bits = "64" if sys.maxsize > 1 << 32 else "32"
    end = bits + ("-arm" if os.environ.get("PROCESSOR_ARCHITECTURE", "").upper() == "ARM64" and bits == "64" else "") + ".exe"
    try:
        return {kind: names[LAUNCHERS + kind + end] for kind in ("t", "w")}
    except KeyError as error:
        raise InstallError(
            "The bundle's pip has no %s, without which there are no scripts on Windows." % error, hint="Use --engine pip."
        ) from error


def _named_for(console: Mapping[str, str], version: Tuple[int, int]) -> Dict[str, str]:
    """The commands of pip and easy_install under the names that they have for this Python, and all others as they are."""
    named: Dict[str, str] = {}
    rest = dict(console)
    for command, pattern in _VERSIONED.items():
        reference = rest.get(command)
        if reference is None:
            continue
        rest = {name: other for name, other in rest.items() if not re.fullmatch(pattern, name)}
        major, full = "%d" % version[0], "%d.%d" % version
        names = [command, command + major, command + full] if command == "pip" else [command, command + "-" + full]
        named.update((name, reference) for name in names)
    named.update(rest)
    return named


def _script(name: str, reference: str, interpreter: Interpreter, kind: str) -> Tuple[str, bytes]:
    match = _REFERENCE.fullmatch(reference.strip())
    if match is None or "/" in name or name_problem(name):  # the check of wheels takes lines that are indented for parts of those above
        raise InstallError("entry_points.txt: %s = %s cannot become a script." % (ascii(name), ascii(reference)))
    module, function = match.group("module", "function")
    text = (_TEXT if interpreter.version >= (3, 9) else _OLD_TEXT).format(module=module, name=function.split(".")[0], function=function)
    if interpreter.launchers is None:
        return name, _first_line(interpreter.executable) + text.encode("utf-8")
    stem, dot, end = name.rpartition(".")
    base = stem if dot and end.startswith("py") else name
    return base + ".exe", interpreter.launchers[kind] + _behind_launcher(interpreter.executable, text, windowed=kind == "w")


def _behind_launcher(executable: str, text: str, *, windowed: bool) -> bytes:
    """What a launcher reads at its own end: the interpreter, and a ZIP file with the code."""
    if windowed:
        folder, _, base = executable.rpartition("\\")
        executable = folder + "\\" + base.replace("python", "pythonw")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), text)
    return b"#!" + _quoted(executable).encode("utf-8") + b"\n" + code.getvalue()


def _first_line(executable: str) -> bytes:
    """The line that starts a script with the interpreter; one that is too long for the kernel, or has spaces, goes by way of /bin/sh."""
    path = _quoted(executable).encode("utf-8")
    longest = _LONGEST_ON_MACOS if sys.platform == "darwin" else _LONGEST
    if b" " not in path and len(path) + len(b"#!\n") <= longest:
        return b"#!" + path + b"\n"
    return b"#!/bin/sh\n'''exec' " + path + b' "$0" "$@"\n' + b"' '''\n"


def _quoted(executable: str) -> str:
    return '"%s"' % executable if " " in executable else executable
