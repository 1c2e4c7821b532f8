from __future__ import annotations

import base64
import random
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bundles import FOREIGN, OURS, Key, write_trust
from tests.support.keys import EcdsaKey, MldsaKey, SecurityKey
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


@pytest.fixture(scope="module", params=[("ed25519", "256"), ("ecdsa", "384")], ids=["ed25519", "ecdsa"])
def ssh_key(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind, bits = request.param
    path = tmp_path_factory.mktemp("key") / "id"
    assert ssh_keygen("-q", "-t", kind, "-b", bits, "-N", "", "-C", "someone", "-f", str(path)).returncode == 0
    return path


KEYS: dict[str, Key] = {"ed25519": Key(3), "ecdsa": EcdsaKey(4), "security key": SecurityKey(5), "ml-dsa": MldsaKey(6)}
KNOWN_TO_OPENSSH = [name for name in KEYS if name != "ml-dsa"]


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_what_ssh_keygen_signs_we_verify(ssh_key: Path, size: int) -> None:
    message = b"x" * size
    signed = ssh_keygen("-Y", "sign", "-f", str(ssh_key), "-n", NAMESPACE, stdin=message)
    assert good(signed.stdout, message)
    assert not good(signed.stdout, message + b"x")
    assert sshsig.parse(signed.stdout).namespace == NAMESPACE


@pytest.mark.parametrize("name", KNOWN_TO_OPENSSH)
def test_what_we_encode_ssh_keygen_verifies(tmp_path: Path, name: str) -> None:
    key = KEYS[name]
    (tmp_path / "signature").write_bytes(key.armored(MESSAGE))
    trust = str(write_trust(tmp_path, key))
    arguments = ("-Y", "verify", "-f", trust, "-I", "packer@example.org", "-s", str(tmp_path / "signature"))
    assert ssh_keygen(*arguments, "-n", NAMESPACE, stdin=MESSAGE).returncode == 0
    assert ssh_keygen(*arguments, "-n", NAMESPACE, stdin=MESSAGE + b" ").returncode != 0
    assert ssh_keygen(*arguments, "-n", "file", stdin=MESSAGE).returncode != 0


@pytest.mark.parametrize("name", KEYS)
def test_a_signature_of_each_type_is_good_for_its_message_its_namespace_and_its_key_alone(name: str) -> None:
    key = KEYS[name]
    found = sshsig.parse(key.armored(MESSAGE))
    assert found.public_key == key.public_key
    assert sshsig.key_type(found.public_key) in sshsig.KEY_TYPES
    assert sshsig.verify(found, MESSAGE)
    assert not sshsig.verify(found, MESSAGE + b" ")
    assert not sshsig.verify(found._replace(namespace="file"), MESSAGE)
    assert not sshsig.verify(found._replace(public_key=type(key)(9).public_key), MESSAGE)


def test_ssh_keygen_passes_over_the_keys_that_it_does_not_know(tmp_path: Path) -> None:
    """So one allowed_signers file serves it and us."""
    trust = str(write_trust(tmp_path, KEYS["ml-dsa"], OURS, KEYS["ml-dsa"]))
    (tmp_path / "signature").write_bytes(ARMORED)
    command = ("-Y", "verify", "-f", trust, "-I", "packer@example.org", "-s", str(tmp_path / "signature"), "-n", NAMESPACE)
    assert ssh_keygen(*command, stdin=MESSAGE).returncode == 0


def agree_with_ssh_keygen(directory: Path, count: int) -> None:
    """Random messages and signatures, every third one spoiled: ``ssh-keygen -Y verify`` comes to the same verdict."""
    chance = random.Random(4252)
    for number in range(count):
        key = (Key, EcdsaKey, SecurityKey)[number // 3 % 3](number % 200)
        message = chance.randbytes(number)
        found = sshsig.parse(key.armored(message))
        if number % 3 == 0:
            place = chance.randrange(30, len(found.signature))
            spoiled = bytes(byte ^ (position == place) for position, byte in enumerate(found.signature))
            found = found._replace(signature=spoiled)
        (directory / "signature").write_bytes(sshsig.encode(*found))
        trust = str(write_trust(directory, key))
        command = ("-Y", "verify", "-f", trust, "-I", "packer@example.org", "-s", str(directory / "signature"), "-n", NAMESPACE)
        theirs = ssh_keygen(*command, stdin=message).returncode == 0
        try:
            ours = good(sshsig.encode(*found), message)
        except SignatureRefused:
            ours = False
        assert ours == theirs == (number % 3 != 0)


def test_ssh_keygen_comes_to_the_same_100_verdicts(tmp_path: Path) -> None:
    agree_with_ssh_keygen(tmp_path, 100)


@pytest.mark.slow
def test_ssh_keygen_comes_to_the_same_1000_verdicts(tmp_path: Path) -> None:
    agree_with_ssh_keygen(tmp_path, 1000)


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
        pytest.param(armor(blob(key=b"")), "cut off", id="no key"),
        pytest.param(armor(blob(key=string(b"\xff"))), "not ASCII", id="key type no text"),
        pytest.param(armor(blob(key=string(KEY_TYPE) + string(bytes(33)))), "33 bytes", id="long key"),
        pytest.param(armor(blob(key=string(KEY_TYPE))), "cut off", id="key type alone"),
        pytest.param(armor(blob(signature=b"")), "cut off", id="no signature"),
        pytest.param(armor(blob(signature=string(KEY_TYPE) + string(bytes(63)))), "63 bytes", id="short signature"),
        pytest.param(armor(blob(signature=string(KEY_TYPE) + string(bytes(64)) + b"x")), "follow its end", id="bytes within the signature"),
        pytest.param(armor(blob(signature=string(b"ecdsa-sha2-nistp384") + string(bytes(64)))), "signature type", id="ecdsa by ed25519"),
        pytest.param(
            armor(blob(signature=string(b"sk-ssh-ed25519@openssh.com") + string(bytes(64)) + bytes(5))), "type", id="sk by ed25519"
        ),
        pytest.param(b"", "between", id="nothing"),
        pytest.param(b"x" * 70_000, "allowed", id="too long"),
    ],
)
def test_a_malformed_signature_is_refused_with_its_reason(armored: bytes, reason: str) -> None:
    with pytest.raises(SignatureRefused) as caught:
        good(armored, MESSAGE)
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


# The other types of key


def mpint(number: int) -> bytes:
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"")


N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
ECDSA, SECURITY, MLDSA = b"ecdsa-sha2-nistp384", b"sk-ssh-ed25519@openssh.com", b"mldsa87@wheelhouse"
POINT = KEYS["ecdsa"].public_key[-97:]


def ecdsa(pair: bytes, *, kind: bytes = ECDSA, key: bytes = KEYS["ecdsa"].public_key, after: bytes = b"") -> bytes:
    """An ECDSA signature whose numbers are these bytes."""
    return armor(blob(key=key, signature=string(kind) + string(pair) + after))


def ecdsa_key(*, curve: bytes = b"nistp384", point: bytes = POINT, after: bytes = b"") -> bytes:
    return ecdsa(mpint(1) + mpint(1), key=string(ECDSA) + string(curve) + string(point) + after)


def security(signature: bytes, *, kind: bytes = SECURITY, key: bytes = KEYS["security key"].public_key) -> bytes:
    return armor(blob(key=key, signature=string(kind) + signature))


def mldsa(signature: bytes, *, kind: bytes = MLDSA, key: bytes = KEYS["ml-dsa"].public_key) -> bytes:
    return armor(blob(key=key, signature=string(kind) + signature))


MALFORMED = {
    "ecdsa: no numbers": (ecdsa(b""), "cut off"),
    "ecdsa: one number": (ecdsa(mpint(1)), "cut off"),
    "ecdsa: three numbers": (ecdsa(mpint(1) * 3), "follow its end"),
    "ecdsa: bytes after": (ecdsa(mpint(1) * 2, after=b"x"), "follow its end"),
    "ecdsa: r negative": (ecdsa(string(b"\xff") + mpint(1)), "negative"),
    "ecdsa: s negative": (ecdsa(mpint(1) + string(b"\x80" + bytes(47))), "negative"),
    "ecdsa: r with a zero before": (ecdsa(string(b"\0\1") + mpint(1)), "one way"),
    "ecdsa: s with a zero before": (ecdsa(mpint(1) + string(bytes(1) + N.to_bytes(49, "big"))), "one way"),
    "ecdsa: 0 as a byte": (ecdsa(string(b"\0") + mpint(1)), "one way"),
    "ecdsa: r too long": (ecdsa(mpint(2**384) + mpint(1)), "384 bits"),
    "ecdsa: s endless": (ecdsa(mpint(1) + mpint(2**4000)), "384 bits"),
    "ecdsa: DER": (ecdsa(bytes.fromhex("3006020101020101")), "cut off"),
    "ecdsa: r and s without lengths": (ecdsa(b"\1" * 96), "cut off"),
    "ecdsa: type of another curve": (ecdsa(mpint(1) * 2, kind=b"ecdsa-sha2-nistp256"), "signature type"),
    "ecdsa: type of ed25519": (ecdsa(mpint(1) * 2, kind=KEY_TYPE), "signature type"),
    "ecdsa: another curve": (ecdsa_key(curve=b"nistp256"), "curve"),
    "ecdsa: no curve": (ecdsa_key(curve=b""), "curve"),
    "ecdsa: a compressed key": (ecdsa_key(point=b"\2" + POINT[1:49]), "49 bytes"),
    "ecdsa: the point at infinity": (ecdsa_key(point=b"\0"), "1 bytes"),
    "ecdsa: a key cut off": (ecdsa_key(point=POINT[:-1]), "96 bytes"),
    "ecdsa: bytes after the key": (ecdsa_key(after=b"x"), "follow its end"),
    "security key: no flags": (security(string(bytes(64))), "cut off"),
    "security key: no counter": (security(string(bytes(64)) + b"\1"), "cut off"),
    "security key: bytes after the counter": (security(string(bytes(64)) + bytes(6)), "follow its end"),
    "security key: long signature": (security(string(bytes(65)) + bytes(5)), "65 bytes"),
    "security key: type of ed25519": (security(string(bytes(64)), kind=KEY_TYPE), "signature type"),
    "security key: no application": (security(string(bytes(64)) + bytes(5), key=string(SECURITY) + string(bytes(32))), "cut off"),
    "ml-dsa: short signature": (mldsa(string(bytes(4626))), "4626 bytes"),
    "ml-dsa: long signature": (mldsa(string(bytes(4628))), "4628 bytes"),
    "ml-dsa: bytes after": (mldsa(string(bytes(4627)) + b"x"), "follow its end"),
    "ml-dsa: type of ed25519": (mldsa(string(bytes(64)), kind=KEY_TYPE), "signature type"),
    "ml-dsa: a key of ML-DSA-65": (mldsa(string(bytes(4627)), key=string(MLDSA) + string(bytes(1952))), "1952 bytes"),
    "ml-dsa: bytes after the key": (mldsa(string(bytes(4627)), key=KEYS["ml-dsa"].public_key + b"x"), "follow its end"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_signature_of_another_type_is_refused_with_its_reason(name: str) -> None:
    armored, reason = MALFORMED[name]
    with pytest.raises(SignatureRefused, match=reason):
        good(armored, MESSAGE)


BAD = {
    "ecdsa: both 0": ecdsa(mpint(0) + mpint(0)),
    "ecdsa: both n": ecdsa(mpint(N) + mpint(N)),
    "ecdsa: both all ones": ecdsa(mpint(2**384 - 1) * 2),
    "ecdsa: a key that is not on the curve": ecdsa_key(point=b"\4" + bytes(96)),
    "ecdsa: a hybrid key": ecdsa_key(point=b"\6" + POINT[1:]),
    "security key: nothing signed": security(string(bytes(64)) + b"\1" + bytes(4)),
    "ml-dsa: zeros": mldsa(string(bytes(4627))),
    "ml-dsa: ones": mldsa(string(b"\xff" * 4627)),
    "ed25519: zeros": armor(blob()),
}


@pytest.mark.parametrize("name", BAD)
def test_a_signature_that_is_well_formed_and_wrong_is_bad(name: str) -> None:
    assert not good(BAD[name], MESSAGE)


def test_a_security_key_that_was_not_touched_is_not_believed() -> None:
    assert good(SecurityKey(5).armored(MESSAGE), MESSAGE)
    assert good(SecurityKey(5, flags=5).armored(MESSAGE), MESSAGE)
    assert not good(SecurityKey(5, flags=0).armored(MESSAGE), MESSAGE)
    assert not good(SecurityKey(5, flags=4).armored(MESSAGE), MESSAGE)


def test_flags_counter_and_application_of_a_security_key_are_signed() -> None:
    found = sshsig.parse(SecurityKey(5).armored(MESSAGE))
    for position in range(1, 6):
        wrong = bytearray(found.signature)
        wrong[-position] ^= 2
        assert not sshsig.verify(found._replace(signature=bytes(wrong)), MESSAGE)
    assert not sshsig.verify(found._replace(public_key=SecurityKey(5, application=b"ssh:x").public_key), MESSAGE)


def test_a_signature_of_one_type_is_none_of_another_with_the_same_key() -> None:
    """Ed25519 and the security key share their mathematics, not what they sign."""
    plain, touched = Key(5), SecurityKey(5)
    data = sshsig.signed_data(MESSAGE, NAMESPACE)
    moved = string(SECURITY) + string(plain.private.sign(data)) + b"\1" + bytes(4)
    assert not good(sshsig.encode(touched.public_key, NAMESPACE, moved), MESSAGE)
    taken = string(KEY_TYPE) + touched.sign(data)[-73:-5]
    assert not good(sshsig.encode(plain.public_key, NAMESPACE, taken), MESSAGE)


@pytest.mark.parametrize("kind", [b"ssh-rsa", b"ssh-mldsa87", b"ecdsa-sha2-nistp256", b"SSH-ED25519", b"", b"x" * 1000])
def test_a_type_that_is_not_known_is_parsed_and_bad(kind: bytes) -> None:
    """Whose key is not trusted is passed over; nobody can trust such a key."""
    found = sshsig.parse(armor(blob(key=string(kind) + b"whatever", signature=b"whatever")))
    assert sshsig.key_type(found.public_key) not in sshsig.KEY_TYPES
    assert not sshsig.verify(found, MESSAGE)


@pytest.mark.parametrize("name", ["ecdsa", "security key", "ml-dsa"])
def test_flipped_bits_of_the_armor_are_refused_or_bad_for_the_other_types_too(name: str) -> None:
    armored, chance = KEYS[name].armored(MESSAGE), random.Random(name)
    for position in chance.sample(range(len(armored)), 40):
        wrong = bytearray(armored)
        wrong[position] ^= 1 << chance.randrange(8)
        try:
            assert not good(bytes(wrong), MESSAGE)
        except SignatureRefused:
            continue
