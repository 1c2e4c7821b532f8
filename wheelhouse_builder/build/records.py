"""What was built before: the store keeps the wheels, this keeps which inputs each was made of, and the logs.

ROOT/builds/<key>.json      a wheel that was built of the inputs with this digest, and its provenance
ROOT/builds/<key>.log       what the build said; also of one that failed
ROOT/builds/<key>.proof     what a test that was passed said
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from packaging.utils import parse_wheel_filename

from wheelhouse_builder.adapters.store import Store, telling
from wheelhouse_builder.model.distribution import LockedSdist, Wheel
from wheelhouse_builder.model.provenance import Graft, Material, Need, Provenance


class Records:
    """The builds of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.root / "builds"

    def log_path(self, key: str) -> Path:
        """Where the log of a build lies, or will lie."""
        return self._folder / f"{key}.log"

    def keep_log(self, key: str, log: str) -> Path:
        """Write the log of a build. Raises EnvironmentFailure."""
        path = self.log_path(key)
        with telling("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(log, encoding="utf-8")
        return path

    def proved(self, key: str) -> bool:
        """Whether a proof with this identity was passed before."""
        return (self._folder / f"{key}.proof").is_file()

    def keep_proof(self, key: str, said: str) -> None:
        """Remember a proof that was passed, and what it said. Raises EnvironmentFailure."""
        path = self._folder / f"{key}.proof"
        with telling("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(said, encoding="utf-8")

    def find(self, key: str, sdist: LockedSdist) -> Wheel | None:
        """The wheel that was made of these inputs, if it is still there and sound."""
        try:
            document = json.loads(self._path(key).read_text(encoding="utf-8"))
            filename, provenance = document["filename"], _provenance(document["provenance"])
            path = self._store.find_sound(document["sha256"])
        except (OSError, ValueError, KeyError, TypeError):  # none, or one that an older wheelhouse wrote
            return None
        return None if path is None else _wheel(path, filename, document["sha256"], sdist, provenance)

    def keep(self, key: str, made: Path, sha256: str, sdist: LockedSdist, provenance: Provenance) -> Wheel:
        """Take the wheel ``made`` into the store. Raises EnvironmentFailure."""
        with telling("read", made):
            path = self._store.add(sha256, [made.read_bytes()])
        document = {"filename": made.name, "sha256": sha256, "provenance": asdict(provenance)}
        with telling("write", self._path(key)):
            draft = self._path(key).with_suffix(".part")
            draft.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(document), encoding="utf-8")
            draft.replace(self._path(key))
        return _wheel(path, made.name, sha256, sdist, provenance)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _wheel(path: Path, filename: str, sha256: str, sdist: LockedSdist, provenance: Provenance) -> Wheel:
    return Wheel(
        project=sdist.project,
        version=parse_wheel_filename(filename)[1],
        filename=filename,
        sha256=sha256,
        size=path.stat().st_size,
        path=path,
        url=sdist.url,
        uploaded=sdist.uploaded,
        build=provenance,
    )


def _provenance(document: dict[str, Any]) -> Provenance:
    return Provenance(
        sdist=Material(**document["sdist"]),
        recipe=document["recipe"],
        recipe_sha256=document["recipe_sha256"],
        toolchain=document["toolchain"],
        tools=tuple(document["tools"]),
        requirements=tuple(Material(**each) for each in document["requirements"]),
        libraries=tuple(Material(**each) for each in document["libraries"]),
        packages=tuple(document["packages"]),
        raw_sha256=document["raw_sha256"],
        repaired_by=document["repaired_by"],
        grafted=tuple(Graft(**each) for each in document["grafted"]),
        needs=tuple(Need(**each) for each in document["needs"]),
        log_sha256=document["log_sha256"],
    )
