"""OCI image layouts, made by hand."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zstandard

from wheelhouse_builder.adapters.images import ARCHITECTURES

OCI = "application/vnd.oci.image"
MACHINE = ARCHITECTURES.get(os.uname().machine, os.uname().machine)
Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: str = "", mode: int = 0o644) -> Member:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content.encode()), mode, 1_700_000_000
    return info, content.encode()


def other(name: str, kind: bytes, leads: str = "", mode: int = 0o755) -> Member:
    """A directory, a link, a device."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, leads, mode
    return info, b""


def folder(name: str, mode: int = 0o755) -> Member:
    return other(name, tarfile.DIRTYPE, mode=mode)


def link(name: str, leads: str) -> Member:
    return other(name, tarfile.SYMTYPE, leads)


def hard_link(name: str, leads: str) -> Member:
    return other(name, tarfile.LNKTYPE, leads)


def renamed(info: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    return info.replace(name=name)


def tar_of(members: Sequence[Member]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    f"{OCI}.layer.v1.tar": bytes,
    f"{OCI}.layer.v1.tar+gzip": gzip.compress,
    f"{OCI}.layer.v1.tar+zstd": zstandard.compress,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": gzip.compress,
}


def make_layout(
    path: Path,
    *layers: Sequence[Member],
    kind: str = f"{OCI}.layer.v1.tar+gzip",
    machine: str = MACHINE,
    environment: Sequence[str] = ("PATH=/opt/new/bin:/usr/bin",),
) -> dict[str, Any]:
    """Write a layout with one image into the directory ``path``; returns the descriptor of its manifest."""
    tars = [tar_of(layer) for layer in layers]
    config = {
        "os": "linux",
        "architecture": machine,
        "config": {"Env": list(environment)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]},
    }
    manifest = {
        "schemaVersion": 2,
        "config": put(path, json.dumps(config).encode(), f"{OCI}.config.v1+json"),
        "layers": [put(path, COMPRESSED.get(kind, bytes)(tar), kind) for tar in tars],
    }
    descriptor = put(path, json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")
    write_index(path, descriptor)
    return descriptor


def put(path: Path, blob: bytes, kind: str) -> dict[str, Any]:
    """Add a blob; its descriptor."""
    digest = hashlib.sha256(blob).hexdigest()
    place = path / "blobs/sha256" / digest
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(blob)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(blob)}


def write_index(path: Path, *descriptors: dict[str, Any]) -> None:
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": list(descriptors)}))


def archived(path: Path) -> Path:
    """The layout as one file, as ``skopeo copy … oci-archive:FILE`` writes it."""
    archive = path.with_suffix(".tar")
    with tarfile.open(archive, "w:") as made:
        for each in sorted(path.rglob("*")):
            made.add(each, each.relative_to(path).as_posix(), recursive=False)
    return archive


def tree_of(root: Path) -> list[Member]:
    """All that lies in ``root``, as a layer."""
    members = []
    with tarfile.open(fileobj=io.BytesIO(), mode="w:") as archive:
        for path in sorted(root.rglob("*")):
            info = archive.gettarinfo(path, path.relative_to(root).as_posix())
            if info.islnk():  # another name of a file that comes earlier
                info.type, info.size = tarfile.REGTYPE, path.stat().st_size
            members.append((info, path.read_bytes() if info.isreg() else b""))
    return members
