"""Whether what the payload tells once more is what the manifest says: locks, README and what was attested of a distribution.

A digest binds these files to the manifest, and does not keep whoever packs from letting one say this and the other that: people read the
one, and machines the other.
"""

import re
from typing import List, Optional, Sequence

from .attested import Attested, read_attestations
from .layout import PLACED, README, attestations_entry, lock_entry
from .locks import LockedFile, lock_text
from .manifest import Manifest, ManifestTarget

_PLAIN = re.compile(r"[\x20-\x7e\n]*")


class Retold:
    """What the files of a bundle's payload that are no distributions have to say."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._locks = {lock_entry(target.name, name): (target, name) for target in manifest.targets for name in manifest.lock_files}
        self._attested = {attestations_entry(each.filename): (each.sha256, each.attested) for each in manifest.distributions}
        self._attested.update({attestations_entry(each.filename): (each.sha256, each.attested) for each in manifest.decoders})

    def problems(self, path: str, data: bytes) -> List[str]:
        """In which way the file ``path`` contradicts the manifest: clauses."""
        if path == README:
            return _readme_problems(self._manifest, data)
        if path in self._attested:
            return _attestation_problems(data, *self._attested[path])
        if path.startswith(PLACED):  # it tells nothing once more
            return []
        return [] if data == self.lock(path).encode("ascii") else ["it does not say what the manifest has for its target, and that alone"]

    def lock(self, path: str) -> str:
        """The text of the lock at ``path``."""
        target, name = self._locks[path]
        return lock_text(name, target.markers["python_version"], _files(self._manifest, target))


def _files(manifest: Manifest, target: ManifestTarget) -> List[LockedFile]:
    wheels = [each for each in manifest.distributions if target.name in each.targets]
    return [LockedFile(each.project, each.version, each.filename, each.size, each.sha256) for each in wheels]


def _readme_problems(manifest: Manifest, data: bytes) -> List[str]:
    """How it begins; and it is text that a terminal takes for nothing else."""
    text = data.decode("latin-1")
    if not _PLAIN.fullmatch(text):
        return ["it holds characters that are no plain text"]
    if not text.startswith(readme_head(manifest.name, manifest.version, [target.name for target in manifest.targets])):
        return ["it does not begin with the name, version and targets that the manifest has"]
    return []


def readme_head(name: str, version: str, targets: Sequence[str]) -> str:
    """The lines with which README.txt begins."""
    return "\n".join(["{} {}".format(name, version), "", *targets, "", ""])


def _attestation_problems(data: bytes, sha256: str, attested: Optional[Attested]) -> List[str]:
    try:
        found = read_attestations(data, sha256)
    except ValueError as error:
        return [str(error)]
    if found == attested:
        return []
    return ["it is by {} ({}), and the manifest says otherwise".format(found.publisher, ", ".join(found.predicates))]
