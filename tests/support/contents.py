"""What pack takes: wheels as the store holds them, locks, and both together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from packaging.pylock import Package, PackageWheel, Pylock
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from tests.support.wheels import make_wheel
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.pack import Contents

TARGET = "cp312-manylinux_2_28_x86_64"
OTHER_TARGET = "cp313-win_amd64"
URL = "https://pypi.org/files/"


def held(path: Path, *, uploaded: datetime | None = None) -> Wheel:
    """The wheel file at ``path``, as fetch hands it on."""
    project, version, _, _ = parse_wheel_filename(path.name)
    data = path.read_bytes()
    return Wheel(
        project=project,
        version=version,
        filename=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        path=path,
        url=URL + path.name,
        uploaded=uploaded,
    )


def locked(wheel: Wheel) -> LockedWheel:
    """What a lock says of ``wheel``."""
    return LockedWheel(project=wheel.project, version=wheel.version, filename=wheel.filename, url=wheel.url, sha256=wheel.sha256)


def make_lock(target: str, wheels: Sequence[Wheel], bootstrap: Sequence[Wheel]) -> Lock:
    """A lock that holds ``wheels``."""
    packages = [
        Package(name=wheel.project, version=wheel.version, wheels=[PackageWheel(url=wheel.url, hashes={"sha256": wheel.sha256})])
        for wheel in wheels
    ]
    return Lock(
        target=Target.parse(target),
        pylock=Pylock(lock_version=Version("1.0"), created_by="tests", packages=packages),
        wheels=tuple(locked(wheel) for wheel in wheels),
        bootstrap=tuple(locked(wheel) for wheel in bootstrap),
    )


def make_contents(directory: Path, *paths: Path, name: str = "acme-web", targets: Sequence[str] = (TARGET,)) -> Contents:
    """Contents with the wheels at ``paths`` and a pip for each of ``targets``; ``directory`` is for the latter."""
    wheels = [held(path) for path in paths]
    pip = held(make_wheel(directory, "pip", "26.3"))
    locks = [make_lock(target, wheels, [pip]) for target in targets]
    return Contents.gather(name=name, version="2026.11", locks=locks, wheels={wheel.filename: wheel for wheel in (*wheels, pip)})
