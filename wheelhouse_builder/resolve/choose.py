"""The choice of files: from a lock that may offer several wheels of a project, the one whose tag the target likes best."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from packaging.pylock import Package, PackageArchive, PackageSdist, PackageWheel, Pylock, PylockSelectError
from packaging.utils import InvalidWheelFilename, NormalizedName, parse_wheel_filename
from packaging.version import Version

from wheelhouse_builder.errors import ResolutionError
from wheelhouse_builder.model.distribution import LockedSdist, LockedWheel
from wheelhouse_builder.model.markers import ASK_THE_HOST, holds
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.sources import sdist_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheelless:
    """A project that is locked, but without a wheel that fits."""

    project: NormalizedName
    version: Version | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What a lock gives a target."""

    wheels: tuple[LockedWheel, ...]
    """Sorted by project."""
    sdists: tuple[LockedSdist, ...] = ()
    """Of the projects that are locked as an sdist alone; sorted by project."""
    wheelless: tuple[Wheelless, ...] = ()


def choose(pylock: Pylock, target: Target, *, side_by_side: bool = False) -> Choice:
    """Choose one wheel for each project of the lock that ``target`` needs; with ``side_by_side``, for each release.

    Raises ResolutionError for markers that only a probe of the host could decide, and for a lock that contradicts itself.
    """
    _refuse_unknowable(pylock, target)
    chosen = [found for package in pylock.packages if (found := _choose_one(pylock, package, target)) is not None]
    names = Counter(f"{found.project} {found.version}" if side_by_side else found.project for found in chosen)
    if twins := sorted(name for name, count in names.items() if count > 1):
        raise ResolutionError(*(f"{target}: the lock gives {name} more than once" for name in twins), hint="make the lock anew")
    wheels = sorted((found for found in chosen if isinstance(found, LockedWheel)), key=lambda wheel: (wheel.project, wheel.version))
    sdists = sorted((found for found in chosen if isinstance(found, LockedSdist)), key=lambda sdist: sdist.project)
    wheelless = tuple(found for found in chosen if isinstance(found, Wheelless))
    return Choice(wheels=tuple(wheels), sdists=tuple(sdists), wheelless=wheelless)


def _refuse_unknowable(pylock: Pylock, target: Target) -> None:
    unknowable = [package for package in pylock.packages if package.marker and holds(package.marker, target) is None]
    if unknowable:
        raise ResolutionError(
            *(
                f"{target}: whether {package.name} is needed hangs on {package.marker}, which only the host can tell"
                for package in unknowable
            ),
            hint=ASK_THE_HOST,
        )


def _choose_one(pylock: Pylock, package: Package, target: Target) -> LockedWheel | LockedSdist | Wheelless | None:
    """Let packaging choose among the files of one project; None when its marker says that the target does not need it."""
    alone = replace(pylock, packages=(package,))
    try:
        selected = next(alone.select(environment=target.environment, tags=target.tags), None)
    except PylockSelectError as error:
        if package.requires_python and not package.requires_python.contains(target.environment["python_full_version"]):
            raise ResolutionError(f"{target}: {error}", hint="make the lock anew") from error
        return Wheelless(project=package.name, version=package.version)
    if selected is None:
        return None
    if source := sdist_of(package):
        return source
    match selected[1]:
        case PackageWheel() | PackageArchive() as file:
            return _locked(package, file, target) or Wheelless(project=package.name, version=package.version)
        case PackageSdist() as file if not package.wheels:
            return _locked_sdist(package, file) or Wheelless(project=package.name, version=package.version)
        case _:
            return Wheelless(project=package.name, version=package.version)


def _locked_sdist(package: Package, file: PackageSdist) -> LockedSdist | None:
    """Describe the file; None when it cannot be fetched and checked."""
    sha256 = file.hashes.get("sha256")
    if sha256 is None or file.url is None or package.version is None:
        return None
    return LockedSdist(
        project=package.name,
        version=package.version,
        filename=file.filename,
        url=file.url,
        sha256=sha256,
        size=file.size,
        uploaded=_utc(file.upload_time),
    )


def _locked(package: Package, file: PackageWheel | PackageArchive, target: Target) -> LockedWheel | None:
    """Describe the file; None when it is none to fetch, check and install: no URL, no SHA-256, no wheel, a tag that does not fit."""
    filename = file.filename if isinstance(file, PackageWheel) else unquote(urlsplit(file.url or "").path.rpartition("/")[2])
    sha256 = file.hashes.get("sha256")
    try:
        _, version, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    if sha256 is None or file.url is None or tags.isdisjoint(target.tags):
        return None
    return LockedWheel(
        project=package.name,
        version=version,
        filename=filename,
        url=file.url,
        sha256=sha256,
        size=file.size,
        uploaded=_utc(file.upload_time),
    )


def _utc(moment: datetime | None) -> datetime | None:
    """PEP 751 wants upload times in UTC; a time without a zone is taken for one."""
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
