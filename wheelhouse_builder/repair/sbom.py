"""What was grafted into a wheel, listed in it: a software bill of materials in ``.dist-info/sboms`` (PEP 770), as CycloneDX.

auditwheel writes one of those libraries that the host's package manager knows, and it is kept. Where it knows some or none, ours is added,
which has all: dpkg, for one, does not know the libraries that Debian moved from /lib to /usr/lib.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from wheelhouse_builder import __version__
from wheelhouse_builder.repair.values import Grafted

FILE = "wheelhouse.cdx.json"


def sbom(project: str, release: str, grafted: Iterable[Grafted]) -> bytes:
    """The document: the same for the same input."""
    wheel = f"pkg:pypi/{quote(project, safe='')}@{quote(release, safe='')}"
    component = {"type": "library", "bom-ref": wheel, "name": project, "version": release, "purl": wheel}
    libraries = [_component(library) for library in grafted]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.4",
        "version": 1,
        "metadata": {"component": component, "tools": [{"name": "wheelhouse", "version": __version__}]},
        "components": [component, *libraries],
        "dependencies": [{"ref": wheel, "dependsOn": [library["bom-ref"] for library in libraries]}],
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def _component(library: Grafted) -> Mapping[str, object]:
    return {
        "type": "library",
        "bom-ref": f"file:{quote(library.member)}",
        "name": library.library,
        "hashes": [{"alg": "SHA-256", "content": library.sha256}],
    }


def add_member(wheel: Path, name: str, data: bytes, output: Path) -> None:
    """Write ``wheel`` once more, at ``output``, with a new member ``name`` in its .dist-info directory, and in RECORD."""
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(output, "w") as new:
        members = old.infolist()
        record = next(info for info in members if info.filename.endswith(".dist-info/RECORD"))
        path = f"{record.filename.removesuffix('RECORD')}{name}"
        for info in members:
            if info is not record:
                new.writestr(info, old.read(info), info.compress_type)
        new.writestr(_like(record, path), data, zipfile.ZIP_DEFLATED)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines = old.read(record).decode().splitlines()
        new.writestr(_like(record, record.filename), "\n".join([*lines, f"{path},sha256={digest},{len(data)}", ""]), zipfile.ZIP_DEFLATED)


def _like(info: zipfile.ZipInfo, path: str) -> zipfile.ZipInfo:
    """A member at ``path`` with the times and rights of another."""
    copy = zipfile.ZipInfo(path, info.date_time)
    copy.external_attr, copy.create_system = info.external_attr, info.create_system
    return copy


def count_libraries(wheel: Path, member: str) -> int:
    """How many libraries a CycloneDX document in ``wheel`` lists, the wheel itself left out."""
    with zipfile.ZipFile(wheel) as archive:
        return len(json.loads(archive.read(member)).get("components", ())) - 1


def sboms(wheel: Path) -> tuple[str, ...]:
    """The members of ``wheel`` that list software, whoever wrote them."""
    with zipfile.ZipFile(wheel) as archive:
        return tuple(sorted(name for name in archive.namelist() if ".dist-info/sboms/" in name and not name.endswith("/")))
