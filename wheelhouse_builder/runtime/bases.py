"""What a delta takes from its base: bundles that hold it, opened when they are needed, and directories of wheels.

Which wheels these are, byte for byte, the delta's signed manifest says; so a directory needs no signature of its own. A bundle does, as all
that is decompressed.
"""

import os
import shutil
from typing import BinaryIO, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set

from .bundle import VerifiedBundle, verify
from .errors import BundleRefused
from .manifest import Manifest, ManifestBase
from .policy import Trust
from .trust import AllowedSigners
from .ziparchive import ZipArchive, ZipRefused

WHEEL = ".whl"


class Wanted(NamedTuple):
    """A wheel that the base has to hold."""

    filename: str
    size: int
    sha256: str


def wanted(base: ManifestBase, manifest: Manifest, taken: Iterable[str], pool: Iterable[str]) -> List[Wanted]:
    """The wheels of the base that are needed: distributions ``taken`` from it, and wheels whose members lead the ``pool``, by file name."""
    names, sources = set(taken), set(pool)
    found = {Wanted(each.filename, each.size, each.sha256) for each in manifest.distributions if each.filename in names}
    found |= {Wanted(each.filename, each.size, each.sha256) for each in base.pool if each.filename in sources}
    return sorted(found)


def contents_of(file: BinaryIO) -> Iterator[bytes]:
    """The data of all members of a wheel, inflated, in the order of the file: what it adds to the pool. Raises BundleRefused."""
    try:
        archive = ZipArchive(file)
        for member in sorted(archive.members, key=lambda member: member.offset):
            yield from archive.contents(member)
    except ZipRefused as refusal:
        raise BundleRefused("A wheel of the base cannot be read: it %s." % refusal) from None


class Bases:
    """The places that the user named for the bases of a delta."""

    def __init__(self, paths: Sequence[str], trust: Trust) -> None:
        self._directories = [path for path in paths if _holds_wheels(path)]
        self._paths = [path for path in paths if path not in self._directories]
        self._trust = trust
        self._bundles: Optional[Dict[str, VerifiedBundle]] = None
        self._used: Set[str] = set()

    def copy(self, wheels: Iterable[Wanted], folder: str) -> List[Wanted]:
        """Copy to ``folder`` what the directories have, by file name and size, and return the rest; the caller looks at digests."""
        rest = []
        for wheel in wheels:
            path = self._find(wheel)
            if path is None:
                rest.append(wheel)
            else:
                shutil.copyfile(path, os.path.join(folder, wheel.filename))
        return rest

    def bundle(self, base: ManifestBase, manifest: Manifest, missing: Sequence[Wanted]) -> VerifiedBundle:
        """The base itself, which has to hold the ``missing`` wheels. Raises BundleRefused when it was not named, or lacks one."""
        held = self._opened().get(base.digest)
        if held is None:
            raise self._not_there(base, manifest, missing)
        if base.digest in self._used:
            raise BundleRefused(
                "The bases that were named are deltas of each other, and none of them holds %s." % missing[0].filename,
                hint="Name one that is whole in itself, too.",
            )
        self._used.add(base.digest)
        there = {(each.filename, each.sha256) for each in held.manifest.distributions}
        lacking = [wheel.filename for wheel in missing if (wheel.filename, wheel.sha256) not in there]
        if lacking:
            raise BundleRefused(
                *["%s does not hold %s, which the delta takes from it." % (held.path, name) for name in lacking],
                hint="The delta was packed wrongly: ask its sender for another.",
            )
        return held

    def close(self) -> None:
        """Close the bundles."""
        for bundle in (self._bundles or {}).values():
            bundle.close()

    def _find(self, wheel: Wanted) -> Optional[str]:
        """A file of that name and size."""
        for directory in self._directories:
            for path in (os.path.join(directory, "wheels", wheel.filename), os.path.join(directory, wheel.filename)):
                if os.path.isfile(path) and os.path.getsize(path) == wheel.size:
                    return path
        return None

    def _opened(self) -> Dict[str, VerifiedBundle]:
        """The bundles, by content digest; opened and their signatures checked at the first call."""
        if self._bundles is None:
            self._bundles = {}
            for path in self._paths:
                bundle = verify(path, self._trust, payload=False, policy=False)
                self._bundles.setdefault(bundle.digest, bundle)
        return self._bundles

    def _not_there(self, base: ManifestBase, manifest: Manifest, missing: Sequence[Wanted]) -> BundleRefused:
        problems = [
            "%s %s is a delta: it needs its base, %s %s, sha256:%s."
            % (manifest.name, manifest.version, base.name, base.version, base.digest)
        ]
        for digest, bundle in sorted(self._opened().items()):
            problems.append("%s is another: %s %s, sha256:%s." % (bundle.path, bundle.manifest.name, bundle.manifest.version, digest))
        for directory in self._directories:
            problems += ["%s does not hold %s." % (directory, wheel.filename) for wheel in missing]
        return BundleRefused(
            *problems,
            hint="Name the base with --base: the bundle, its volumes, or a directory that holds its wheels. It may be given several times.",
        )


NO_BASES = Bases((), Trust(AllowedSigners("", ())))
"""Enough for a bundle that is whole in itself."""


def named(base: ManifestBase) -> str:
    """The base for people."""
    return "%s %s, sha256:%s" % (base.name, base.version, base.digest)


def _holds_wheels(path: str) -> bool:
    """Whether ``path`` is a directory of wheels, unpacked from a bundle or gathered by hand."""
    folders = [folder for folder in (os.path.join(path, "wheels"), path) if os.path.isdir(folder)]
    return any(name.endswith(WHEEL) for folder in folders for name in os.listdir(folder))
