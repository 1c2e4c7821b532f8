"""Platforms: the second half of a target's name, and what follows from it alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from packaging.tags import mac_platforms

from wheelhouse_builder.model.facts import MinorVersion, facts

LEGACY_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
"""Names of PEP 513, 571 and 599, and the glibc that PEP 600 says they mean."""

LINUX_MACHINES = ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x", "riscv64")
MACOS_MACHINES = ("arm64", "x86_64")
WINDOWS_MACHINES = {"win_amd64": "AMD64", "win_arm64": "ARM64", "win32": "x86"}
"""Platform tags of Windows, and what ``platform.machine()`` says there."""

SPOKEN_WINDOWS = {
    "win64": "win_amd64",
    "windows": "win_amd64",
    "win_x86_64": "win_amd64",
    "win_x64": "win_amd64",
    "win_32": "win32",
    "win_x86": "win32",
}
"""What people write for a platform tag of Windows."""

SAME_MACHINE = {
    "amd64": "x86_64",
    "x64": "x86_64",
    "x86-64": "x86_64",
    "arm64": "aarch64",
    "armv8": "aarch64",
    "x86": "i686",
    "i386": "i686",
}
"""Other names of Linux machines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """An operating system, its oldest version that counts, and a machine."""

    name: str
    """The best platform tag: ``manylinux_2_28_x86_64``."""
    system: str
    """``manylinux``, ``musllinux``, ``macosx`` or ``win``."""
    version: MinorVersion
    """Of glibc, musl or macOS; (0, 0) on Windows."""
    machine: str
    """As ``platform.machine()`` says it."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Every platform tag that it accepts, best first, in the order that pip uses."""
        match self.system:
            case "manylinux":
                return tuple(_manylinux_tags(self.version, self.machine))
            case "musllinux":
                return tuple(f"musllinux_1_{minor}_{self.machine}" for minor in range(self.version[1], -1, -1))
            case "macosx":
                return tuple(mac_platforms(self.version, self.machine))
            case _:
                return (self.name,)

    @property
    def markers(self) -> Mapping[str, str]:
        """What it settles of PEP 508's marker environment."""
        os_name, sys_platform, platform_system = {
            "macosx": ("posix", "darwin", "Darwin"),
            "win": ("nt", "win32", "Windows"),
        }.get(self.system, ("posix", "linux", "Linux"))
        return {
            "os_name": os_name,
            "sys_platform": sys_platform,
            "platform_system": platform_system,
            "platform_machine": self.machine,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """A part of a target's name that means nothing, and the nearest that would."""

    problem: str
    nearest: str


def linux(libc: str, version: MinorVersion, machine: str) -> Platform:
    """Linux with at least ``version`` of ``libc`` (``manylinux`` or ``musllinux``)."""
    return Platform(name=f"{libc}_{version[0]}_{version[1]}_{machine}", system=libc, version=version, machine=machine)


def macos(version: MinorVersion, machine: str) -> Platform:
    """Return macOS of at least ``version``; from 11 on a minor version changes nothing about wheels."""
    minor = version[1] if version[0] == 10 else 0
    return Platform(name=f"macosx_{version[0]}_{minor}_{machine}", system="macosx", version=(version[0], minor), machine=machine)


def windows(tag: str) -> Platform:
    """Windows: ``win_amd64``, ``win_arm64`` or ``win32``."""
    return Platform(name=tag, system="win", version=(0, 0), machine=WINDOWS_MACHINES[tag])


def parse_platform(text: str) -> Platform | Unknown:
    """Read a platform tag; legacy manylinux names are taken for what they mean."""
    if text in WINDOWS_MACHINES:
        return windows(text)
    if text.lower() in SPOKEN_WINDOWS:
        return Unknown(problem=f"{text} is not a platform tag", nearest=SPOKEN_WINDOWS[text.lower()])
    if match := re.fullmatch(r"(manylinux1|manylinux2010|manylinux2014)_(\w+)", text):
        return _linux_platform("manylinux", LEGACY_MANYLINUX[match[1]], match[2])
    if match := re.fullmatch(r"(manylinux|musllinux)_(\d{1,4})_(\d{1,4})_(\w+)", text):
        return _linux_platform(match[1], (int(match[2]), int(match[3])), match[4])
    if match := re.fullmatch(r"macosx_(\d{1,4})_(\d{1,4})_(\w+)", text):
        return _macos_platform((int(match[1]), int(match[2])), match[3])
    if text.startswith("linux_"):
        problem = f"{text} does not say which C library; name its oldest version, as manylinux_2_28 (glibc) or musllinux_1_2 (musl) do"
        return Unknown(problem=problem, nearest=f"manylinux_2_28_{_nearest_linux_machine(text.removeprefix('linux_'))}")
    return Unknown(problem=f"{text} is not a platform tag" if text else "it names no platform", nearest=_nearest_platform(text))


def _manylinux_tags(floor: MinorVersion, machine: str) -> Iterator[str]:
    """Every glibc from ``floor`` down to the oldest that PEP 600 allows, each followed by its legacy name."""
    legacy = {version: name for name, version in LEGACY_MANYLINUX.items()}
    for minor in range(floor[1], _oldest_glibc(machine)[1] - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if (2, minor) in legacy:
            yield f"{legacy[2, minor]}_{machine}"


def _oldest_glibc(machine: str) -> MinorVersion:
    return (2, 5) if machine in {"x86_64", "i686"} else (2, 17)


def _linux_platform(libc: str, version: MinorVersion, machine: str) -> Platform | Unknown:
    name, newest, oldest = ("glibc", facts().glibc, _oldest_glibc(machine)) if libc == "manylinux" else ("musl", facts().musl, (1, 1))
    problems = []
    if machine not in LINUX_MACHINES:
        problems.append(f"{machine} is not a machine that Linux wheels are made for")
    if not oldest <= version <= newest:
        spoken = ".".join(map(str, version))
        problems.append(f"{name} {spoken} is not between {_spoken(oldest)} and {_spoken(newest)}, which wheels for {machine} can name")
    nearest = linux(libc, min(max(version, oldest), newest), _nearest_linux_machine(machine))
    return Unknown(problem="; ".join(problems), nearest=nearest.name) if problems else linux(libc, version, machine)


def _macos_platform(version: MinorVersion, machine: str) -> Platform | Unknown:
    known = macos(version, machine)
    releases = [release for release in facts().macos if machine != "arm64" or release >= (11, 0)]
    problems = []
    if machine not in MACOS_MACHINES:
        problems.append(f"{machine} is not one machine; macOS runs on {' and '.join(MACOS_MACHINES)}")
    if known.version not in releases:
        problems.append(f"there is no macOS {_spoken(version)} for {machine}")
    if not problems:
        return known
    nearest = min(releases, key=lambda release: (abs(release[0] - version[0]), abs(release[1] - version[1])))
    return Unknown(problem="; ".join(problems), nearest=macos(nearest, machine if machine in MACOS_MACHINES else "arm64").name)


def _nearest_linux_machine(text: str) -> str:
    known = SAME_MACHINE.get(text.lower(), text.lower())
    return (get_close_matches(known, LINUX_MACHINES, n=1) or ["x86_64"])[0]


def _nearest_platform(text: str) -> str:
    common = [
        *WINDOWS_MACHINES,
        "macosx_14_0_arm64",
        "macosx_11_0_x86_64",
        "musllinux_1_2_x86_64",
        "manylinux_2_28_aarch64",
        "manylinux_2_28_x86_64",
    ]
    return (get_close_matches(text.lower(), common, n=1, cutoff=0.4) or common[-1:])[0]


def _spoken(version: MinorVersion) -> str:
    return ".".join(map(str, version))
