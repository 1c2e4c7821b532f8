from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.support import bundles
from tests.support.bundles import FOREIGN, OURS, Document, Draft, Key, draft, with_control, write_trust
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.bundle import VerifiedBundle, open_bundle, verify
from wheelhouse_builder.runtime.control import decode_control, encode_control
from wheelhouse_builder.runtime.errors import BundleRefused, EnvironmentFailure, SignatureRefused, WheelhouseError
from wheelhouse_builder.runtime.layout import CHUNK_SIZE, NAMESPACE
from wheelhouse_builder.runtime.manifest import canonical_json
from wheelhouse_builder.runtime.policy import Trust, read_trust

BULK = CHUNK_SIZE + 100_000
Verify = Callable[[bytes], VerifiedBundle]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return draft(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    """Its second frame has two chunks."""
    return draft(tmp_path_factory.mktemp("large"), bulk=BULK)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return read_trust(str(write_trust(tmp_path_factory.mktemp("trust"), OURS)))


@pytest.fixture
def check(tmp_path: Path, trust: Trust) -> Verify:
    """Writes bytes to a file and verifies it."""
    path = tmp_path / "bundle.whb"
    path.touch()

    def write_and_verify(data: bytes) -> VerifiedBundle:
        with path.open("r+b") as file:  # in place: a file system may flush a file that is cut and written anew
            file.write(data)
            file.truncate()
        with verify(str(path), trust) as bundle:
            return bundle

    return write_and_verify


def refused(check: Verify, data: bytes, error: type[WheelhouseError] = BundleRefused) -> WheelhouseError:
    """The error with which ``data`` is refused; it is of just this type and has a hint."""
    with pytest.raises(error) as caught:
        check(data)
    assert type(caught.value) is error
    assert caught.value.hint
    return caught.value


def test_it_is_told_whether_the_file_is_cut_off_too_long_or_something_else(tmp_path: Path, check: Verify) -> None:
    data = draft(tmp_path).signed(OURS)
    assert "is no bundle: it is cut off, or damaged at its end." in str(refused(check, data[:-1]))
    assert "is no bundle: it is cut off, or damaged at its end." in str(refused(check, data[: len(data) // 2]))
    assert "is no bundle: 7 bytes stand behind its end." in str(refused(check, data + b"garbage"))
    assert "is no bundle: it neither begins nor ends as one." in str(refused(check, b"\x89PNG" + bytes(100)))
    assert "is no bundle: it is too short." in str(refused(check, b""))


# What is right


@pytest.mark.parametrize("mode", ["plain", "dense"])
def test_a_signed_bundle_verifies(tmp_path: Path, check: Verify, mode: str) -> None:
    made = draft(tmp_path, mode=mode)
    bundle = check(made.signed(OURS))
    assert bundle.signers == (("packer@example.org", OURS.public_key),)
    assert bundle.manifest.document == made.document
    assert bundle.control["__main__.py"] == made.control["__main__.py"]
    assert bundle.frame_offsets == (0, bundle.manifest.frames[0].size)


def test_chunks_are_the_payload(tmp_path: Path, trust: Trust, large: Draft) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(large.signed(OURS))
    with verify(str(path), trust) as bundle:
        assert len(bundle.manifest.frames[1].chunks) == 2
        assert b"".join(chunk for frame in range(2) for chunk in bundle.chunks(frame)) == large.payload


def test_several_threads_may_read_chunks_at_once(tmp_path: Path, trust: Trust, large: Draft) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(large.signed(OURS))
    results: list[int] = []
    with verify(str(path), trust, payload=False) as bundle:
        workers = [threading.Thread(target=lambda: results.append(sum(map(len, bundle.chunks(1))))) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert results == [large.document["transport"]["frames"][1]["size"]] * 8


def test_progress_counts_the_whole_payload(tmp_path: Path, trust: Trust, large: Draft) -> None:
    told: list[tuple[str, int | None]] = []
    done: list[int] = []

    class Listener:
        @contextmanager
        def step(self, what: str, *, total: int | None = None, unit: str = "") -> Iterator[Listener]:
            told.append((what + unit, total))
            yield self

        def advance(self, amount: int = 1) -> None:
            done.append(amount)

    path = tmp_path / "bundle.whb"
    path.write_bytes(large.signed(OURS))
    verify(str(path), trust, Listener()).close()
    assert told == [("verifyingB", len(large.payload))]
    assert sum(done) == len(large.payload)


def test_a_second_signature_by_an_unknown_key_is_ignored(check: Verify, small: Draft) -> None:
    assert len(check(small.signed(OURS, FOREIGN)).signers) == 1


def test_what_an_unknown_key_signed_is_not_looked_at(check: Verify, small: Draft) -> None:
    key = b"\0\0\0\1\xff"
    nonsense = {sshsig.member_name(key): sshsig.encode(key, NAMESPACE, b"evil")}
    assert len(check(replace(small, control={**small.control, **nonsense}).signed(OURS)).signers) == 1


def test_all_trusted_signers_are_named(tmp_path: Path, small: Draft) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(small.signed(OURS, FOREIGN))
    with verify(str(path), read_trust(str(write_trust(tmp_path, OURS, FOREIGN)))) as bundle:
        assert len(bundle.signers) == 2


def test_tar_and_python_read_the_same_file(tmp_path: Path, small: Draft) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(small.signed(OURS))
    listed = subprocess.run(["tar", "--zstd", "-tf", path], capture_output=True, check=True, text=True).stdout.split()
    assert listed == [bundles.ROOT + entry[0] for frame in small.document["transport"]["frames"] for entry in frame["entries"]]
    assert subprocess.run([sys.executable, path], capture_output=True, check=True).stdout == b"hello\n"


def test_open_bundle_tells_what_an_untrusted_file_says(tmp_path: Path, small: Draft) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(small.signed(FOREIGN))
    bundle = open_bundle(str(path))
    assert bundle.claims == (sshsig.fingerprint(FOREIGN.public_key),)
    assert bundle.manifest.document == small.document
    assert bundle.file.size == path.stat().st_size


# Check 1: the file


def test_every_truncation_is_refused(tmp_path: Path, trust: Trust, small: Draft) -> None:
    data = small.signed(OURS)
    path = tmp_path / "bundle.whb"
    path.write_bytes(data)
    for length in range(len(data) - 1, -1, -1):
        os.truncate(path, length)
        with pytest.raises(BundleRefused) as caught:
            verify(str(path), trust)
        assert caught.value.hint


def test_bytes_missing_from_the_front_are_refused(check: Verify, small: Draft) -> None:
    data = small.signed(OURS)
    for start in [*range(1, len(small.payload), 97), *range(len(small.payload) - 2, len(small.payload) + 40), len(data) - 22]:
        refused(check, data[start:])


@pytest.mark.parametrize("extra", [b"\0", b"\n", bytes(22), b"PK\x05\x06" + bytes(18), b"\x50\x2a\x4d\x18\0\0\0\0"])
def test_appended_and_prepended_bytes_are_refused(check: Verify, small: Draft, extra: bytes) -> None:
    data = small.signed(OURS)
    refused(check, data + extra)
    refused(check, extra + data)


def test_a_second_control_part_after_or_before_the_first_is_refused(check: Verify, small: Draft) -> None:
    control = encode_control({"__main__.py": b"evil"})
    refused(check, with_control(small.signed(OURS), control))
    forged = replace(small, payload=with_control(small.payload, control)).signed(OURS)
    assert "payload" in str(refused(check, forged))


def test_every_flipped_byte_of_the_control_part_is_refused(tmp_path: Path, trust: Trust, small: Draft) -> None:
    path = tmp_path / "bundle.whb"
    data = small.signed(OURS)
    path.write_bytes(data)
    with path.open("r+b") as file:
        for position in range(len(small.payload), len(data)):
            rewrite(file.fileno(), position, data[position] ^ 1 << position % 8)
            with pytest.raises(BundleRefused):
                verify(str(path), trust)
            rewrite(file.fileno(), position, data[position])
    verify(str(path), trust).close()


@pytest.mark.parametrize("data", [b"", b"PK", bytes(30), b"x" * 10_000])
def test_what_is_no_bundle_is_refused(check: Verify, data: bytes) -> None:
    refused(check, data)


def test_a_control_part_that_claims_gigabytes_is_refused_before_it_is_read(check: Verify) -> None:
    end = b"PK\x05\x06" + bytes(8) + b"\xff\xff\xff\x7f" + b"\xff\xff\xff\x7f" + bytes(2)
    assert "allowed" in str(refused(check, bytes(100) + end))


def test_a_directory_a_pipe_and_a_missing_file_are_told_apart(tmp_path: Path, trust: Trust) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in ((".", "holds no volume"), ("pipe", "not a regular file")):
        with pytest.raises(BundleRefused, match=why):
            verify(str(tmp_path / name), trust)
    for name in ("missing", "a\0b"):
        with pytest.raises(EnvironmentFailure, match="Cannot open") as caught:
            verify(f"{tmp_path}/{name}", trust)
        assert caught.value.hint


def test_a_file_that_is_cut_while_it_is_read_is_refused(tmp_path: Path, trust: Trust, large: Draft) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(large.signed(OURS))
    with verify(str(path), trust, payload=False) as bundle:
        os.truncate(path, CHUNK_SIZE)
        with pytest.raises(BundleRefused, match="shorter"):
            list(bundle.chunks(1))


def test_a_file_that_is_replaced_after_it_was_opened_changes_nothing(tmp_path: Path, trust: Trust, small: Draft) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(small.signed(OURS))
    with verify(str(path), trust, payload=False) as bundle:
        (tmp_path / "evil").write_bytes(b"evil")
        (tmp_path / "evil").replace(path)
        assert b"".join(bundle.chunks(0)) + b"".join(bundle.chunks(1)) == small.payload


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_file_stays_open_after_a_refusal(check: Verify, small: Draft) -> None:
    before = open_descriptors()
    for data in (b"", small.signed(FOREIGN), bundles.with_frames_swapped(small, OURS), bundles.without_manifest(small)):
        with pytest.raises(WheelhouseError):
            check(data)
    assert open_descriptors() == before


# Check 2: signatures


def test_a_bundle_without_a_signature_is_refused(check: Verify, small: Draft) -> None:
    assert "It is not signed." in str(refused(check, small.signed(), SignatureRefused))


def test_a_bundle_signed_by_a_foreign_key_is_refused_and_its_fingerprint_named(check: Verify, small: Draft) -> None:
    assert sshsig.fingerprint(FOREIGN.public_key) in str(refused(check, small.signed(FOREIGN), SignatureRefused))


@pytest.mark.parametrize(
    "options", ['namespaces="file"', 'valid-before="20200101"', 'valid-after="20990101"'], ids=["namespace", "expired", "not yet"]
)
def test_a_key_that_is_not_trusted_for_this_or_now_is_no_trusted_key(tmp_path: Path, small: Draft, options: str) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(small.signed(OURS))
    (tmp_path / "allowed").write_text(OURS.allowed_signers_line(options=options))
    with pytest.raises(SignatureRefused, match="trusted"):
        verify(str(path), read_trust(str(tmp_path / "allowed")))


def test_trust_is_asked_for_the_time_that_the_caller_names(tmp_path: Path, small: Draft) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(small.signed(OURS))
    (tmp_path / "allowed").write_text(OURS.allowed_signers_line(options='valid-before="20200101"'))
    verify(str(path), read_trust(str(tmp_path / "allowed")), now=0.0).close()


def with_manifest_bytes(small: Draft, manifest: bytes) -> bytes:
    """The bundle with our signature over its true manifest, but ``manifest`` in its place."""
    members = decode_control(small.signed(OURS)[len(small.payload) + 8 :])
    return bundles.assemble(small.payload, {**members, "manifest.json": manifest})


def test_every_flipped_byte_of_the_manifest_is_refused_though_the_control_part_is_whole(check: Verify, small: Draft) -> None:
    manifest = bytearray(canonical_json(small.document))
    for position in range(len(manifest)):
        manifest[position] ^= 1 << position % 8
        refused(check, with_manifest_bytes(small, bytes(manifest)), SignatureRefused)
        manifest[position] ^= 1 << position % 8


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_shortened_manifest_is_refused_by_its_signature(check: Verify, small: Draft, length: int) -> None:
    refused(check, with_manifest_bytes(small, canonical_json(small.document)[:length]), SignatureRefused)


def test_every_flipped_byte_of_a_signature_is_refused_though_the_control_part_is_whole(check: Verify, small: Draft) -> None:
    armored = bytearray(OURS.armored(canonical_json(small.document)))
    name = sshsig.member_name(OURS.public_key)
    for position in range(len(armored)):
        for flip in (0x01, 0x02, 0x20):
            armored[position] ^= flip
            refused(check, bundles.with_signature(small, bytes(armored), name=name), SignatureRefused)
            armored[position] ^= flip


DEFECTS: dict[str, Callable[[Draft], bytes]] = {
    "for another namespace": lambda made: bundles.signed_for_another_namespace(made, OURS),
    "over another manifest": lambda made: bundles.signed_over_another_manifest(made, OURS),
    "under another key's name": lambda made: bundles.signed_under_the_name_of_another_key(made, OURS, FOREIGN),
    "under a free name": lambda made: bundles.with_signature(made, OURS.armored(b""), name="signatures/me.sig"),
    "malformed": lambda made: bundles.with_signature(made, b"evil", name=sshsig.member_name(OURS.public_key)),
    "malformed, of a foreign key": lambda made: replace(
        made, control={**made.control, sshsig.member_name(FOREIGN.public_key): FOREIGN.armored(b"") + b"\n"}
    ).signed(OURS),
    "for another namespace, by a foreign key": lambda made: replace(
        made, control={**made.control, sshsig.member_name(FOREIGN.public_key): FOREIGN.armored(b"", namespace="file")}
    ).signed(OURS),
    "too many": lambda made: made.signed(*(Key(seed) for seed in range(1, 66))),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_bundle_whose_signature_has_a_defect_is_refused(check: Verify, small: Draft, defect: str) -> None:
    refused(check, DEFECTS[defect](small), SignatureRefused)


def test_64_signatures_are_allowed(check: Verify, small: Draft) -> None:
    assert len(check(small.signed(*(Key(seed) for seed in range(1, 65)))).signers) == 1


def test_a_bad_signature_by_a_trusted_key_refuses_though_another_is_good(tmp_path: Path, small: Draft) -> None:
    path = tmp_path / "bundle.whb"
    bad = {sshsig.member_name(FOREIGN.public_key): FOREIGN.armored(b"another manifest")}
    path.write_bytes(replace(small, control={**small.control, **bad}).signed(OURS))
    with pytest.raises(SignatureRefused, match="is wrong"):
        verify(str(path), read_trust(str(write_trust(tmp_path, OURS, FOREIGN))))


def test_nothing_of_an_untrusted_manifest_is_parsed(check: Verify, small: Draft) -> None:
    """The signature speaks first: what a foreign manifest says of itself is not even an error."""
    made = replace(small, document={"format": "evil"})
    refused(check, made.signed(FOREIGN), SignatureRefused)
    refused(check, made.signed(OURS), BundleRefused)


# Checks 3, 5 and 6: the file is what the signed manifest names

FORGED: dict[str, Callable[[Draft], bytes]] = {
    "no manifest": bundles.without_manifest,
    "member not named": lambda made: bundles.with_member_that_the_manifest_does_not_name(made, OURS),
    "member missing": lambda made: bundles.without_member_that_the_manifest_names(made, OURS),
    "another __main__": lambda made: bundles.with_another_main(made, OURS),
    "bytes between": lambda made: bundles.with_bytes_before_the_control_part(made, OURS),
    "bytes before": lambda made: bundles.with_bytes_before_the_payload(made, OURS),
    "frame lost": lambda made: bundles.with_one_frame_lost(made, OURS),
    "frames swapped": lambda made: bundles.with_frames_swapped(made, OURS),
    "frames told in another order": lambda made: made.changed(lambda document: document["transport"]["frames"].reverse()).signed(OURS),
    "version 2": lambda made: made.changed(lambda document: document.update(version=2)).signed(OURS),
}


@pytest.mark.parametrize("defect", FORGED)
def test_a_file_that_is_not_what_its_manifest_names_is_refused(check: Verify, small: Draft, defect: str) -> None:
    refused(check, FORGED[defect](small))


@pytest.mark.parametrize("defect", sorted(set(FORGED) - {"frames swapped", "frames told in another order"}))
def test_open_bundle_refuses_the_same(tmp_path: Path, small: Draft, defect: str) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(FORGED[defect](small))
    with pytest.raises(BundleRefused):
        open_bundle(str(path))


def test_every_changed_control_member_is_refused_though_the_control_part_is_whole(check: Verify, small: Draft) -> None:
    for name, content in small.control.items():
        for data in (content + b"\n", content[:-1] + b"!"):
            changed = replace(small, control={**small.control, name: data})
            where = "What stands compressed" if name.startswith("wheelhouse_runtime/") else name
            assert where in str(refused(check, changed.signed(OURS)))
            agreeing = changed.changed(partial(saying, bundles.compressed(changed.control)))
            assert name in str(refused(check, agreeing.signed(OURS)))


def saying(compressed: object, document: Document) -> None:
    document["transport"]["compressed"] = compressed


def test_every_flipped_byte_of_the_payload_is_refused(tmp_path: Path, trust: Trust, small: Draft) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(small.signed(OURS))
    with verify(str(path), trust, payload=False) as bundle, path.open("r+b") as file:
        for position, byte in enumerate(small.payload):
            rewrite(file.fileno(), position, byte ^ 1 << position % 8)
            with pytest.raises(BundleRefused, match="not what was signed"):
                [list(bundle.chunks(frame)) for frame in range(2)]
            rewrite(file.fileno(), position, byte)


def rewrite(descriptor: int, position: int, byte: int) -> None:
    os.pwrite(descriptor, bytes([byte]), position)


def test_flips_at_random_places_of_a_payload_of_several_chunks_are_refused(check: Verify, large: Draft) -> None:
    data = bytearray(large.signed(OURS))
    chance = random.Random(1)
    places = [0, CHUNK_SIZE - 1, CHUNK_SIZE, len(large.payload) - 1, *(chance.randrange(len(large.payload)) for _ in range(12))]
    for position in places:
        data[position] ^= 0x80
        assert "not what was signed" in str(refused(check, bytes(data)))
        data[position] ^= 0x80


def test_no_chunk_is_handed_out_before_its_digest_was_found_right(tmp_path: Path, trust: Trust, large: Draft) -> None:
    data = bytearray(large.signed(OURS))
    data[large.document["transport"]["frames"][0]["size"] + CHUNK_SIZE] ^= 1
    path = tmp_path / "bundle.whb"
    path.write_bytes(data)
    with verify(str(path), trust, payload=False) as bundle:
        chunks = bundle.chunks(1)
        assert len(next(chunks)) == CHUNK_SIZE
        with pytest.raises(BundleRefused, match="not what was signed"):
            next(chunks)


def test_ssh_keygen_verifies_the_manifest_of_a_bundle(tmp_path: Path, small: Draft) -> None:
    control = decode_control(small.signed(OURS)[len(small.payload) + 8 :])
    (tmp_path / "signature").write_bytes(control[sshsig.member_name(OURS.public_key)])
    command = ["ssh-keygen", "-Y", "verify", "-f", str(write_trust(tmp_path, OURS)), "-I", "packer@example.org"]
    command += ["-n", NAMESPACE, "-s", str(tmp_path / "signature")]
    subprocess.run(command, input=control["manifest.json"], check=True, capture_output=True)
