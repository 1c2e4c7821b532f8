"""What was once found out about files that never change, so that nobody has to look again.

ROOT/findings/<what>/ab/abcdef….json      about the file with this SHA-256; whoever found it stands in it, and the finding's own digest

What another version found does not count, and neither does what cannot be read or rotted: then somebody looks again.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from wheelhouse_builder.adapters.store import telling


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Of one kind, by one finder. Threads and processes may share them."""

    root: Path
    """That of a store."""
    what: str
    by: str
    """Who looks: another one, or another version of it, may find something else."""

    def find(self, sha256: str) -> object:
        """What was found out about the file with this digest; None: nothing."""
        try:
            document = json.loads(self._path(sha256).read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(document, dict) or document.get("by") != self.by:
            return None
        found = document.get("found")
        return found if document.get("sha256") == _digest(found) else None

    def keep(self, sha256: str, found: object) -> None:
        """Remember what was found, which JSON can say. Raises EnvironmentFailure."""
        path = self._path(sha256)
        draft = path.with_name(f".{sha256}.{os.getpid()}.{threading.get_ident()}")
        with telling("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps({"by": self.by, "sha256": _digest(found), "found": found}), encoding="utf-8")
            draft.replace(path)

    def _path(self, sha256: str) -> Path:
        return self.root / "findings" / self.what / sha256[:2] / f"{sha256}.json"


def _digest(found: object) -> str:
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()
