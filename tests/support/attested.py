"""A real wheel with a real attestation, and what can be done to it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.data import DATA
from tests.support.contents import held
from wheelhouse_builder.model.distribution import Wheel

FILENAME = "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl"
PROJECT, VERSION = "circleci-sign-publish-example", "0.0.1.dev137"
PATH = DATA / "attestations" / FILENAME
PUBLISHER = "circleci.com/fdd9283f-e619-46af-8f9c-851f7d3e8b2b/8e4f8ab2-8d7c-4827-9f15-de076d6d647f"
PUBLISH = "https://docs.pypi.org/attestations/publish/v1"
SHA256 = hashlib.sha256(PATH.read_bytes()).hexdigest()
DOCUMENT = PATH.with_name(f"{FILENAME}.provenance").read_bytes()
OF_ANOTHER_FILE = (DATA / "attestations/pypi_attestations-0.0.19.tar.gz.provenance").read_bytes()
"""As real, by another publisher."""
ANOTHER_SHA256 = "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3"
"""Of that file."""

Json = dict[str, Any]


def wheel() -> Wheel:
    """As fetch hands it on."""
    return held(Path(PATH))


def changed(change: Callable[[Json], object]) -> bytes:
    """The document after ``change`` was let loose on it."""
    document = json.loads(DOCUMENT)
    change(document)
    return json.dumps(document).encode()


def attestation(document: Json) -> Json:
    """The one that it holds."""
    found: Json = document["attestation_bundles"][0]["attestations"][0]
    return found


def with_statement(change: Callable[[Json], object]) -> bytes:
    """The document with another statement than was signed."""

    def rewrite(document: Json) -> None:
        envelope = attestation(document)["envelope"]
        statement = json.loads(base64.b64decode(envelope["statement"]))
        change(statement)
        envelope["statement"] = base64.b64encode(json.dumps(statement).encode()).decode()

    return changed(rewrite)


def flipped(field: Callable[[Json], tuple[Json, str]]) -> bytes:
    """The document with one bit changed in the middle of a base64 field."""

    def flip(document: Json) -> None:
        holder, key = field(document)
        data = bytearray(base64.b64decode(holder[key]))
        data[len(data) // 2] ^= 1
        holder[key] = base64.b64encode(data).decode()

    return changed(flip)


def entry(document: Json) -> Json:
    """Its entry in the transparency log."""
    found: Json = attestation(document)["verification_material"]["transparency_entries"][0]
    return found


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"<html>",
    "no object": b"[]",
    "too deep": b"[" * 100_000,
    "not UTF-8": b"\xff\xfe",
    "a key twice": DOCUMENT.replace(b'{"version":', b'{"version":1,"version":', 1).replace(
        b'{"version": ', b'{"version": 1, "version": ', 1
    ),
    "no bundles": b'{"version": 1}',
    "bundles that are no list": b'{"version": 1, "attestation_bundles": {}}',
    "no bundle": b'{"version": 1, "attestation_bundles": []}',
    "no attestation": changed(lambda document: document["attestation_bundles"][0].update(attestations=[])),
    "no publisher": changed(lambda document: document["attestation_bundles"][0].pop("publisher")),
    "an unknown publisher": changed(lambda document: document["attestation_bundles"][0]["publisher"].update(kind="Evil")),
    "a publisher that lacks something": changed(lambda document: document["attestation_bundles"][0]["publisher"].pop("project_id")),
    "a publisher with spaces": changed(lambda document: document["attestation_bundles"][0]["publisher"].update(project_id="a b")),
    "two publishers": changed(
        lambda document: document["attestation_bundles"].append(
            {**document["attestation_bundles"][0], "publisher": {"kind": "Google", "email": "a@example.org"}}
        )
    ),
    "no envelope": changed(lambda document: attestation(document).pop("envelope")),
    "no statement": changed(lambda document: attestation(document)["envelope"].pop("statement")),
    "a statement that is no base64": changed(lambda document: attestation(document)["envelope"].update(statement="é")),
    "a statement that is no JSON": changed(lambda document: attestation(document)["envelope"].update(statement="AAAA")),
    "another file": OF_ANOTHER_FILE,
    "another digest": with_statement(lambda statement: statement["subject"][0]["digest"].update(sha256="0" * 64)),
    "no digest": with_statement(lambda statement: statement["subject"][0].pop("digest")),
    "two subjects": with_statement(lambda statement: statement["subject"].append(statement["subject"][0])),
    "no subject": with_statement(lambda statement: statement.update(subject=[])),
    "an unknown predicate": with_statement(lambda statement: statement.update(predicateType="https://example.org/evil/v1")),
}
"""What is seen without any cryptography, by what is wrong with it."""

FORGED: dict[str, bytes] = {
    "another name in the statement": with_statement(lambda statement: statement["subject"][0].update(name="evil-1.0-py3-none-any.whl")),
    "another predicate": with_statement(lambda statement: statement.update(predicateType="https://slsa.dev/provenance/v1")),
    "a statement with more spaces": with_statement(lambda statement: statement.copy()),
    "another publisher of the same kind": changed(
        lambda document: document["attestation_bundles"][0]["publisher"].update(project_id="00000000-0000-0000-0000-000000000000")
    ),
    "another kind of publisher": changed(
        lambda document: document["attestation_bundles"][0].update(publisher={"kind": "Google", "email": "a@example.org"})
    ),
    "a flip in the signature": flipped(lambda document: (attestation(document)["envelope"], "signature")),
    "a flip in the certificate": flipped(lambda document: (attestation(document)["verification_material"], "certificate")),
    "a flip in the log's body": flipped(lambda document: (entry(document), "canonicalizedBody")),
    "a flip in the log's promise": flipped(lambda document: (entry(document)["inclusionPromise"], "signedEntryTimestamp")),
    "a flip in the log's root": flipped(lambda document: (entry(document)["inclusionProof"], "rootHash")),
    "another time": changed(lambda document: entry(document).update(integratedTime="1870332382")),
    "no entry in the log": changed(lambda document: attestation(document)["verification_material"].update(transparency_entries=[])),
    "no certificate": changed(lambda document: attestation(document)["verification_material"].pop("certificate")),
    "the certificate of another": changed(
        lambda document: attestation(document)["verification_material"].update(
            certificate=json.loads(OF_ANOTHER_FILE)["attestation_bundles"][0]["attestations"][0]["verification_material"]["certificate"]
        )
    ),
    "another version": changed(lambda document: attestation(document).update(version=2)),
}
"""What only cryptography sees."""
