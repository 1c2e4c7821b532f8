"""Whether what the payload tells once more is what the manifest says: what was attested of each distribution.

A digest binds these files to the manifest, and does not keep whoever packs from letting one say this and the other that: people read one
of them, and machines the other.
"""

from typing import List, Optional

from .attested import Attested, read_attestations
from .layout import attestations_entry
from .manifest import Manifest


def disagreements(manifest: Manifest, path: str, data: bytes) -> List[str]:
    """In which way the payload's file ``path`` contradicts the manifest: clauses; none for files that tell nothing again."""
    told = {attestations_entry(each.filename): (each.sha256, each.attested) for each in manifest.distributions}
    told.update({attestations_entry(each.filename): (each.sha256, each.attested) for each in manifest.decoders})
    return _attestation_problems(data, *told[path]) if path in told else []


def _attestation_problems(data: bytes, sha256: str, attested: Optional[Attested]) -> List[str]:
    try:
        found = read_attestations(data, sha256)
    except ValueError as error:
        return [str(error)]
    return (
        [] if found == attested else ["it is by {} ({}), and not as the manifest says".format(found.publisher, ", ".join(found.predicates))]
    )
