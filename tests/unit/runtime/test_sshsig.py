from __future__ import annotations

import base64
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bundles import FOREIGN, OURS, Key, write_trust
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.errors import SignatureRefused
from wheelhouse_builder.runtime.layout import NAMESPACE

MESSAGE = b'{"format":"wheelhouse-bundle"}\n'
ARMORED = OURS.armored(MESSAGE)
KEY_TYPE = b"ssh-ed25519"


def ssh_keygen(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *arguments], input=stdin, capture_output=True, check=False)


def good(armored: bytes, message: bytes) -> bool:
    return sshsig.verify(sshsig.parse(armored), message)


@pytest.fixture(scope="module")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id_ed25519"
    assert ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", "someone", "-f", str(path)).returncode == 0
    return path


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_what_ssh_keygen_signs_we_verify(ssh_key: Path, size: int) -> None:
    message = b"x" * size
    signed = ssh_keygen("-Y", "sign", "-f", str(ssh_key), "-n", NAMESPACE, stdin=message)
    assert good(signed.stdout, message)
    assert not good(signed.stdout, message + b"x")
    assert sshsig.parse(signed.stdout).namespace == NAMESPACE


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_what_we_encode_ssh_keygen_verifies(tmp_path: Path, seed: int) -> None:
    key = Key(seed)
    (tmp_path / "signature").write_bytes(key.armored(MESSAGE))
    trust = str(write_trust(tmp_path, key))
    arguments = ("-Y", "verify", "-f", trust, "-I", "packer@example.org", "-s", str(tmp_path / "signature"))
    assert ssh_keygen(*arguments, "-n", NAMESPACE, stdin=MESSAGE).returncode == 0
    assert ssh_keygen(*arguments, "-n", NAMESPACE, stdin=MESSAGE + b" ").returncode != 0
    assert ssh_keygen(*arguments, "-n", "file", stdin=MESSAGE).returncode != 0


def test_our_armor_is_the_armor_of_ssh_keygen_byte_for_byte(ssh_key: Path) -> None:
    signed = ssh_keygen("-Y", "sign", "-f", str(ssh_key), "-n", NAMESPACE, stdin=MESSAGE).stdout
    found = sshsig.parse(signed)
    assert sshsig.encode(found.public_key, found.namespace, found.signature) == signed


def test_our_fingerprint_is_the_one_that_ssh_keygen_prints(ssh_key: Path) -> None:
    public_key = base64.b64decode(ssh_key.with_suffix(".pub").read_text().split()[1])
    assert sshsig.fingerprint(public_key) in ssh_keygen("-l", "-f", str(ssh_key)).stdout.decode()


def test_a_signature_lies_under_a_name_that_follows_from_its_key() -> None:
    assert sshsig.member_name(OURS.public_key).startswith("signatures/")
    assert sshsig.member_name(OURS.public_key) != sshsig.member_name(FOREIGN.public_key)


def test_what_was_encoded_is_parsed() -> None:
    assert sshsig.parse(ARMORED) == (OURS.public_key, NAMESPACE, OURS.sign(sshsig.signed_data(MESSAGE, NAMESPACE)))


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def armor(blob: bytes, width: int = 70) -> bytes:
    text = base64.b64encode(blob)
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    return b"\n".join([b"-----BEGIN SSH SIGNATURE-----", *lines, b"-----END SSH SIGNATURE-----", b""])


def blob(
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    key: bytes = OURS.public_key,
    namespace: bytes = NAMESPACE.encode(),
    reserved: bytes = b"",
    algorithm: bytes = b"sha512",
    signature: bytes = string(KEY_TYPE) + string(bytes(64)),
) -> bytes:
    return magic + struct.pack(">I", version) + b"".join(map(string, (key, namespace, reserved, algorithm, signature)))


def test_the_blob_of_these_tests_is_well_formed() -> None:
    assert sshsig.parse(armor(blob())).signature == string(KEY_TYPE) + string(bytes(64))


BASE64 = base64.b64encode(blob()).decode()


@pytest.mark.parametrize(
    ("armored", "reason"),
    [
        pytest.param(armor(blob(magic=b"SSHSIX")), "SSHSIG", id="magic"),
        pytest.param(armor(blob(version=2)), "version is 2", id="version"),
        pytest.param(armor(blob(algorithm=b"sha256")), "'sha512' is required", id="hash"),
        pytest.param(armor(blob(algorithm=b"SHA512")), "'sha512' is required", id="hash in capitals"),
        pytest.param(armor(blob(reserved=b"x")), "reserved field", id="reserved"),
        pytest.param(armor(blob(namespace=b"\xff")), "UTF-8", id="namespace"),
        pytest.param(armor(blob(key=string(KEY_TYPE) + string(bytes(31)))), "31 bytes", id="short key"),
        pytest.param(armor(blob(key=string(KEY_TYPE) + string(bytes(32)) + b"x")), "follow its end", id="bytes after the key"),
        pytest.param(armor(blob(signature=string(b"ssh-rsa") + string(bytes(64)))), "signature type", id="signature type"),
        pytest.param(armor(blob(signature=string(KEY_TYPE) + string(bytes(65)))), "65 bytes", id="long signature"),
        pytest.param(armor(blob() + b"x"), "follow its end", id="bytes after the signature"),
        pytest.param(armor(blob()[:-1]), "cut off", id="cut off"),
        pytest.param(armor(b"SSHSIG\0\0\0\1\xff\xff\xff\xff"), "cut off", id="endless string"),
        pytest.param(armor(b""), "between", id="empty"),
        pytest.param(armor(blob(), width=76), "one way", id="lines of 76"),
        pytest.param(armor(blob()).replace(b"\n", b"\r\n"), "between", id="CRLF"),
        pytest.param(armor(blob())[:-1], "between", id="no newline at the end"),
        pytest.param(armor(blob()) + b"\n", "between", id="two newlines at the end"),
        pytest.param(b"\n" + armor(blob()), "between", id="newline before"),
        pytest.param(armor(blob()).replace(b"\n-----END", b"\n\n-----END"), "one way", id="empty line"),
        pytest.param(armor(blob()).replace(b"U1NI", b"U1N!", 1), "base64", id="no base64"),
        pytest.param(armor(blob()).replace(b"\n-----END", b"====\n-----END"), "", id="padding too long"),
        pytest.param(b"", "between", id="nothing"),
        pytest.param(b"x" * 70_000, "allowed", id="too long"),
    ],
)
def test_a_malformed_signature_is_refused_with_its_reason(armored: bytes, reason: str) -> None:
    with pytest.raises(SignatureRefused) as caught:
        sshsig.parse(armored)
    assert reason in str(caught.value)
    assert caught.value.hint


def test_base64_with_bits_to_spare_is_refused() -> None:
    """Two bytes in three characters leave two bits that say nothing: 'AAA=' and 'AAB=' decode alike."""
    armored = next(found for found in (armor(blob(namespace=b"n" * length)) for length in range(1, 4)) if b"=" in found)
    assert sshsig.parse(armored)
    padding = armored.index(b"=")
    wrong = armored[: padding - 1] + bytes([armored[padding - 1] + 1]) + armored[padding:]
    with pytest.raises(SignatureRefused, match="one way"):
        sshsig.parse(wrong)


def test_every_flipped_bit_of_the_armor_is_refused_or_is_another_signature() -> None:
    for position in range(len(ARMORED)):
        for bit in range(8):
            wrong = bytearray(ARMORED)
            wrong[position] ^= 1 << bit
            try:
                found = sshsig.parse(bytes(wrong))
            except SignatureRefused:
                continue
            assert found != sshsig.parse(ARMORED)


def test_every_truncation_of_the_armor_is_refused() -> None:
    for length in range(len(ARMORED)):
        with pytest.raises(SignatureRefused):
            sshsig.parse(ARMORED[:length])


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    for armored in (data, armor(data), armor(b"SSHSIG\0\0\0\1" + data)):
        with pytest.raises(SignatureRefused):
            sshsig.parse(armored)


@given(st.binary(min_size=32, max_size=32), st.text(max_size=20), st.binary(min_size=64, max_size=64))
def test_any_signature_survives_the_way_there_and_back(public_key: bytes, namespace: str, signature: bytes) -> None:
    key, made = string(KEY_TYPE) + string(public_key), string(KEY_TYPE) + string(signature)
    assert sshsig.parse(sshsig.encode(key, namespace, made)) == (key, namespace, made)
