"""The manifest: what the bundle says of itself, and what is signed (FORMAT.md, section 5)."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import zstandard

from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.policy import Policy
from wheelhouse_builder.model.provenance import Material, Provenance
from wheelhouse_builder.pack.contents import Contents, Distribution, as_text
from wheelhouse_builder.pack.frames import Frame
from wheelhouse_builder.runtime.attested import read_attestations
from wheelhouse_builder.runtime.control import compressed_part
from wheelhouse_builder.runtime.layout import FORMAT, VERSION
from wheelhouse_builder.runtime.manifest import BUILT, DENSE, INDEX, MARKERS, PLAIN, ManifestBase
from wheelhouse_builder.runtime.notable import notable_members

Json = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A frame as it stands in the file."""

    frame: Frame
    size: int
    """Compressed bytes."""
    chunks: tuple[str, ...]
    """Digests of its chunks, in order."""


def manifest(
    contents: Contents,
    *,
    files: Mapping[str, bytes],
    control: Mapping[str, bytes],
    members: Mapping[str, bytes],
    frames: Sequence[Written],
    plain: bool,
    base: ManifestBase | None = None,
) -> Json:
    """The whole document."""
    built = [(each.wheel, each.wheel.build) for each in contents.distributions() if each.wheel.build]
    return {
        "format": FORMAT,
        "version": VERSION,
        "bundle": {"kind": contents.kind, "name": contents.name, "version": contents.version},
        "as_of": as_text(contents.as_of),
        "policy": _policy(contents.policy),
        "targets": [_target(contents, lock) for lock in contents.locks],
        "decoders": [_decoder(wheel) for wheel in contents.decoders()],
        "distributions": [_distribution(each) for each in contents.distributions()],
        "excused": [_excuse(each.wheel) for each in contents.distributions() if each.wheel.excuse],
        "built": [_built(wheel, build) for wheel, build in built],
        "placed": [{"path": each.path, "mode": each.mode} for each in contents.placed],
        "smoke": [list(command) for command in contents.extras.smoke],
        "files": _listed(files),
        "control": _listed(control),
        "transport": {
            "mode": PLAIN if plain else DENSE,
            "zstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
            "zlib": zlib.ZLIB_RUNTIME_VERSION,
            "compressed": dict(zip(("size", "sha256"), compressed_part(members), strict=True)),
            "base": None if base is None else _base(base),
            "logs": [build.log_sha256 for _, build in built],
            "frames": [_frame(each) for each in frames],
        },
    }


def _base(base: ManifestBase) -> Json:
    pool: list[Json] = [{**each._asdict()} for each in base.pool]
    return {"name": base.name, "version": base.version, "digest": base.digest, "taken": list(base.taken), "pool": pool}


def _policy(policy: Policy) -> Json:
    return {
        "channel": policy.channel,
        "sequence": policy.sequence,
        "audience": sorted(policy.audience),
        "not_after": as_text(policy.not_after),
    }


def _excuse(wheel: Wheel) -> Json:
    return {"filename": wheel.filename, "reason": wheel.excuse, "problems": list(wheel.problems)}


def _target(contents: Contents, lock: Lock) -> Json:
    target, decoder = lock.target, contents.decoder(lock)
    return {
        "name": target.name,
        "interpreter": target.interpreter,
        "abi": target.abi,
        "platforms": list(target.platforms),
        "markers": {key: target.markers[key] for key in MARKERS},
        "pip": contents.pip(lock).filename,
        "decoder": decoder.filename if decoder else None,
        "overridden": [{"project": each.project, "requires": each.requires} for each in lock.overridden],
    }


def _decoder(wheel: Wheel) -> Json:
    return {
        "filename": wheel.filename,
        "size": wheel.size,
        "sha256": wheel.sha256,
        "origin": _origin(wheel),
        "attested": _attested(wheel),
    }


def _origin(wheel: Wheel) -> Json:
    return {"kind": INDEX if wheel.build is None else BUILT, "url": wheel.url, "uploaded": as_text(wheel.uploaded)}


def _built(wheel: Wheel, build: Provenance) -> Json:
    materials = sorted((*build.requirements, *build.libraries), key=lambda each: each.filename)
    grafted: list[Json] = [{"member": each.member, "library": each.library, "sha256": each.sha256} for each in build.grafted]
    needs: list[Json] = [
        {"member": each.member, "symbol": each.symbol, "library": each.library, "version": each.version} for each in build.needs
    ]
    repair = {"tool": build.repaired_by, "raw": build.raw_sha256, "grafted": grafted, "needs": needs}
    return {
        "filename": wheel.filename,
        "sdist": _material(build.sdist),
        "recipe": {"name": build.recipe, "sha256": build.recipe_sha256},
        "toolchain": {"name": build.toolchain, "tools": list(build.tools), "packages": list(build.packages)},
        "materials": [_material(each) for each in materials],
        "repair": repair if build.repaired_by else None,
    }


def _material(material: Material) -> Json:
    return {"filename": material.filename, "url": material.url, "sha256": material.sha256}


def _distribution(distribution: Distribution) -> Json:
    wheel = distribution.wheel
    return {
        "filename": wheel.filename,
        "project": wheel.project,
        "version": str(wheel.version),
        "size": wheel.size,
        "sha256": wheel.sha256,
        "origin": _origin(wheel),
        "targets": list(distribution.targets),
        "bootstrap": distribution.bootstrap,
        "notable": _notable(wheel),
        "attested": _attested(wheel),
    }


def _attested(wheel: Wheel) -> Json | None:
    if wheel.attestations is None:
        return None
    attested = read_attestations(wheel.attestations, wheel.sha256)
    return {"publisher": attested.publisher, "predicates": list(attested.predicates)}


def _notable(wheel: Wheel) -> list[str]:
    with wheel.path.open("rb") as file:
        return notable_members(file, wheel.project)


def _listed(files: Mapping[str, bytes]) -> list[Json]:
    return [{"path": path, **_measured(data)} for path, data in sorted(files.items())]


def _measured(data: bytes) -> Json:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _frame(written: Written) -> Json:
    return {
        "size": written.size,
        "entries": [[entry.path, entry.size] for entry in written.frame.entries],
        "chunks": list(written.chunks),
    }
