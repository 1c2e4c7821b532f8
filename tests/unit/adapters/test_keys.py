"""Keys that ssh-keygen knows, that nothing overwrites, and whose absence is told in a sentence."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from tests.support.keys import SecurityKey
from wheelhouse_builder.adapters.keys import NewKey, NewKeys, Signer, generate, load_signers
from wheelhouse_builder.adapters.pkcs8 import encrypted_pkcs8
from wheelhouse_builder.errors import KeyFailure
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.sshsig import ECDSA_P384, ED25519, MLDSA_87
from wheelhouse_builder.runtime.trust import read_allowed_signers

NAMESPACE = "wheelhouse-bundle-v1"
SECRET = "mäßig geheim".encode()
PEM, OPENSSH, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.PrivateFormat.PKCS8
TYPES = (ED25519, ECDSA_P384, MLDSA_87)


def ssh_keygen(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *map(str, arguments)], input=stdin, capture_output=True, check=False)


def nobody(path: Path) -> bytes:
    raise AssertionError(f"nobody should be asked for the passphrase of {path}")


def the_one(made: NewKeys) -> NewKey:
    (key,) = made.keys
    return key


def is_good(signer: Signer) -> bool:
    signature = signer.sign(sshsig.signed_data(b"text", NAMESPACE))
    return sshsig.verify(sshsig.parse(sshsig.encode(signer.public_key, NAMESPACE, signature)), b"text")


@pytest.mark.parametrize("algorithm", TYPES)
@pytest.mark.parametrize("passphrase", [None, SECRET], ids=["plain", "encrypted"])
def test_a_key_of_each_type_is_made_read_and_signs(tmp_path: Path, algorithm: str, passphrase: bytes | None) -> None:
    key = the_one(generate(tmp_path / "id", algorithm=algorithm, passphrase=passphrase))
    (signer,) = load_signers(key.path, lambda _: SECRET) if passphrase else load_signers(key.path, nobody)
    assert signer.public_key == key.public_key
    assert sshsig.key_type(signer.public_key) == key.algorithm == algorithm
    assert is_good(signer)


@pytest.mark.parametrize("algorithm", [ED25519, ECDSA_P384])
@pytest.mark.parametrize("passphrase", [None, b"secret"], ids=["plain", "encrypted"])
def test_ssh_keygen_reads_the_key_and_tells_the_same_fingerprint(tmp_path: Path, algorithm: str, passphrase: bytes | None) -> None:
    key = the_one(generate(tmp_path / "id", algorithm=algorithm, passphrase=passphrase))
    public = ssh_keygen("-y", "-P", (passphrase or b"").decode(), "-f", key.path)
    assert public.stdout.split()[:2] == key.public.read_bytes().split()[:2]
    assert key.fingerprint in ssh_keygen("-l", "-f", key.public).stdout.decode()


@pytest.mark.parametrize("algorithm", [ED25519, ECDSA_P384])
def test_ssh_keygen_accepts_our_signature_by_our_allowed_signers(tmp_path: Path, algorithm: str) -> None:
    made = generate(tmp_path / "id", algorithm=algorithm, hybrid=True)
    signer = load_signers(made.keys[0].path, nobody)[0]
    signature = tmp_path / "sig"
    signature.write_bytes(sshsig.encode(signer.public_key, NAMESPACE, signer.sign(sshsig.signed_data(b"text", NAMESPACE))))
    command = ("-Y", "verify", "-f", made.allowed_signers, "-I", "wheelhouse", "-n", NAMESPACE, "-s", signature)
    assert ssh_keygen(*command, stdin=b"text").returncode == 0
    assert ssh_keygen(*command, stdin=b"tExt").returncode != 0


@pytest.mark.parametrize("algorithm", TYPES)
def test_the_allowed_signers_line_trusts_the_key_for_bundles_alone(tmp_path: Path, algorithm: str) -> None:
    made = generate(tmp_path / "id", algorithm=algorithm)
    trusted = read_allowed_signers(str(made.allowed_signers))
    assert trusted.trusts(the_one(made).public_key, NAMESPACE, 0)
    assert not trusted.trusts(the_one(made).public_key, "git", 0)


@pytest.mark.parametrize("algorithm", [ED25519, ECDSA_P384])
def test_a_hybrid_key_has_two_halves_under_one_passphrase_and_both_sign(tmp_path: Path, algorithm: str) -> None:
    made = generate(tmp_path / "id", algorithm=algorithm, hybrid=True, passphrase=SECRET)
    assert [key.algorithm for key in made.keys] == [algorithm, MLDSA_87]
    signers = load_signers(tmp_path / "id", lambda _: SECRET)
    assert [signer.public_key for signer in signers] == [key.public_key for key in made.keys]
    assert all(map(is_good, signers))
    trusted = read_allowed_signers(str(made.allowed_signers))
    assert all(trusted.trusts(key.public_key, NAMESPACE, 0) for key in made.keys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["id", "id.allowed_signers", "id.mldsa87", "id.mldsa87.pub", "id.pub"]


@pytest.mark.parametrize("algorithm", TYPES)
def test_a_passphrase_is_not_in_the_file_and_another_opens_nothing(tmp_path: Path, algorithm: str) -> None:
    key = the_one(generate(tmp_path / "id", algorithm=algorithm, passphrase=SECRET))
    assert SECRET not in key.path.read_bytes()
    with pytest.raises(KeyFailure, match="is wrong, or the file is damaged") as caught:
        load_signers(key.path, lambda _: b"wrong one")
    assert b"wrong one" not in str(caught.value).encode()


def test_openssl_reads_our_pkcs8(tmp_path: Path) -> None:
    """Of a key type that each OpenSSL knows; ours is written the same way."""
    (tmp_path / "key.pem").write_bytes(encrypted_pkcs8(ec.generate_private_key(ec.SECP384R1()), b"secret"))
    command = ["openssl", "pkey", "-in", str(tmp_path / "key.pem"), "-noout", "-passin"]
    assert subprocess.run([*command, "pass:secret"], check=False, capture_output=True).returncode == 0
    assert subprocess.run([*command, "pass:other"], check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize(("kind", "bits"), [("ed25519", "256"), ("ecdsa", "384")])
@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_a_key_of_ssh_keygen_signs(tmp_path: Path, kind: str, bits: str, passphrase: str) -> None:
    assert ssh_keygen("-q", "-t", kind, "-b", bits, "-N", passphrase, "-f", tmp_path / "id").returncode == 0
    (signer,) = load_signers(tmp_path / "id", lambda _: passphrase.encode())
    assert is_good(signer)


def test_only_the_owner_may_read_the_private_keys(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = generate(tmp_path / "new" / "id", hybrid=True)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(key.path.stat().st_mode) for key in made.keys] == [0o600, 0o600]
    assert stat.S_IMODE(made.keys[0].path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("suffix", ["", ".pub", ".allowed_signers", ".mldsa87", ".mldsa87.pub"])
@pytest.mark.parametrize("dangling", [False, True])
def test_nothing_is_overwritten_and_nothing_written_beside_it(tmp_path: Path, suffix: str, dangling: bool) -> None:
    there = tmp_path / f"id{suffix}"
    if dangling:
        there.symlink_to("nowhere")
    else:
        there.write_bytes(b"mine")
    with pytest.raises(KeyFailure, match="not overwritten") as caught:
        generate(tmp_path / "id", hybrid=True)
    assert "--key" in caught.value.hint
    assert list(tmp_path.iterdir()) == [there]
    assert there.is_symlink() or there.read_bytes() == b"mine"


def test_where_nothing_can_be_written_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyFailure, match="cannot be written"):
        generate(tmp_path / "file" / "id")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def key_of_another_type(path: Path) -> None:
    path.write_bytes(MLDSA65PrivateKey.generate().private_bytes(PEM, PKCS8, serialization.NoEncryption()))


def key_on_another_curve(path: Path) -> None:
    path.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, OPENSSH, serialization.NoEncryption()))


def handle_of_a_security_key(path: Path) -> None:
    """What ``ssh-keygen -t ed25519-sk`` writes: no private key, but how the hardware finds it."""
    public = SecurityKey(1).public_key
    private = public + b"\1" + sshsig.string(b"handle") + sshsig.string(b"")
    body = bytes(8) + private + sshsig.string(b"comment")
    body += bytes(range(1, 1 + -len(body) % 8))
    none = sshsig.string(b"none") * 2 + sshsig.string(b"")
    path.write_bytes(b"openssh-key-v1\0" + none + b"\0\0\0\1" + sshsig.string(public) + sshsig.string(body))
    text = base64.b64encode(path.read_bytes())
    path.write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + text + b"\n-----END OPENSSH PRIVATE KEY-----\n")


NO_KEYS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing": (lambda path: path.with_name("another").touch(), "there is no key", "wheelhouse keygen"),
    "another curve": (key_on_another_curve, "is ECDSA on secp256r1", "keygen"),
    "another type": (key_of_another_type, "is MLDSA65", "keygen"),
    "RSA": (lambda path: ssh_keygen("-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", path), "is RSA", "keygen"),
    "another format": (lambda path: path.write_text("-----BEGIN PGP PRIVATE KEY-----\n"), "not a private key", "another format"),
    "in hardware": (handle_of_a_security_key, "not a private key", "wheelhouse manifest"),
    "text": (lambda path: path.write_text("hello"), "not a private key", "private key"),
    "empty": (lambda path: path.write_bytes(b""), "not a private key", "private key"),
    "cut off": (
        lambda path: path.write_bytes(the_one(generate(path.with_name("other"))).path.read_bytes()[:100]),
        "not a private key",
        "cut off",
    ),
    "endless": (lambda path: path.write_bytes(b"x" * 70_000), "too long", "keygen"),
    "a directory": (lambda path: path.mkdir(), "cannot be read", "--key"),
}


@pytest.mark.parametrize("kind", NO_KEYS)
def test_what_is_no_key_is_told_in_a_sentence_with_a_remedy(tmp_path: Path, kind: str) -> None:
    make, problem, hint = NO_KEYS[kind]
    make(tmp_path / "id")
    with pytest.raises(KeyFailure, match=problem) as caught:
        load_signers(tmp_path / "id", nobody)
    assert hint in caught.value.hint
    assert str(tmp_path / "id") in str(caught.value)


def test_a_broken_second_half_is_a_failure_not_a_missing_signature(tmp_path: Path) -> None:
    made = generate(tmp_path / "id", hybrid=True)
    made.keys[1].path.write_text("hello")
    with pytest.raises(KeyFailure, match="mldsa87 is not a private key"):
        load_signers(tmp_path / "id", nobody)


@pytest.mark.parametrize("algorithm", TYPES)
def test_a_signer_does_not_show_its_key(tmp_path: Path, algorithm: str) -> None:
    key = the_one(generate(tmp_path / "id", algorithm=algorithm))
    private = serialization.load_pem_private_key if algorithm == MLDSA_87 else serialization.load_ssh_private_key
    assert private(key.path.read_bytes(), None)
    shown = repr(load_signers(key.path, nobody))
    assert "object at" in shown
    assert "private" not in shown.lower().replace("_private", "")
