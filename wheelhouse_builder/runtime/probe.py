"""What this Python and its host are, as one JSON document: run it inside, carry the document out.

    python wheelhouse-probe.py web01.json

The document stands for a target in wheelhouse.yaml (targets/web01.json), exact to the last tag and marker. This is one file that needs
nothing but the standard library and runs on Python 2.7 and on 3.4 and newer. It reads; it changes nothing and asks no network.
"""

from __future__ import print_function

import json
import os
import platform
import re
import struct
import subprocess
import sys
import sysconfig
import tempfile

TYPE_CHECKING = False  # as mypy knows it; Python 2.7 and 3.4 have no typing
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Sequence, Tuple  # noqa: F401 # in comments only

    Version = Tuple[int, int]

FORMAT = 1
"""Of the document."""
HERE = sys.version_info[:2]
OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
"""The oldest minor version of glibc 2 that a manylinux tag can name (PEP 600); 17 on all other machines."""
LEGACY_MANYLINUX = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
DECODERS = ("compression.zstd", "backports.zstd", "zstandard", "pyzstd")
"""Modules that decompress zstd, best first; the first came with Python 3.14."""


def probe():
    # type: () -> Dict[str, object]
    """The whole document."""
    tags = list(accepted_tags())
    return {
        "wheelhouse-probe": FORMAT,
        "python": {"executable": sys.executable or "", "version": platform.python_version()},
        "tags": tags,
        "markers": markers(),
        "libc": _libc(),
        "macos": platform.mac_ver()[0] or None,
        "windows": platform.win32_ver()[1] or None,
        "pip": _pip_version(),
        "openssh": _openssh_version(),
        "zstd": {"module": _decoder(), "program": _on_path("zstd") is not None},
        "disk": _free_disk(),
    }


def markers():
    # type: () -> Dict[str, str]
    """All eleven of PEP 508's; Python 2 has no sys.implementation, hence the PEP's stand-ins."""
    implementation = getattr(sys, "implementation", None)
    return {
        "implementation_name": implementation.name if implementation else "",
        "implementation_version": _full_version(implementation.version) if implementation else "0",
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": "%d.%d" % HERE,
        "sys_platform": sys.platform,
    }


def _full_version(info):
    # type: (sys._version_info) -> str
    """As PEP 508 spells a sys.version_info."""
    kind = "" if info.releaselevel == "final" else info.releaselevel[0] + str(info.serial)
    return "%d.%d.%d%s" % (info[0], info[1], info[2], kind)


# Tags, best first (PEP 425, 600, 656, 703, 803)


def accepted_tags():
    # type: () -> Iterator[str]
    """Every wheel tag that this interpreter accepts, in the order in which an installer prefers them."""
    platforms = list(accepted_platforms())
    seen = set()
    for interpreter, abi, platform_tag in _tags(platforms):
        tag = "%s-%s-%s" % (interpreter, abi, platform_tag)
        if tag not in seen:
            seen.add(tag)
            yield tag


def _tags(platforms):
    # type: (Sequence[str]) -> Iterator[Tuple[str, str, str]]
    own = _interpreter()
    for interpreter, abi in _compiled(own):
        for each in platforms:
            yield interpreter, abi, each
    for python in _pure():
        for each in platforms:
            yield python, "none", each
    # CPython takes wheels of its very version first, PyPy those of any PyPy 3 (PEP 425).
    if own.startswith("cp"):
        yield own, "none", "any"
    elif own.startswith("pp3"):
        yield "pp3", "none", "any"
    for python in _pure():
        yield python, "none", "any"


def _interpreter():
    # type: () -> str
    name = platform.python_implementation().lower()
    return "%s%d%d" % ({"cpython": "cp", "pypy": "pp"}.get(name, name), HERE[0], HERE[1])


def _compiled(own):
    # type: (str) -> Iterator[Tuple[str, str]]
    """Pairs of interpreter and ABI of the compiled code that can be loaded."""
    if not own.startswith("cp"):
        # pypy310-pp73-x86_64-linux-gnu; PEP 3149 and what pip makes of it
        soabi = str(sysconfig.get_config_var("SOABI") or "")
        yield own, "_".join(soabi.replace(".", "_").split("-")[:2])
        yield own, "none"
        return
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    for abi in _cpython_abis(free_threaded):
        yield own, abi
    stable = "abi3t" if free_threaded else "abi3"
    if HERE >= (3, 2):
        yield own, stable
    yield own, "none"
    if HERE >= (3, 2):
        for minor in range(HERE[1] - 1, 1, -1):
            yield "cp3%d" % minor, stable


def _cpython_abis(free_threaded):
    # type: (bool) -> List[str]
    """The ABI of this CPython; a debug build loads the normal one's code too, from 3.8 on."""
    base = "cp%d%d%s" % (HERE[0], HERE[1], "t" if free_threaded else "")
    debug = "d" if hasattr(sys, "gettotalrefcount") else ""
    if HERE >= (3, 8):
        return [base + debug, base] if debug else [base]
    pymalloc = "m" if sysconfig.get_config_var("WITH_PYMALLOC") in (None, 1) else ""
    wide = "u" if HERE < (3, 3) and sys.maxunicode == 0x10FFFF else ""
    return [base + debug + pymalloc + wide]


def _pure():
    # type: () -> Iterator[str]
    """py312, py3, py311 and so on down to py30."""
    major, minor = HERE
    yield "py%d%d" % (major, minor)
    yield "py%d" % major
    for older in range(minor - 1, -1, -1):
        yield "py%d%d" % (major, older)


def accepted_platforms():
    # type: () -> Iterator[str]
    """Every platform tag that this interpreter accepts, best first."""
    own = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if platform.system() == "Darwin":
        machine = platform.machine()
        return mac_platforms(_macos_version(), {"x86_64": "i386"}.get(machine, machine) if _is_32bit() else machine)
    if own.startswith("linux_"):
        return linux_platforms(_linux_machines(own[len("linux_") :]), _glibc_version(), _musl_version())
    return iter([own])


def linux_platforms(machines, glibc, musl):
    # type: (Sequence[str], Optional[Version], Optional[Version]) -> Iterator[str]
    """The platform tags of a Linux with one of two C libraries."""
    for machine in machines:
        yield "linux_" + machine
    for machine in machines if glibc and _keeps_the_abi(machines) else ():
        for minor in range(glibc[1] if glibc else 0, OLDEST_GLIBC.get(machine, 17) - 1, -1):
            if _manylinux_allowed(minor, machine):
                yield "manylinux_2_%d_%s" % (minor, machine)
                if minor in LEGACY_MANYLINUX:
                    yield "%s_%s" % (LEGACY_MANYLINUX[minor], machine)
    for machine in machines if musl else ():
        for minor in range(musl[1] if musl else 0, -1, -1):
            yield "musllinux_%d_%d_%s" % (musl[0] if musl else 0, minor, machine)


def _linux_machines(machine):
    # type: (str) -> List[str]
    """What this process is compiled for: a 32-bit Python on a 64-bit kernel is a platform of its own."""
    if _is_32bit():
        machine = {"x86_64": "i686", "aarch64": "armv8l"}.get(machine, machine)
    return ["armv8l", "armv7l"] if machine == "armv8l" else [machine]


def _is_32bit():
    # type: () -> bool
    return struct.calcsize("P") == 4


def _keeps_the_abi(machines):
    # type: (Sequence[str]) -> bool
    """Whether this interpreter has the machine's one ABI that manylinux is about: on 32-bit ARM the one with hardware floats (PEP 599)."""
    if "armv7l" not in machines:
        return True
    head = _head_of_executable()
    flags = struct.unpack("<I", head[36:40])[0] if len(head) >= 40 else 0
    return flags & 0xFF000400 == 0x05000400


def _manylinux_allowed(minor, machine):
    # type: (int, str) -> bool
    """What the distributor of this Python says of it (PEP 600); nothing, as a rule."""
    try:
        import _manylinux  # type: ignore[import-not-found]
    except ImportError:
        return True
    if hasattr(_manylinux, "manylinux_compatible"):
        allowed = _manylinux.manylinux_compatible(2, minor, machine)
        return allowed is None or bool(allowed)
    return bool(getattr(_manylinux, LEGACY_MANYLINUX.get(minor, "") + "_compatible", True))


def mac_platforms(version, machine):
    # type: (Version, str) -> Iterator[str]
    """The platform tags of a macOS; from 11 on, its minor version changes nothing about wheels."""
    if version >= (11, 0):
        for major in range(version[0], 10, -1):
            for form in _mac_forms((major, 0), machine):
                yield "macosx_%d_0_%s" % (major, form)
    newest = 16 if version >= (11, 0) else version[1]
    oldest = 4 if version >= (11, 0) else 0
    for minor in range(newest, oldest - 1, -1):
        # No arm64 had macOS 10, but the other half of a universal2 wheel may say so.
        forms = ["universal2"] if machine == "arm64" else _mac_forms((10, minor), machine)
        for form in forms:
            yield "macosx_10_%d_%s" % (minor, form)


def _mac_forms(version, machine):
    # type: (Version, str) -> List[str]
    """The machine, and the containers of several machines that have it in them."""
    if machine in ("x86_64", "i386") and version < (10, 4):
        return []
    forms = {
        "x86_64": ["x86_64", "intel", "fat64", "fat3", "universal2", "universal"],
        "i386": ["i386", "intel", "fat3", "fat", "universal"],
        "arm64": ["arm64", "universal2"],
    }
    return forms.get(machine, [machine])


# The host


def _libc():
    # type: () -> Optional[Dict[str, str]]
    for name, version in (("glibc", _glibc_version()), ("musl", _musl_version())):
        if version:
            return {"name": name, "version": "%d.%d" % version}
    return None


def _glibc_version():
    # type: () -> Optional[Version]
    try:
        return _version(r"glibc (\d+)\.(\d+)", os.confstr("CS_GNU_LIBC_VERSION") or "")
    except (AttributeError, OSError, ValueError):  # another libc has no such name, and Python 2.7 does not know it
        return _glibc_version_by_call()


def _glibc_version_by_call():
    # type: () -> Optional[Version]
    try:
        import ctypes

        tell = ctypes.CDLL(None).gnu_get_libc_version
    except (ImportError, AttributeError, OSError, TypeError):  # another libc has no such function, Windows not even this way to ask
        return None
    tell.restype = ctypes.c_char_p
    return _version(r"(\d+)\.(\d+)", tell().decode("ascii"))


def _musl_version():
    # type: () -> Optional[Version]
    """What the loader of this interpreter says of itself (PEP 656)."""
    loader = re.search(b"\x00(/[\x21-\x7e]*/ld-musl-[\x21-\x7e]+)\x00", _head_of_executable())
    return _version(r"Version (\d+)\.(\d+)", _said(loader.group(1).decode("ascii"))) if loader else None


def _head_of_executable():
    # type: () -> bytes
    """The first 4 KiB of this interpreter, where an ELF file names its loader; empty when it cannot be read."""
    try:
        with open(sys.executable, "rb") as file:
            head = file.read(4096)
    except (IOError, OSError, TypeError):
        return b""
    return head if head[:4] == b"\x7fELF" else b""


def _macos_version():
    # type: () -> Version
    version = _version(r"(\d+)\.(\d+)", platform.mac_ver()[0]) or (0, 0)
    if version != (10, 16):
        return version
    # A Python built with an old SDK is told 10.16 on every newer macOS, unless it asks like this.
    ask = [sys.executable, "-S", "-c", "import platform; print(platform.mac_ver()[0])"]
    return _version(r"(\d+)\.(\d+)", _said(*ask, SYSTEM_VERSION_COMPAT="0")) or version


def _pip_version():
    # type: () -> Optional[str]
    try:
        from pip import __version__
    except Exception:  # noqa: BLE001 # whatever is wrong with it, it is none that could be used
        return None
    return str(__version__)


def _openssh_version():
    # type: () -> Optional[str]
    """``OpenSSH_9.2p1``, where ssh-keygen is there too: it is what verifies a bundle's signature."""
    if _on_path("ssh-keygen") is None:
        return None
    match = re.search(r"OpenSSH_\S+", _said("ssh", "-V"))
    return match.group().rstrip(",") if match else "OpenSSH"


def _decoder():
    # type: () -> Optional[str]
    """The module that this Python decompresses zstd with."""
    for name in DECODERS:
        try:
            __import__(name)
        except Exception:  # noqa: BLE001,S112 # one that is there and broken is as good as none
            continue
        return name
    return None


def _free_disk():
    # type: () -> Dict[str, int]
    """Bytes that this user can still write, at the places where a bundle is unpacked and installed."""
    free = {}
    for path in (os.getcwd(), os.path.expanduser("~"), tempfile.gettempdir(), sys.prefix):
        try:
            free[path] = _free(path)
        except (AttributeError, OSError):  # Python 2.7 on Windows cannot tell
            continue
    return free


def _free(path):
    # type: (str) -> int
    try:
        from shutil import disk_usage
    except ImportError:
        disk = os.statvfs(path)
        return disk.f_bavail * disk.f_frsize
    return disk_usage(path).free


def _on_path(program):
    # type: (str) -> Optional[str]
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for suffix in ("", ".exe"):
            path = os.path.join(folder, program + suffix)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
    return None


def _said(*command, **environment):
    # type: (*str, **str) -> str
    """Everything that a program says; nothing when there is none."""
    try:
        process = subprocess.Popen(command, env=dict(os.environ, **environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError:
        return ""
    return process.communicate()[0].decode("ascii", "replace")


def _version(pattern, text):
    # type: (str, str) -> Optional[Version]
    match = re.search(pattern, text)
    return (int(match.group(1)), int(match.group(2))) if match else None


def as_text(document):
    # type: (Dict[str, object]) -> str
    """The document as a file that shows in a review what changed."""
    return json.dumps(document, indent=1, sort_keys=True, separators=(",", ": "))


def main(arguments):
    # type: (List[str]) -> int
    """Write the document to the file that is named, or else to standard output."""
    text = as_text(probe()) + "\n"
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        print("usage: python wheelhouse-probe.py [FILE]")
        return 2 if len(arguments) > 1 else 0
    if not arguments:
        sys.stdout.write(text)
        return 0
    with open(arguments[0], "wb") as file:
        file.write(text.encode("ascii"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
