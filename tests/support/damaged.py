"""Bundles good and bad, each under a name that says what is wrong with it: what any reader of the format must agree about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.support import bundles
from tests.support.bundles import FOREIGN, OURS, Key, draft
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.manifest import canonical_json

LATE = "2020-01-01T00:00:00Z"


def policy(**terms: object) -> dict[str, object]:
    """The manifest's policy."""
    return {"channel": None, "sequence": None, "audience": [], "not_after": None, **terms}


def good(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Bundles that a trust store which trusts our key accepts."""
    plain, dense = draft(directory), draft(directory, mode="dense")
    yield "plain", plain.signed(OURS)
    yield "dense", dense.signed(OURS)
    yield "a second, foreign signature", plain.signed(OURS, FOREIGN)
    yield "a channel", plain.changed(lambda d: d.update(policy=policy(channel="stable", sequence=2**63 - 1))).signed(OURS)
    yield "an end that is far", plain.changed(lambda d: d.update(policy=policy(not_after="2999-01-01T00:00:00Z"))).signed(OURS)
    yield "no date", plain.changed(lambda d: d.update(as_of=None)).signed(OURS)


def bad(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Bundles that it refuses."""
    made = draft(directory)
    data, manifest = made.signed(OURS), canonical_json(made.document)
    name = sshsig.member_name(OURS.public_key)
    yield "empty", b""
    yield "one byte short", data[:-1]
    yield "one byte lost in front", data[1:]
    yield "one byte more", data + b"\0"
    yield "a zip", b"PK\x05\x06" + bytes(18)
    yield "not signed", made.signed()
    yield "signed by a stranger", made.signed(FOREIGN)
    yield "65 signatures", made.signed(*(Key(seed) for seed in range(1, 66)))
    yield "no manifest", bundles.without_manifest(made)
    yield "a member that is not named", bundles.with_member_that_the_manifest_does_not_name(made, OURS)
    yield "a member that is missing", bundles.without_member_that_the_manifest_names(made, OURS)
    yield "another main", bundles.with_another_main(made, OURS)
    yield "bytes before the control part", bundles.with_bytes_before_the_control_part(made, OURS)
    yield "bytes before the payload", bundles.with_bytes_before_the_payload(made, OURS)
    yield "a lost frame", bundles.with_one_frame_lost(made, OURS)
    yield "swapped frames", bundles.with_frames_swapped(made, OURS)
    yield "another namespace", bundles.signed_for_another_namespace(made, OURS)
    yield "the name of another key", bundles.signed_under_the_name_of_another_key(made, OURS, FOREIGN)
    yield "another manifest", bundles.signed_over_another_manifest(made, OURS)
    yield "a signature that is none", bundles.with_signature(made, b"evil", name=name)
    yield "a signature with a line more", bundles.with_signature(made, OURS.armored(manifest) + b"\n", name=name)
    yield "a key twice in the manifest", bundles.with_signed_manifest(made, manifest.replace(b'"as_of":', b'"as_of":1,"as_of":'), OURS)
    yield (
        "a million digits",
        bundles.with_signed_manifest(made, manifest.replace(b'"version":1}', b'"version":' + b"9" * 10**6 + b"}"), OURS),
    )
    yield "a deep manifest", bundles.with_signed_manifest(made, b"[" * 200_000, OURS)
    yield "version 2", made.changed(lambda d: d.update(version=2)).signed(OURS)
    yield "an audience", made.changed(lambda d: d.update(policy=policy(audience=["other-net"]))).signed(OURS)
    yield "an end that has passed", made.changed(lambda d: d.update(policy=policy(not_after=LATE))).signed(OURS)
    yield "a sequence without a channel", made.changed(lambda d: d.update(policy=policy(sequence=1))).signed(OURS)
    yield "no policy", made.changed(lambda d: d.pop("policy")).signed(OURS)
    yield from ((f"a flip at {at} of the payload", _flipped(data, at)) for at in range(0, len(made.payload), len(made.payload) // 5))
    start = len(made.payload)
    yield from (
        (f"a flip at {at} of the control part", _flipped(data, start + at)) for at in range(0, len(data) - start, (len(data) - start) // 25)
    )


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
