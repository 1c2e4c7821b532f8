"""Deltas: what a base holds already does not travel again.

Distributions that the base holds travel not at all. Of those that changed, the members that also occur in the base's wheels of the same
project are taken from there: these wheels' members lead the pool, so skeletons refer to them as to anything else. The manifest names
both, in its ``transport``: a delta is another way to carry the same bundle, and has its content digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelhouse_builder.errors import BundleRefused, UsageError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.pack.contents import Contents
from wheelhouse_builder.pack.holdings import Held, read_holdings
from wheelhouse_builder.runtime.bundle import open_bundle
from wheelhouse_builder.runtime.manifest import (
    INDEX,
    BaseWheel,
    Manifest,
    ManifestBase,
    ManifestDistribution,
    content_digest,
    parse_manifest,
)
from wheelhouse_builder.runtime.ziparchive import ZipArchive, ZipRefused

WORTH = 4096
"""Bytes that a wheel of the base must give to be named: the far side has to rebuild and inflate it."""
_JSON = b"{"


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """What is on the other side already."""

    name: str
    version: str
    digest: str
    """Of the content: by this the bundle is known inside."""
    held: frozenset[Held]
    distributions: Sequence[ManifestDistribution] = ()
    """Those of which members may be taken: whoever holds the base's manifest knows where they came from."""
    wheels: Mapping[str, Wheel] = field(default_factory=dict)
    """By file name: those of the base's wheels whose members may be taken."""

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """The bundle that has this manifest."""
        return cls(
            name=manifest.name,
            version=manifest.version,
            digest=content_digest(manifest.document),
            held=frozenset((each.filename, each.sha256) for each in manifest.distributions),
            distributions=manifest.distributions,
        )

    def taken(self, contents: Contents) -> frozenset[str]:
        """File names of the distributions that need not travel."""
        wheels = [each.wheel for each in contents.distributions()]
        return frozenset(wheel.filename for wheel in wheels if (wheel.filename, wheel.sha256) in self.held)

    def changed(self, contents: Contents) -> tuple[LockedWheel, ...]:
        """The base's wheels of those projects of which a wheel travels: where to look for members that did not change."""
        taken = self.taken(contents)
        projects = {each.wheel.project for each in contents.distributions() if each.wheel.filename not in taken}
        return tuple(
            LockedWheel(
                project=canonicalize_name(each.project),
                version=Version(each.version),
                filename=each.filename,
                url=each.origin.url,
                sha256=each.sha256,
                size=each.size,
            )
            for each in self.distributions
            if each.project in projects and each.origin.kind == INDEX  # what was built there is nowhere to be had
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reuse:
    """What a bundle takes from its base."""

    base: ManifestBase
    starts: Mapping[bytes, int]
    """By digest: the byte of the pool at which a content of the base's wheels begins."""

    @property
    def pool_size(self) -> int:
        """Bytes of the pool that come from the base."""
        return sum(each.pool_size for each in self.base.pool)


def read_base(path: Path, name: str = "") -> Base:
    """The base that ``path`` is: a bundle, one of its volumes, a manifest, or what a host says that it holds, an inventory or a request.

    Of several bundles that a host holds one is the base: one called ``name``, if there is any, and of these the one with the most wheels.
    Raises BundleRefused, EnvironmentFailure, UsageError.
    """
    if path.is_file() and _begins(path) == _JSON:
        holdings = read_holdings(path.read_bytes(), str(path), name)
        return Base(**holdings._asdict()) if holdings else Base.of(_manifest(path))
    if not path.exists():
        raise UsageError(f"there is no {path}", hint="name the base's bundle, or its manifest.json")
    return Base.of(open_bundle(str(path)).manifest)


def _manifest(path: Path) -> Manifest:
    try:
        return parse_manifest(path.read_bytes())
    except BundleRefused as refused:
        raise BundleRefused(
            *(f"{path}: {problem}" for problem in refused.problems),
            hint="name a bundle, its manifest.json as `wheelhouse manifest` prints it, or what `wheelhouse request` wrote",
        ) from None


def reuse(base: Base, contents: Contents, needed: Iterable[bytes]) -> Reuse:
    """What is taken from ``base``; ``needed`` are the digests of all contents that the travelling wheels have."""
    missing, end = set(needed), 0
    starts: dict[bytes, int] = {}
    pool: list[BaseWheel] = []
    for filename, wheel in sorted(base.wheels.items()):
        places, size = _places(wheel)
        useful = missing & places.keys()
        if sum(places[digest][1] for digest in useful) < WORTH:
            continue
        starts |= {digest: end + places[digest][0] for digest in useful}
        missing -= useful
        pool.append(BaseWheel(filename, wheel.size, wheel.sha256, size))
        end += size
    described = ManifestBase(base.name, base.version, base.digest, tuple(sorted(base.taken(contents))), tuple(pool))
    return Reuse(base=described, starts=starts)


def _places(wheel: Wheel) -> tuple[dict[bytes, tuple[int, int]], int]:
    """By digest: where each member's data begins in what the wheel adds to the pool, and its size; and the size of all."""
    places: dict[bytes, tuple[int, int]] = {}
    end = 0
    try:
        with wheel.path.open("rb") as file:
            archive = ZipArchive(file)
            for member in sorted(archive.members, key=lambda member: member.offset):
                digest, size = hashlib.sha256(), 0
                for piece in archive.contents(member):
                    digest.update(piece)
                    size += len(piece)
                if size:
                    places.setdefault(digest.digest(), (end, size))
                end += size
    except ZipRefused:  # an odd one: nothing is taken from it
        return {}, 0
    return places, end


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_JSON))
