"""Keys that ssh-keygen knows, that nothing overwrites, and whose absence is told in a sentence."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wheelhouse_builder.adapters.keys import KeyFile, generate, load_signer
from wheelhouse_builder.errors import KeyFailure
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.trust import read_allowed_signers

NAMESPACE = "wheelhouse-bundle-v1"
PEM, OPENSSH, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.PrivateFormat.PKCS8


def ssh_keygen(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *map(str, arguments)], input=stdin, capture_output=True, check=False)


def test_ssh_keygen_reads_the_key_and_tells_the_same_fingerprint(tmp_path: Path) -> None:
    key = generate(tmp_path / "id")
    public = ssh_keygen("-y", "-f", key.path)
    assert public.stdout.split()[:2] == key.public.read_bytes().split()[:2]
    assert key.fingerprint in ssh_keygen("-l", "-f", key.public).stdout.decode()


def test_ssh_keygen_accepts_our_signature_by_our_allowed_signers(tmp_path: Path) -> None:
    key = generate(tmp_path / "id")
    signer = load_signer(key.path)
    signature = tmp_path / "sig"
    signature.write_bytes(sshsig.encode(signer.public_key, NAMESPACE, signer.sign(sshsig.signed_data(b"text", NAMESPACE))))
    command = ("-Y", "verify", "-f", key.allowed_signers, "-I", "wheelhouse", "-n", NAMESPACE, "-s", signature)
    assert ssh_keygen(*command, stdin=b"text").returncode == 0
    assert ssh_keygen(*command, stdin=b"tExt").returncode != 0


def test_the_allowed_signers_line_trusts_the_key_for_bundles_alone(tmp_path: Path) -> None:
    key = generate(tmp_path / "id")
    trusted = read_allowed_signers(str(key.allowed_signers))
    assert trusted.trusts(key.raw, NAMESPACE, 0)
    assert not trusted.trusts(key.raw, "git", 0)


def test_a_key_of_ssh_keygen_signs(tmp_path: Path) -> None:
    assert ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id").returncode == 0
    signer = load_signer(tmp_path / "id")
    made = sshsig.Sshsig(signer.public_key, NAMESPACE, signer.sign(sshsig.signed_data(b"text", NAMESPACE)))
    assert sshsig.verify(made, b"text")


def test_only_the_owner_may_read_the_private_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        key = generate(tmp_path / "new" / "id")
    finally:
        os.umask(before)
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("suffix", ["", ".pub", ".allowed_signers"])
@pytest.mark.parametrize("dangling", [False, True])
def test_nothing_is_overwritten_and_nothing_written_beside_it(tmp_path: Path, suffix: str, dangling: bool) -> None:
    there = tmp_path / f"id{suffix}"
    if dangling:
        there.symlink_to("nowhere")
    else:
        there.write_bytes(b"mine")
    with pytest.raises(KeyFailure, match="not overwritten") as caught:
        generate(tmp_path / "id")
    assert "--key" in caught.value.hint
    assert list(tmp_path.iterdir()) == [there]
    assert there.is_symlink() or there.read_bytes() == b"mine"


def test_where_nothing_can_be_written_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyFailure, match="cannot be written"):
        generate(tmp_path / "file" / "id")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def in_another_format(path: Path) -> None:
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, serialization.NoEncryption()))


NO_KEYS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing": (lambda path: path.with_name("another").touch(), "there is no key", "wheelhouse keygen"),
    "encrypted": (lambda path: ssh_keygen("-q", "-t", "ed25519", "-N", "secret", "-f", path), "passphrase", "ssh-keygen -p"),
    "another kind": (
        lambda path: path.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, OPENSSH, serialization.NoEncryption())),
        "Ed25519",
        "keygen",
    ),
    "another format": (in_another_format, "not an OpenSSH", "another format"),
    "a public key": (lambda path: shutil.copy(generate(path.with_name("other")).public, path), "not an OpenSSH", "public key"),
    "text": (lambda path: path.write_text("hello"), "not an OpenSSH", "private key"),
    "empty": (lambda path: path.write_bytes(b""), "not an OpenSSH", "private key"),
    "cut off": (lambda path: path.write_bytes(generate(path.with_name("other")).path.read_bytes()[:100]), "not an OpenSSH", "key"),
    "endless": (lambda path: path.write_bytes(b"x" * 70_000), "too long", "keygen"),
    "a directory": (lambda path: path.mkdir(), "cannot be read", "--key"),
}


@pytest.mark.parametrize("kind", NO_KEYS)
def test_what_is_no_key_is_told_in_a_sentence_with_a_remedy(tmp_path: Path, kind: str) -> None:
    make, problem, hint = NO_KEYS[kind]
    make(tmp_path / "id")
    with pytest.raises(KeyFailure, match=problem) as caught:
        load_signer(tmp_path / "id")
    assert hint in caught.value.hint
    assert str(tmp_path / "id") in str(caught.value)


def test_a_signer_does_not_show_its_key(tmp_path: Path) -> None:
    signer = load_signer(generate(tmp_path / "id").path)
    assert isinstance(signer, KeyFile)
    assert signer.public_key.hex() not in repr(signer)
