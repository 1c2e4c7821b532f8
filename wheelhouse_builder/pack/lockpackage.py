"""The lock as a package: a wheel without code that requires every distribution of a bundle, each in exactly one version.

So that inside, from any plain index, ``pip install acme-web-lock`` yields the tested set. Where targets differ, markers say which pin is
for whom (PEP 508); what all targets share has none. The same locks make the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target

TELLING = ("python_version", "sys_platform", "platform_machine", "implementation_name")
"""Markers by which targets are told apart, those that readers know best first."""

_PROJECT = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.IGNORECASE | re.ASCII)
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class LockPackage:
    """The wheel."""

    project: NormalizedName
    version: Version
    filename: str
    content: bytes


def with_lock_package(
    name: str, version: str, locks: Sequence[Lock], wheels: Mapping[str, Wheel], store: Store
) -> tuple[tuple[Lock, ...], dict[str, Wheel]]:
    """The locks and the wheels of the bundle ``name`` ``version``, with its lock package on every target. Raises SpecError."""
    package = lock_package(name, version, locks)
    sha256 = hashlib.sha256(package.content).hexdigest()
    path = store.add(sha256, [package.content])
    url = _url(package.filename)
    project, parsed, filename, size = package.project, package.version, package.filename, len(package.content)
    wheel = Wheel(project=project, version=parsed, filename=filename, sha256=sha256, size=size, path=path, url=url)
    locked = LockedWheel(project=project, version=parsed, filename=filename, sha256=sha256, size=size, url=url)
    asked = Requirement(f"{package.project}=={package.version}")
    extended = (
        replace(
            lock,
            wheels=tuple(sorted([*lock.wheels, locked], key=lambda each: each.project)),
            requirements=(*lock.requirements, asked),
        )
        for lock in locks
    )
    return tuple(extended), {**wheels, package.filename: wheel}


def is_lock_package(locked: LockedWheel) -> bool:
    """Whether it was made here, so that it can be fetched from nowhere."""
    return locked.url == _url(locked.filename)


def _url(filename: str) -> str:
    return f"file:///{filename}"


def lock_package(name: str, version: str, locks: Sequence[Lock]) -> LockPackage:
    """The lock package of the bundle ``name`` ``version``. Raises SpecError with all that is in its way."""
    project, parsed = canonicalize_name(f"{name}-lock"), _version(version)
    pins, problems = _pins(locks)
    problems += [] if parsed else [f"bundle version {version!r} is no version of a package (PEP 440)"]
    problems += [] if _PROJECT.fullmatch(name) else [f"bundle name {name!r} is no name of a package"]
    problems += [f"{lock.target.name}: requirements are overridden, and pip would not install that" for lock in locks if lock.overridden]
    problems += [
        f"{lock.target.name}: a lock holds {project} already" for lock in locks if project in {each.project for each in lock.wheels}
    ]
    problems += ["a catalogue is no set that is installed together"] if any(lock.closures is not None for lock in locks) else []
    if problems or parsed is None:
        raise SpecError(*problems, hint="without --lock-package the bundle can be made as it is")
    filename = f"{project.replace('-', '_')}-{parsed}-py3-none-any.whl"
    return LockPackage(project=project, version=parsed, filename=filename, content=_wheel(name, project, parsed, pins))


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _pins(locks: Sequence[Lock]) -> tuple[list[str], list[str]]:
    """The lines of Requires-Dist, sorted; and what no marker can tell."""
    pins: dict[tuple[NormalizedName, Version], list[Target]] = defaultdict(list)
    for lock in locks:
        for wheel in lock.wheels:
            pins[wheel.project, wheel.version].append(lock.target)
    targets = [lock.target for lock in locks]
    lines, problems = [], []
    for (project, version), chosen in sorted(pins.items()):
        rest = [target for target in targets if target not in chosen]
        marker = telling_marker(chosen, rest) if rest else ""
        if marker is None:
            problems.append(f"{project} {version} is for {_names(chosen)} and not for {_names(rest)}: no marker tells all of these apart")
        else:
            lines.append(f"{project}=={version}" + (f" ; {marker}" if marker else ""))
    return lines, problems


def telling_marker(chosen: Sequence[Target], rest: Sequence[Target]) -> str | None:
    """The shortest marker that holds on the ``chosen`` targets and on none of the ``rest``; None: there is none."""
    known = [key for key in TELLING if all(target.markers[key] is not None for target in (*chosen, *rest))]
    for count in range(1, len(known) + 1):
        for keys in combinations(known, count):
            wanted, others = _values(chosen, keys), _values(rest, keys)
            if not wanted & others:
                return _marker(keys, sorted(wanted))
    return None


def _values(targets: Iterable[Target], keys: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(str(target.markers[key]) for key in keys) for target in targets}


def _marker(keys: Sequence[str], alternatives: Sequence[Sequence[str]]) -> str:
    clauses = [" and ".join(f"{key} == {value!r}" for key, value in zip(keys, values, strict=True)) for values in alternatives]
    if len(clauses) == 1 or len(keys) == 1:
        return " or ".join(clauses)
    return " or ".join(f"({clause})" for clause in clauses)


def _names(targets: Iterable[Target]) -> str:
    return ", ".join(target.name for target in targets)


def _wheel(name: str, project: NormalizedName, version: Version, pins: Sequence[str]) -> bytes:
    info = f"{project.replace('-', '_')}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {project}",
        f"Version: {version}",
        f"Summary: Exactly what the bundle {name} {version} holds",
    ]
    members = {
        f"{info}/METADATA": "\n".join([*metadata, *(f"Requires-Dist: {pin}" for pin in pins), ""]).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: wheelhouse\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = "\n".join([*_record(members), f"{info}/RECORD,,", ""]).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in members.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, data)  # stored: another zlib makes the same bytes
    return out.getvalue()


def _record(members: Mapping[str, bytes]) -> Iterator[str]:
    for path, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        yield f"{path},sha256={digest},{len(data)}"
