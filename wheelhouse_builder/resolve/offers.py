"""Sdists that a recipe can build, offered to a resolver as the wheels that they will be.

A resolver that may not build anything sees a wheel for the target whose metadata are what the sdist promises. In its answer the sdist
takes that wheel's place again. The build is held to the promise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from packaging.pylock import Package, PackageSdist, Pylock
from packaging.utils import NormalizedName
from packaging.version import Version

from wheelhouse_builder.adapters.index import IndexFile
from wheelhouse_builder.adapters.sources import Downloads, bring
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.distribution import LockedSdist
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import Cookbook
from wheelhouse_builder.resolve.engine import Promised
from wheelhouse_builder.resolve.shelf import Shelf
from wheelhouse_builder.resolve.sources import package_of
from wheelhouse_builder.sdist import SdistFacts, read_sdist

FIRST, MOST = 1, 10
"""Releases that are offered: the newest one, and when no answer is found with that, so many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """One release of a project, as an sdist."""

    project: NormalizedName
    version: Version
    file: IndexFile
    promised: Promised


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is to be offered of a project."""

    project: NormalizedName
    target: Target
    allows: Callable[[Version], bool]
    """Whether the user's own requirements do."""
    preferred: Version | None
    """The release that an earlier lock holds."""
    most: int
    """How many releases."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What can be built, and what must be though a wheel exists; sdists are read from ``store``, where ``client`` brings them."""

    cookbook: Cookbook
    no_binary: frozenset[NormalizedName]
    shelf: Shelf
    store: Store
    client: Downloads
    named: Mapping[NormalizedName, LockedSdist] = field(default_factory=dict)
    """Sources that the user named."""
    problems: dict[str, str] = field(default_factory=dict)
    """By file name: why an sdist could not be offered."""

    def serves(self, project: NormalizedName) -> bool:
        """Whether some release of it can be built."""
        return self.cookbook.has(project)

    def offers(self, wish: Wish) -> tuple[Offer, ...]:
        """The preferred release and the newest ones that can be built as it is wished; stable ones, unless there are none."""
        wanted = [
            (version, file)
            for version, file in self.shelf.sdists(wish.project, wish.target)
            if wish.allows(version) and self.cookbook.find(wish.project, version)
        ]
        stable = [(version, file) for version, file in wanted if not version.is_prerelease or version == wish.preferred] or wanted
        best_first = sorted(stable, key=lambda found: (found[0] == wish.preferred, found[0]), reverse=True)
        return tuple(islice(self._made(wish, best_first), wish.most))

    def _made(self, wish: Wish, wanted: Iterable[tuple[Version, IndexFile]]) -> Iterator[Offer]:
        for version, file in wanted:
            if facts := self._facts(file):
                promised = promise(wish.project, version, file.hashes["sha256"], facts, wish.target)
                yield Offer(project=wish.project, version=version, file=file, promised=promised)

    def _facts(self, file: IndexFile) -> SdistFacts | None:
        try:
            return read_sdist(self._path(file.url, file.filename, file.hashes["sha256"]), file.filename)
        except DistributionError as error:
            self.problems[file.filename] = "; ".join(error.problems)
            return None

    def facts(self, sdist: LockedSdist) -> SdistFacts:
        """What a locked sdist says of itself. Raises IndexFailure, DistributionError, EnvironmentFailure."""
        return read_sdist(self._path(sdist.url, sdist.filename, sdist.sha256), sdist.filename, sdist.metadata)

    def _path(self, url: str, filename: str, sha256: str) -> Path:
        return bring(url, filename, sha256, store=self.store, client=self.client)


def promise(project: NormalizedName, version: Version, sha256: str, facts: SdistFacts, target: Target) -> Promised:
    """The wheel that would be built; its build tag tells it from any that is published, and one sdist's from another's."""
    tag = f"{target.interpreter}-{target.abi}-{target.platforms[0]}"
    lines = ["Metadata-Version: 2.1", f"Name: {project}", f"Version: {version}", *facts.promise.lines()]
    name = project.replace("-", "_")
    return Promised(filename=f"{name}-{version}-0sdist{sha256[:12]}-{tag}.whl", metadata="\n".join(lines) + "\n")


def with_sdists(pylock: Pylock, offers: Mapping[NormalizedName, Collection[Offer]], named: Mapping[NormalizedName, LockedSdist]) -> Pylock:
    """``pylock`` with the sdist in place of each release that was offered, and of each source that the user ``named``."""
    known = {(offer.project, offer.version): offer.file for each in offers.values() for offer in each}
    packages = [
        replace(package_of(named[package.name]), marker=package.marker) if package.name in named else _with_sdist(package, known)
        for package in pylock.packages
    ]
    return replace(pylock, packages=packages)


def _with_sdist(package: Package, known: Mapping[tuple[NormalizedName, Version], IndexFile]) -> Package:
    file = known.get((package.name, package.version)) if package.version else None
    if file is None:
        return package
    sdist = PackageSdist(
        name=file.filename, url=file.url, size=file.size, upload_time=file.uploaded, hashes={"sha256": file.hashes["sha256"]}
    )
    return replace(package, wheels=None, sdist=sdist)
