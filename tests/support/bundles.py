"""Tiny true bundles, and malformed ones: each made by a function that is named after its defect.

This is a second writer of FORMAT.md, simple and small, so that the reader is not tested against the packer alone.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import random
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.control import compressed_part, deflated, encode_control
from wheelhouse_builder.runtime.layout import CHUNK_SIZE, NAMESPACE, SKIPPABLE_MAGIC, TAR_END, tar_header, tar_padding
from wheelhouse_builder.runtime.manifest import MARKERS, canonical_json
from wheelhouse_builder.runtime.notable import notable_members

Document = dict[str, Any]
Members = dict[str, bytes]
Frame = Sequence[tuple[str, bytes]]
"""The entries of one frame, paths without the root directory."""

TARGET = "cp312-manylinux_2_28_x86_64"
NAME, VERSION = "acme-web", "2026.11"
ROOT = f"{NAME}-{VERSION}/"
NUMBERS = ((4, 6), (6, 8), (8, 10), (10, 12), (12, 16), (36, 38), (38, 42), (16, 20), (24, 28))
"""Where in an entry of the central directory those numbers stand that a skeleton tells, in its order."""


# Keys


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key that is the same for the same seed."""

    seed: int

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes([self.seed]) * 32)

    @property
    def public_key(self) -> bytes:
        return sshsig.string(b"ssh-ed25519") + sshsig.string(self.private.public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        return sshsig.string(b"ssh-ed25519") + sshsig.string(self.private.sign(data))

    def armored(self, message: bytes, *, namespace: str = NAMESPACE) -> bytes:
        return sshsig.encode(self.public_key, namespace, self.sign(sshsig.signed_data(message, namespace)))

    def public_line(self) -> str:
        """The key as a ``.pub`` file has it."""
        return sshsig.key_type(self.public_key) + " " + base64.b64encode(self.public_key).decode()

    def allowed_signers_line(self, *, principal: str = "packer@example.org", options: str = "") -> str:
        return " ".join(filter(None, [principal, options, self.public_line()])) + "\n"


OURS, FOREIGN = Key(1), Key(2)


def write_trust(directory: Path, *keys: Key) -> Path:
    """An ``allowed_signers`` file that trusts ``keys``."""
    path = directory / "allowed_signers"
    path.write_text("".join(key.allowed_signers_line() for key in keys), encoding="utf-8")
    return path


# Drafts


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A bundle before it is signed."""

    document: Document
    """The manifest."""
    control: Mapping[str, bytes]
    """The control part's members but for the manifest and the signatures."""
    payload: bytes

    def signed(self, *keys: Key) -> bytes:
        """The whole file, with a signature by each of ``keys``."""
        manifest = canonical_json(self.document)
        signatures = {sshsig.member_name(key.public_key): key.armored(manifest) for key in keys}
        return assemble(self.payload, {**self.control, "manifest.json": manifest, **signatures})

    def changed(self, change: Callable[[Document], object]) -> Draft:
        """The same with a manifest that ``change`` was let loose on."""
        document = copy.deepcopy(self.document)
        change(document)
        return replace(self, document=document)


def with_members(draft: Draft, control: Members) -> Draft:
    """The same with these control members, as the manifest then says."""

    def change(document: Document) -> None:
        document["control"] = file_list(control)
        document["transport"]["compressed"] = compressed(control)

    return replace(draft, control=control).changed(change)


def assemble(payload: bytes, members: Mapping[str, bytes]) -> bytes:
    """The file that is made of these parts."""
    return with_control(payload, encode_control(standing(members)))


def standing(members: Mapping[str, bytes]) -> Members:
    """The members as they stand in the archive: modules deflated."""
    return {name: deflated(data) if name.startswith("wheelhouse_runtime/") else data for name, data in members.items()}


def compressed(control: Mapping[str, bytes]) -> Document:
    """What the manifest says of those members that stand compressed."""
    size, sha256 = compressed_part(standing(control))
    return {"size": size, "sha256": sha256}


def with_control(payload: bytes, control: bytes) -> bytes:
    """The same for a control part that is already (wrongly) encoded."""
    return payload + SKIPPABLE_MAGIC + struct.pack("<I", len(control)) + control


def draft(directory: Path, *, mode: str = "plain", bulk: int = 0) -> Draft:
    """A bundle for one target with the wheels of pip and of one small project; ``directory`` is for scratch.

    ``bulk`` is the size in bytes of data in the small project's wheel that no compressor can make smaller.
    """
    files = {"demo/__init__.py": b"answer = 42\n", "demo/bulk.bin": random.Random(0).randbytes(bulk)}
    paths = [make_wheel(directory, "demo", "1.0", files=files), make_wheel(directory, "pip", "26.3")]
    wheels = {path.name: path.read_bytes() for path in paths}
    distributions = [distribution(name, data) for name, data in sorted(wheels.items())]
    others = told_again([target(TARGET)], distributions)
    carried = plain_entries(wheels) if mode == "plain" else dense_entries(wheels)
    frames, payload = pack([list(others.items()), list(carried.items())])
    control = {"__main__.py": b"print('hello')\n", "wheelhouse_runtime/__init__.py": b"", "wheelhouse_runtime/a.py": b"A = 1\n"}
    document = {
        "format": "wheelhouse-bundle",
        "version": 1,
        "bundle": {"kind": "application", "name": NAME, "version": VERSION},
        "as_of": "2026-11-19T12:00:00Z",
        "policy": {"channel": None, "sequence": None, "audience": [], "not_after": None},
        "targets": [target(TARGET)],
        "decoders": [],
        "distributions": distributions,
        "excused": [],
        "built": [],
        "placed": [],
        "smoke": [],
        "files": file_list(others),
        "control": file_list(control),
        "transport": {
            "mode": mode,
            "zstd": "1.5.7",
            "zlib": "1.3.1",
            "compressed": compressed(control),
            "base": None,
            "logs": [],
            "frames": frames,
        },
    }
    return Draft(document=document, control=control, payload=payload)


def plain_entries(wheels: Members) -> Members:
    return {f"wheels/{name}": data for name, data in sorted(wheels.items())}


def dense_entries(wheels: Members) -> Members:
    """Skeletons, and for each of the wheels a piece of the pool with the data of its members as it stands."""
    skeletons: Members = {}
    pieces: Members = {}
    start = 0
    for number, (name, data) in enumerate(sorted(wheels.items())):
        skeletons[f"skeletons/{name}"], pieces[f"pool/{number:04}"] = verbatim(data, start)
        start += len(pieces[f"pool/{number:04}"])
    return skeletons | pieces


def verbatim(wheel: bytes, start: int) -> tuple[bytes, bytes]:
    """The skeleton of a wheel that zipfile wrote, and its part of the pool, from ``start`` on: nothing is inflated."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        infos, directory = archive.infolist(), archive.start_dir
    names = [info.filename.encode() for info in infos]
    data, fields, at = [], [], directory
    for info, name in zip(infos, names, strict=True):
        data.append(wheel[info.header_offset + 30 + len(name) :][: info.compress_size])
        entry, at = wheel[at : at + 46], at + 46 + len(name)
        fields.append([entry[start:end] for start, end in NUMBERS])
    skeleton = b"WHSK\x01" + varint(len(data)) + varint(2 * start) + bytes(len(data) - 1)
    skeleton += b"".join(varint(len(each)) for each in data) + b"\1" * len(data)
    skeleton += b"".join(number for column in zip(*fields, strict=True) for number in column)
    skeleton += b"".join(varint(len(name)) for name in names) + bytes(3 * len(names)) + b"".join(names)
    return skeleton, b"".join(data)


def varint(number: int) -> bytes:
    """Unsigned LEB128."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


def target(name: str) -> Document:
    """A target of the manifest that pip 26.3 installs."""
    interpreter, platform = name.split("-")
    markers: Document = dict.fromkeys(MARKERS, "x") | {"platform_release": None, "python_version": "3.12"}
    pip = "pip-26.3-py3-none-any.whl"
    platforms = [platform, "any"]
    return {
        "name": name,
        "interpreter": interpreter,
        "abi": interpreter,
        "platforms": platforms,
        "markers": markers,
        "pip": pip,
        "decoder": None,
        "overridden": [],
    }


def distribution(filename: str, data: bytes) -> Document:
    """A distribution of the manifest, for our one target."""
    project, version = filename.split("-")[:2]
    uploaded = "2026-11-15T21:30:30Z"
    return {
        "filename": filename,
        "project": project.replace("_", "-"),
        "version": version,
        **size_and_digest(data),
        "origin": {"kind": "index", "url": f"https://files.example.org/{filename}", "uploaded": uploaded},
        "targets": [TARGET],
        "bootstrap": project == "pip",
        "notable": notable_members(io.BytesIO(data), project),
        "attested": None,
    }


def told_again(targets: Sequence[Document], distributions: Sequence[Document]) -> Members:
    """README.txt and the locks, which say what the manifest says."""
    names = [target["name"] for target in targets]
    files = {"README.txt": "\n".join([f"{NAME} {VERSION}", "", *names, "", ""])}
    for served in targets:
        wheels = sorted((each for each in distributions if served["name"] in each["targets"]), key=lambda each: each["filename"])
        files[f"targets/{served['name']}/pylock.toml"] = pylock(served["markers"]["python_version"], wheels)
        lines = (f"{wheel['project']}=={wheel['version']} --hash=sha256:{wheel['sha256']}\n" for wheel in wheels)
        files[f"targets/{served['name']}/requirements.txt"] = "".join(lines)
    return {path: text.encode() for path, text in files.items()}


def pylock(python: str, wheels: Sequence[Document]) -> str:
    """The one text that a lock has."""
    text = f'lock-version = "1.0"\nrequires-python = "=={python}.*"\ncreated-by = "wheelhouse"\n' + ("" if wheels else "packages = []\n")
    for wheel in wheels:
        name, version, filename = wheel["project"], wheel["version"], wheel["filename"]
        text += f'\n[[packages]]\nname = "{name}"\nversion = "{version}"\n\n[[packages.wheels]]\nname = "{filename}"\n'
        text += f'path = "../../wheels/{filename}"\nsize = {wheel["size"]}\n\n[packages.wheels.hashes]\nsha256 = "{wheel["sha256"]}"\n'
    return text


def file_list(members: Mapping[str, bytes]) -> list[Document]:
    return [{"path": path, **size_and_digest(data)} for path, data in sorted(members.items())]


def size_and_digest(data: bytes) -> Document:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def pack(frames: Sequence[Frame]) -> tuple[list[Document], bytes]:
    """The manifest's list of frames, and the payload."""
    documents, parts = [], []
    for number, entries in enumerate(frames, 1):
        tar = b"".join(tar_entry(path, data) for path, data in entries) + (TAR_END if number == len(frames) else b"")
        parts.append(compress(tar))
        documents.append(frame(entries, parts[-1]))
    return documents, b"".join(parts)


def frame(entries: Frame, compressed: bytes) -> Document:
    chunks = [compressed[start : start + CHUNK_SIZE] for start in range(0, len(compressed), CHUNK_SIZE)]
    return {
        "size": len(compressed),
        "entries": [[path, len(data)] for path, data in entries],
        "chunks": [hashlib.sha256(chunk).hexdigest() for chunk in chunks],
    }


def tar_entry(path: str, data: bytes) -> bytes:
    return tar_header(ROOT + path, len(data)) + data + bytes(tar_padding(len(data)))


def compress(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3, write_checksum=True, write_content_size=True).compress(data)


# Defects that need a forger who holds the key, or none at all


def without_manifest(draft: Draft) -> bytes:
    return assemble(draft.payload, dict(draft.control))


def with_member_that_the_manifest_does_not_name(draft: Draft, key: Key) -> bytes:
    return replace(draft, control={**draft.control, "wheelhouse_runtime/evil.py": b"import os\n"}).signed(key)


def without_member_that_the_manifest_names(draft: Draft, key: Key) -> bytes:
    return replace(draft, control={name: data for name, data in draft.control.items() if name != "__main__.py"}).signed(key)


def with_another_main(draft: Draft, key: Key) -> bytes:
    return replace(draft, control={**draft.control, "__main__.py": b"print('evil')\n"}).signed(key)


def with_bytes_before_the_control_part(draft: Draft, key: Key) -> bytes:
    return replace(draft, payload=draft.payload + b"\0" * 16).signed(key)


def with_bytes_before_the_payload(draft: Draft, key: Key) -> bytes:
    return b"#!/usr/bin/env python3\n" + draft.signed(key)


def with_one_frame_lost(draft: Draft, key: Key) -> bytes:
    return replace(draft, payload=draft.payload[draft.document["transport"]["frames"][0]["size"] :]).signed(key)


def with_frames_swapped(draft: Draft, key: Key) -> bytes:
    size = draft.document["transport"]["frames"][0]["size"]
    return replace(draft, payload=draft.payload[size:] + draft.payload[:size]).signed(key)


def with_signature(draft: Draft, armored: bytes, *, name: str) -> bytes:
    """A bundle whose one signature is ``armored``, under ``name``."""
    return assemble(draft.payload, {**draft.control, "manifest.json": canonical_json(draft.document), name: armored})


def with_signed_manifest(draft: Draft, manifest: bytes, key: Key) -> bytes:
    """A bundle whose manifest is these very bytes."""
    signature = {sshsig.member_name(key.public_key): key.armored(manifest)}
    return assemble(draft.payload, {**draft.control, "manifest.json": manifest, **signature})


def signed_for_another_namespace(draft: Draft, key: Key) -> bytes:
    armored = key.armored(canonical_json(draft.document), namespace="file")
    return with_signature(draft, armored, name=sshsig.member_name(key.public_key))


def signed_under_the_name_of_another_key(draft: Draft, key: Key, other: Key) -> bytes:
    return with_signature(draft, key.armored(canonical_json(draft.document)), name=sshsig.member_name(other.public_key))


def signed_over_another_manifest(draft: Draft, key: Key) -> bytes:
    return with_signature(draft, key.armored(b"{}\n"), name=sshsig.member_name(key.public_key))
