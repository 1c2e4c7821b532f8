"""Bundles for this very host, made by hand from true wheels, with the true reader inside: what unpack and install are tried on.

Made with the second writer of :mod:`tests.support.bundles`, so that the far side is not tested against the packer alone.
"""

from __future__ import annotations

import io
import json
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.bundles import Document, Draft, compressed, distribution, draft, file_list, pack, target, told_again
from wheelhouse_builder import runtime
from wheelhouse_builder.pack.headers import headers_of
from wheelhouse_builder.runtime.host import Floor, Host
from wheelhouse_builder.runtime.layout import pool_entry, skeleton_entry, wheel_entry
from wheelhouse_builder.runtime.manifest import MARKERS
from wheelhouse_builder.runtime.skeleton import MEMORY_8, STORED, Member, Skeleton, encode

RUNTIME = Path(runtime.__file__).parent
LEVEL = 6
"""At which zipfile deflates."""


def target_of(host: Host, pip: str) -> Document:
    """A target that fits ``host``, installed by the wheel ``pip``."""
    floor = host.platform
    platform = f"{floor.kind}_{floor.version[0]}_{floor.version[1]}_{floor.machine}"
    made = target(f"{host.interpreter}-{platform}")
    return made | {"abi": host.abi, "markers": dict.fromkeys(MARKERS) | dict(host.markers), "pip": pip}


def host_of(python: Path | str) -> Host:
    """What the interpreter ``python`` says of itself."""
    as_a_bundle_does = f"import sys, types; p = types.ModuleType('reader'); p.__path__ = [{str(RUNTIME)!r}]; sys.modules['reader'] = p"
    code = f"{as_a_bundle_does}; import json; from reader.host import this_host; print(json.dumps(this_host()))"
    said = subprocess.run([python, "-I", "-B", "-c", code], check=True, capture_output=True, encoding="utf-8").stdout
    interpreter, abi, (kind, version, machine), markers, executable = json.loads(said)
    return Host(interpreter, abi, Floor(kind, tuple(version), machine), markers, executable)


def bundle_for(
    host: Host,
    wheels: Sequence[Path],
    pip: Path,
    *,
    mode: str = "plain",
    wrong: Mapping[str, bytes] | None = None,
    retold: Mapping[str, bytes] | None = None,
    attested: Mapping[str, tuple[Document, bytes]] | None = None,
    placed: Mapping[str, tuple[str, bytes]] | None = None,
    smoke: Sequence[Sequence[str]] = (),
) -> Draft:
    """A bundle that installs ``wheels`` on ``host`` by means of the wheel ``pip``.

    ``retold`` replaces other files of the payload, by path, and the manifest has the digests of these. ``attested``: by file name of the
    wheel, what the manifest says of its attestations, and the document itself. ``placed``: by path, mode and content of files for the
    environment; ``smoke``: commands that must succeed in it.

    ``wrong`` replaces entries of the payload, by path, behind the manifest's back: what it says of wheels and files stays.
    """
    served = target_of(host, pip.name)
    contents = {path.name: path.read_bytes() for path in [*wheels, pip]}
    distributions = [distribution(name, data) for name, data in sorted(contents.items())]
    documents: dict[str, bytes] = {}
    for each in distributions:
        each["bootstrap"] = each["filename"] == pip.name
        each["targets"] = [] if each["bootstrap"] else [served["name"]]
        each["attested"], attestation = (attested or {}).get(each["filename"], (None, b""))
        documents |= {f"attestations/{each['filename']}.json": attestation} if each["attested"] else {}
    documents |= {f"files/{path}": content for path, (_, content) in (placed or {}).items()}
    others = {**documents, **told_again([served], distributions), **(retold or {})}
    carried = [(wheel_entry(name), data) for name, data in sorted(contents.items())] if mode == "plain" else dense(contents)
    entries = [[(path, (wrong or {}).get(path, data)) for path, data in group] for group in (list(others.items()), carried)]
    framed, payload = pack(entries)
    control = {"__main__.py": (RUNTIME / "bundle_main.py").read_bytes()}
    control |= {f"wheelhouse_runtime/{path.name}": path.read_bytes() for path in sorted(RUNTIME.glob("*.py"))}
    with TemporaryDirectory() as scratch:
        document = draft(Path(scratch), mode=mode).document
    document |= {
        "as_of": None,
        "targets": [served],
        "distributions": distributions,
        "placed": [{"path": path, "mode": mode} for path, (mode, _) in sorted((placed or {}).items())],
        "smoke": [list(command) for command in smoke],
        "files": file_list(others),
        "control": file_list(control),
    }
    document["transport"] |= {"zlib": zlib.ZLIB_RUNTIME_VERSION, "compressed": compressed(control), "frames": framed}
    return Draft(document=document, control=control, payload=payload)


def dense(wheels: dict[str, bytes]) -> list[tuple[str, bytes]]:
    """Skeletons that need the pool, and the pool, one entry for each wheel."""
    skeletons, pieces = [], []
    start = 0
    for number, (name, data) in enumerate(sorted(wheels.items())):
        skeleton, pool = taken_apart(data, start)
        skeletons.append((skeleton_entry(name), encode(skeleton)))
        pieces.append((pool_entry(number), pool))
        start += len(pool)
    return [*skeletons, *pieces]


def taken_apart(wheel: bytes, start: int = 0) -> tuple[Skeleton, bytes]:
    """The skeleton and the part of the pool, from ``start`` on, of a wheel that zipfile wrote."""
    before, members, pool, at = [], [], b"", 0
    for offset, size, deflated in _members(wheel):
        name, extra = struct.unpack_from("<HH", wheel, offset + 26)
        data = offset + 30 + name + extra
        raw = wheel[data : data + size]
        content = zlib.decompress(raw, -15) if deflated else raw
        before.append(wheel[at:data])
        members.append(Member(start + len(pool), len(content), MEMORY_8 + LEVEL if deflated else STORED))
        pool += content
        at = data + size
    headers, comment = headers_of(before, wheel[at:])
    return Skeleton(tuple(members), headers, comment), pool


def _members(wheel: bytes) -> list[tuple[int, int, bool]]:
    """Where each member's header begins, how long its data is, and whether it is deflated; in the order of the file."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return [(info.header_offset, info.compress_size, info.compress_type == zipfile.ZIP_DEFLATED) for info in archive.infolist()]
