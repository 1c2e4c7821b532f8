"""This host as a target would describe it, and which targets it fits (check 9 of FORMAT.md, section 8).

A target fits when interpreter and ABI are the same, the platform is of the same kind and machine and not older than the target's floor,
and the host's own answers to the fixed environment markers (PEP 508) are the ones that the target was resolved for.
"""

import os
import platform
import re
import struct
import subprocess
import sys
import sysconfig
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .errors import HostDoesNotFit, UsageError
from .manifest import Manifest, ManifestTarget

ALL_TARGETS = "all"
"""What ``--target`` says for every target of the bundle."""

FIXED_MARKERS = (
    "implementation_name",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_system",
    "python_version",
    "sys_platform",
)
"""Markers that all hosts of one target share. Patch levels and kernel versions may differ."""

_FLOOR = re.compile(r"(?P<kind>manylinux|musllinux|macosx)_(?P<major>[0-9]+)_(?P<minor>[0-9]+)_(?P<machine>.+)")
_OLD_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
"""Names from before PEP 600, and the glibc that they mean."""
_WINDOWS = {"win32": "x86", "win_amd64": "AMD64", "win_arm64": "ARM64"}
_SYSTEM_NAMES = {
    "manylinux": "Linux with glibc",
    "musllinux": "Linux with musl",
    "linux": "Linux",
    "macosx": "macOS",
    "win": "Windows",
}


class Floor(NamedTuple):
    """The oldest platform that something runs on; of a host, the newest tag that it accepts."""

    kind: str
    """``manylinux``, ``musllinux``, ``linux``, ``macosx``, ``win``, or another system's own word."""
    version: Tuple[int, int]
    """Of glibc, musl or macOS; (0, 0) where none counts."""
    machine: str

    def __str__(self) -> str:
        name = _SYSTEM_NAMES.get(self.kind, self.kind)
        number = " %d.%d" % self.version if self.version != (0, 0) else ""
        return "%s%s on %s" % (name, number, self.machine)


class Host(NamedTuple):
    """One interpreter and what it runs on."""

    interpreter: str
    """``cp312``, ``pp310``."""
    abi: str
    """``cp312``, ``cp313t``, ``cp37m``, ``pypy310_pp73``."""
    platform: Floor
    markers: Mapping[str, str]
    """The :data:`FIXED_MARKERS`."""
    executable: str


def this_host() -> Host:
    """The running interpreter."""
    return Host(_interpreter(), _abi(), _platform(), _markers(), sys.executable or "")


def floor_of(tag: str) -> Floor:
    """What the platform tag ``tag`` asks for."""
    for old, version in _OLD_MANYLINUX.items():
        if tag.startswith(old + "_"):
            return Floor("manylinux", version, tag[len(old) + 1 :])
    match = _FLOOR.fullmatch(tag)
    if match:
        return Floor(match.group("kind"), (int(match.group("major")), int(match.group("minor"))), match.group("machine"))
    if tag in _WINDOWS:
        return Floor("win", (0, 0), _WINDOWS[tag])
    kind, _, machine = tag.partition("_")
    return Floor(kind, (0, 0), machine)


def misfits(target: ManifestTarget, host: Host) -> List[str]:
    """Why ``target`` was not made for ``host``, one reason each; empty when it fits."""
    reasons = []
    if target.interpreter != host.interpreter:
        reasons.append("it is for %s, this is %s" % (target.interpreter, host.interpreter))
    elif target.abi != host.abi:
        reasons.append("it is for the ABI %s, this Python has %s" % (target.abi, host.abi))
    reasons += _platform_misfits(floor_of(target.platforms[0]), host.platform)
    return reasons or _marker_misfits(target, host)


def choose_target(manifest: Manifest, host: Host, wanted: Optional[str] = None) -> ManifestTarget:
    """The target to install on ``host``: the one named ``wanted``, else of those that fit the one with the highest floor.

    Raises HostDoesNotFit with the reasons, UsageError when there is no target ``wanted``.
    """
    candidates = named_targets(manifest, [wanted]) if wanted else manifest.targets
    reasons = [(target, misfits(target, host)) for target in candidates]
    fitting = [target for target, against in reasons if not against]
    if fitting:
        return min(fitting, key=lambda target: (_descending(floor_of(target.platforms[0]).version), target.name))
    raise HostDoesNotFit(
        *["%s: %s" % (target.name, "; ".join(against)) for target, against in reasons],
        hint="This is %s (%s), on %s. Run a Python that fits, or ask for a bundle with a target that does."
        % (host.executable or "Python", host.abi, host.platform),
    )


def choose_targets(manifest: Manifest, host: Host, wanted: Sequence[str]) -> Tuple[ManifestTarget, ...]:
    """The targets to unpack: those named, every one for ``all``, and when none is named the one that fits ``host`` best.

    What is named is not compared with the host: it may be meant for another. Raises as :func:`choose_target` does.
    """
    if not wanted:
        return (choose_target(manifest, host),)
    if ALL_TARGETS in wanted:
        return tuple(manifest.targets)
    return named_targets(manifest, wanted)


def named_targets(manifest: Manifest, names: Sequence[str]) -> Tuple[ManifestTarget, ...]:
    """The targets called ``names``, in the manifest's order. Raises UsageError with all names that there are not."""
    known = {target.name for target in manifest.targets}
    unknown = sorted(set(names) - known)
    if unknown:
        raise UsageError(*["The bundle has no target %s." % ascii(name) for name in unknown], hint="It has: %s." % ", ".join(sorted(known)))
    return tuple(target for target in manifest.targets if target.name in names)


def _platform_misfits(floor: Floor, host: Floor) -> List[str]:
    # A plain linux tag promises no libc, so it says nothing that could be compared but the machine.
    same_kind = floor.kind == host.kind or (floor.kind == "linux" and host.kind in ("manylinux", "musllinux"))
    if not same_kind or floor.machine != host.machine:
        return ["it needs %s, this is %s" % (floor, host)]
    older = floor.version > host.version
    # musl promises nothing between its minor series: PEP 656 compares within one major version.
    foreign = floor.kind in ("manylinux", "musllinux") and floor.version[0] != host.version[0]
    return ["it needs at least %s, this is %s" % (floor, host)] if older or foreign else []


def _marker_misfits(target: ManifestTarget, host: Host) -> List[str]:
    """Fixed markers for which the host gives another value than the one that the target was resolved with."""
    differing = [
        (name, target.markers[name], host.markers[name])
        for name in FIXED_MARKERS
        if name in host.markers and target.markers.get(name) is not None and target.markers[name] != host.markers[name]
    ]
    return ["it was resolved for %s %r, here it is %r" % difference for difference in differing]


def _descending(version: Tuple[int, int]) -> Tuple[int, int]:
    return (-version[0], -version[1])


# The running interpreter


def _interpreter() -> str:
    prefix = {"cpython": "cp", "pypy": "pp"}.get(sys.implementation.name, sys.implementation.name)
    return "%s%d%d" % (prefix, sys.version_info[0], sys.version_info[1])


def _abi() -> str:
    if sys.implementation.name != "cpython":
        # pypy310-pp73-x86_64-linux-gnu; PEP 3149 and what pip makes of it.
        return "_".join(str(sysconfig.get_config_var("SOABI") or "none").replace(".", "_").split("-")[:2])
    return "cp%d%d%s" % (sys.version_info[0], sys.version_info[1], _abi_flags())


def _abi_flags() -> str:
    """``t`` without the GIL (PEP 703), ``d`` for a debug build, ``m`` for pymalloc before Python 3.8."""
    flags = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    flags += "d" if hasattr(sys, "gettotalrefcount") else ""
    with_pymalloc = sysconfig.get_config_var("WITH_PYMALLOC")
    old = sys.version_info < (3, 8)
    return flags + ("m" if old and with_pymalloc in (None, 1) else "")


def _platform() -> Floor:
    system = platform.system()
    if system == "Windows":
        return floor_of(sysconfig.get_platform().replace("-", "_"))
    if system == "Darwin":
        return Floor("macosx", _macos_version(), platform.machine())
    if system == "Linux":
        return _linux()
    return Floor(system.lower(), (0, 0), platform.machine())


def _linux() -> Floor:
    machine = _linux_machine()
    glibc = _glibc_version()
    if glibc:
        return Floor("manylinux", glibc, machine)
    musl = _musl_version(sys.executable or "")
    return Floor("musllinux", musl, machine) if musl else Floor("linux", (0, 0), machine)


def _linux_machine() -> str:
    """The machine that this process is compiled for: a 32-bit Python on a 64-bit kernel is its own platform."""
    machine = platform.machine()
    if struct.calcsize("P") == 4:
        return {"x86_64": "i686", "aarch64": "armv7l"}.get(machine, machine)
    return machine


def _glibc_version() -> Optional[Tuple[int, int]]:
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):  # another libc has no such name
        return None
    return _first_version(r"glibc ([0-9]+)\.([0-9]+)", text)


def _musl_version(executable: str) -> Optional[Tuple[int, int]]:
    """What the musl loader of ``executable`` says of itself on stderr (PEP 656); None when it is loaded by another."""
    loader = _elf_interpreter(executable)
    if "musl" not in os.path.basename(loader):
        return None
    try:
        said = subprocess.run([loader], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    except OSError:
        return None
    return _first_version(r"Version ([0-9]+)\.([0-9]+)", said.stderr.decode("ascii", "replace"))


def _elf_interpreter(executable: str) -> str:
    """The program loader that the ELF file ``executable`` names; empty when there is none."""
    try:
        with open(executable, "rb") as file:
            head = file.read(4096)
    except OSError:
        return ""
    # The loader's path stands at the front of every executable: no need to walk the program headers.
    match = re.search(rb"\x00(/[\x21-\x7e]*/ld-[\x21-\x7e]+)\x00", head) if head[:4] == b"\x7fELF" else None
    return match.group(1).decode("ascii") if match else ""


def _macos_version() -> Tuple[int, int]:
    version = _first_version(r"([0-9]+)\.([0-9]+)", platform.mac_ver()[0]) or (0, 0)
    if version != (10, 16):
        return version
    # A Python built with an old SDK is told 10.16 on every newer macOS, unless it asks like this.
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import platform; print(platform.mac_ver()[0])"],
        env=dict(os.environ, SYSTEM_VERSION_COMPAT="0"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    return _first_version(r"([0-9]+)\.([0-9]+)", told.stdout.decode("ascii", "replace")) or version


def _first_version(pattern: str, text: str) -> Optional[Tuple[int, int]]:
    match = re.search(pattern, text)
    return (int(match.group(1)), int(match.group(2))) if match else None


def _markers() -> Dict[str, str]:
    return {
        "implementation_name": sys.implementation.name,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_system": platform.system(),
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    }
