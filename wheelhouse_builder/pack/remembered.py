"""How the members of wheels are made again, remembered by the wheels' digests: nobody tries it twice, whatever bundles they are for."""

from __future__ import annotations

import hashlib
import inspect
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from wheelhouse_builder.adapters.findings import Findings
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.pack import streams
from wheelhouse_builder.pack.streams import Stream
from wheelhouse_builder.runtime import skeleton

_MODULES = (streams, skeleton)
"""What decides how a member is made again: when one of these changes, or zlib, all wheels are looked at again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What taking wheels apart taught, in a store."""

    findings: Findings

    @classmethod
    def of(cls, root: Path) -> Self:
        """That of the store at ``root``."""
        return cls(findings=Findings(root=root, what="members", by=_who()))

    def find(self, wheel: Wheel) -> Sequence[Stream] | None:
        """What is known of each member's data, in file order; None where nobody looked."""
        return _streams(self.findings.find(wheel.sha256))

    def keep(self, wheel: Wheel, found: Sequence[Stream]) -> None:
        """Remember what was found. Raises EnvironmentFailure."""
        rows = [[each.method, each.digest.hex(), each.size, each.crc, each.compiled, each.x86] for each in found]
        self.findings.keep(wheel.sha256, rows)


@cache
def _who() -> str:
    sources = "".join(map(inspect.getsource, _MODULES))
    return hashlib.sha256(f"{sources}\nzlib {zlib.ZLIB_RUNTIME_VERSION}".encode()).hexdigest()


def _streams(rows: Any) -> Sequence[Stream] | None:
    """What :meth:`Memory.keep` made the rows of; None where it did not."""
    try:
        return [
            Stream(method=method, digest=bytes.fromhex(digest), size=size, crc=crc, compiled=compiled, x86=x86)
            for method, digest, size, crc, compiled, x86 in rows
        ]
    except (TypeError, ValueError):
        return None
