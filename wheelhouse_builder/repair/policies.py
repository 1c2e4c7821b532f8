"""What a target may be taken to have, as data that others keep.

For Linux these are auditwheel's policies (PEP 600, PEP 656), for Windows it is delvewheel's list. Both are private to their projects, which
pyproject.toml pins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from auditwheel.architecture import Architecture
from auditwheel.libc import Libc
from auditwheel.policy import WheelPolicies
from delvewheel import _dll_list

from wheelhouse_builder.model.facts import MinorVersion
from wheelhouse_builder.model.target import Target

_PLATFORM = re.compile(r"(many|musl)linux_(\d+)_(\d+)_(\w+)")
MUSL_LOADER = re.compile(r"(?:libc|libpthread|librt|libm|libdl|libutil|libxnet)\.(?:so|musl-).*|ld-musl-.*")
"""Names that musl's loader takes for itself, whatever follows."""
LOADER = re.compile(r"ld(?:64|-linux.*)\.so\.\d+")
_PYTHON_DLL = re.compile(r"python(3\d*t?)(?:_d)?\.dll")


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What every system of a platform has."""

    platform: str
    """The newest platform with a policy that the target satisfies: ``manylinux_2_28_x86_64``."""
    libc: MinorVersion
    """The target's own."""
    musl: bool
    libraries: frozenset[str]
    versions: Mapping[str, frozenset[str]]
    """By family (``GLIBCXX``), the versions of symbols that there are: ``3.4.24``."""

    def has(self, library: str) -> bool:
        """Whether the target has ``library``."""
        loader = MUSL_LOADER if self.musl else LOADER
        return library in self.libraries or loader.fullmatch(library) is not None

    def lacks(self, version: str) -> bool:
        """Whether the target is too old for symbols of ``version`` (``GLIBC_2.34``)."""
        family, _, number = version.partition("_")
        if family == "GLIBC":
            return self.musl or (number == "ABI_DT_RELR" and self.libc < DT_RELR) or _newer(number, self.libc)
        return family in self.versions and number not in self.versions[family]


DT_RELR = (2, 36)
"""The glibc that first knew packed relocations; older ones refuse what was linked with ``-z pack-relative-relocs``."""


def _newer(number: str, libc: MinorVersion) -> bool:
    parts = number.split(".")
    return all(part.isdigit() for part in parts) and tuple(map(int, parts[:2])) > libc


def policy_of(platform: str) -> Policy | None:
    """The policy for ``platform``, a platform tag; None where it is not Linux, or so old or rare that there is none."""
    match = _PLATFORM.fullmatch(platform)
    if match is None:
        return None
    family, major, minor, machine = match.groups()
    libc = int(major), int(minor)
    known = _policies(family == "musl", machine)
    fitting = [version for version in known if version <= libc]
    if not fitting:
        return None
    name, libraries, versions = known[max(fitting)]
    return Policy(platform=name, libc=libc, musl=family == "musl", libraries=libraries, versions=versions)


@cache
def _policies(musl: bool, machine: str) -> Mapping[MinorVersion, tuple[str, frozenset[str], Mapping[str, frozenset[str]]]]:  # noqa: FBT001
    """By the C library's version: the platform, its libraries, its versions of symbols."""
    try:
        architecture = Architecture(machine)
    except ValueError:
        return {}
    found = {}
    # musl's policies are offered one at a time
    for musl_policy in ("musllinux_1_1", "musllinux_1_2") if musl else (None,):
        for policy in WheelPolicies(libc=Libc.MUSL if musl else Libc.GLIBC, arch=architecture, musl_policy=musl_policy):
            if match := _PLATFORM.fullmatch(policy.name):
                found[int(match[2]), int(match[3])] = (policy.name, policy.whitelist, policy.symbol_versions)
    return found


def has_on_macos(library: str) -> bool:
    """Whether every macOS has the library at this path."""
    return library.startswith(("/usr/lib/", "/System/Library/"))


def has_on_windows(library: str, target: Target) -> bool | None:
    """Whether Windows or the target's Python brings the DLL; False: another Python would; None: nobody knows it."""
    python = _PYTHON_DLL.fullmatch(library)
    if python:
        return python[1] in ("3", target.abi.removeprefix("cp"), target.interpreter.removeprefix("cp"))
    machine = _dll_list.MachineType.platform_tag_to_type(target.platforms[0])
    known = library in _dll_list.ignore_names.get(machine, ()) or any(name.fullmatch(library) for name in _dll_list.ignore_regexes)
    place = f"{target.abi}-{target.platforms[0]}"
    known = known or any(library in names for where, names in _dll_list.ignore_by_abi_platform.items() if re.fullmatch(where, place))
    return known or None
