"""What compiling for CPython on Windows takes beside zig: its pyconfig.h, and an import library of its DLL.

Both can be made here. The headers of CPython are the same everywhere but for pyconfig.h, of which extensions want little; and what the DLL
exports is what the headers declare. Projects whose setup.py asks ``sys.platform`` find Linux there: simple extensions build, others do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

TRIPLES = {"win_amd64": "x86_64-windows-gnu"}
"""What zig calls the platforms."""
HOSTS = {"x86_64-windows-gnu": "x86_64-w64-mingw32"}
"""What configure scripts call them."""
MACHINES = {"x86_64-windows-gnu": "i386:x86-64"}
"""What dlltool calls the machine of a triple."""
FOLDER, LIBRARY, DEFINITION = "python", "python.lib", "python.def"
"""Where a build finds the import library, and what it was made of."""

CONFIGURATION = """#ifndef Py_CONFIG_H
#define Py_CONFIG_H
#define MS_WINDOWS
#define MS_WIN32
#define MS_WIN64
#define NT_THREADS
#define Py_ENABLE_SHARED
#define HAVE_DECLSPEC_DLL
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_WCHAR_T 2
#define SIZEOF_TIME_T 8
#define SIZEOF_OFF_T 4
#define SIZEOF_FLOAT 4
#define SIZEOF_DOUBLE 8
#define HAVE_SSIZE_T 1
#define HAVE_SYS_STAT_H
#define WITH_DOC_STRINGS 1
#endif
"""
"""pyconfig.h, as far as headers and extensions ask for it on 64-bit Windows."""
_DECLARED = re.compile(r"PyAPI_(FUNC|DATA)\s*\((?:[^()]|\([^()]*\))*\)\s*(?:_Py_NO_RETURN\s+)?\*?\s*(\w+)")


def headers(folder: Path) -> dict[str, str]:
    """CPython's headers, which lie in ``folder``, as they are on Windows: path → content."""
    found = {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.h"))}
    return {**found, "pyconfig.h": CONFIGURATION}


def exports(texts: Mapping[str, str], dll: str) -> str:
    """What ``dll`` exports, as dlltool reads it: all that the headers declare, so more than there is; nobody asks for the rest."""
    declared = {(name, kind) for text in texts.values() for kind, name in _DECLARED.findall(text)}
    lines = sorted(f"{name}{' DATA' if kind == 'DATA' else ''}\n" for name, kind in declared)
    return "".join([f"LIBRARY {dll}\nEXPORTS\n", *lines])


def settings_on(settings: Mapping[str, str | int], python: str, platform: str) -> dict[str, str | int]:
    """The settings of a Python here with the suffixes of ``python`` (``cp311``) there."""
    return {**settings, "EXT_SUFFIX": f".{python}-{platform}.pyd", "SHLIB_SUFFIX": ".pyd", "CCSHARED": ""}
