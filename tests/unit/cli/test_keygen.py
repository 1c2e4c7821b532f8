"""``wheelhouse keygen``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import environment, typed, wheelhouse


def test_a_key_is_made_in_the_default_place(tmp_path: Path) -> None:
    ended = wheelhouse("keygen", cwd=tmp_path)
    key = tmp_path / "home/.config/wheelhouse/id_ed25519"
    assert key.stat().st_mode & 0o777 == 0o600
    assert str(key) in ended.stdout
    assert ended.stderr == ""


def test_the_users_configuration_folder_is_respected(tmp_path: Path) -> None:
    wheelhouse("keygen", cwd=tmp_path, env={"XDG_CONFIG_HOME": str(tmp_path / "configuration")})
    assert (tmp_path / "configuration/wheelhouse/id_ed25519").is_file()


def test_a_relative_configuration_folder_counts_as_none(tmp_path: Path) -> None:
    wheelhouse("keygen", cwd=tmp_path, env={"XDG_CONFIG_HOME": "configuration"})
    assert (tmp_path / "home/.config/wheelhouse/id_ed25519").is_file()


def test_the_document_names_the_files_and_the_fingerprint_that_ssh_keygen_prints(tmp_path: Path) -> None:
    document = wheelhouse("keygen", "--key", "key", "--json", cwd=tmp_path).document
    (key,) = document["keys"]
    assert document == {
        "command": "keygen",
        "keys": [
            {
                "type": "ssh-ed25519",
                "private_key": "key",
                "encrypted": False,
                "public_key": "key.pub",
                "fingerprint": key["fingerprint"],
            }
        ],
        "allowed_signers": "key.allowed_signers",
    }
    assert printed_fingerprint(tmp_path / "key.pub") == key["fingerprint"]


def printed_fingerprint(public: Path) -> str:
    return subprocess.run(["ssh-keygen", "-l", "-f", public], capture_output=True, check=True, text=True).stdout.split()[1]


@pytest.mark.parametrize(
    ("name", "kind", "place"),
    [
        ("ed25519", "ssh-ed25519", "id_ed25519"),
        ("ecdsa-p384", "ecdsa-sha2-nistp384", "id_ecdsa_p384"),
        ("ml-dsa-87", "mldsa87@wheelhouse", "id_ml_dsa_87"),
    ],
)
def test_each_type_has_its_own_default_place(name: str, kind: str, place: str, tmp_path: Path) -> None:
    (key,) = wheelhouse("keygen", "--type", name, "--json", cwd=tmp_path).document["keys"]
    assert key["type"] == kind
    assert key["private_key"] == str(tmp_path / "home/.config/wheelhouse" / place)


def test_a_hybrid_key_is_two_keys_and_one_file_to_carry_inside(tmp_path: Path) -> None:
    document = wheelhouse("keygen", "--type", "ecdsa-p384", "--hybrid", "--key", "key", "--json", cwd=tmp_path).document
    assert [(key["type"], key["private_key"]) for key in document["keys"]] == [
        ("ecdsa-sha2-nistp384", "key"),
        ("mldsa87@wheelhouse", "key.mldsa87"),
    ]
    lines = (tmp_path / "key.allowed_signers").read_text().splitlines()
    assert [line.split()[2] for line in lines] == ["ecdsa-sha2-nistp384", "mldsa87@wheelhouse"]
    assert printed_fingerprint(tmp_path / "key.pub") == document["keys"][0]["fingerprint"]


@pytest.mark.parametrize(
    ("arguments", "problem"), [(["--type", "rsa"], "no type of key 'rsa'"), (["--type", "ml-dsa-87", "--hybrid"], "another half")]
)
def test_what_cannot_be_made_is_told_with_the_choice(arguments: list[str], problem: str, tmp_path: Path) -> None:
    ended = wheelhouse("keygen", "--key", "key", *arguments, cwd=tmp_path, expect=2)
    assert problem in ended.stderr
    assert "ecdsa-p384" in ended.stderr
    assert not (tmp_path / "key").exists()


def opened_by(key: Path, passphrase: str) -> bool:
    return subprocess.run(["ssh-keygen", "-y", "-P", passphrase, "-f", key], capture_output=True, check=False).returncode == 0


def test_a_passphrase_is_typed_twice_and_not_shown(tmp_path: Path) -> None:
    ended = typed("keygen", "--key", "key", "--passphrase", cwd=tmp_path, answers={"Passphrase: ": "s3cret", "Once more:  ": "s3cret"})
    assert ended.code == 0
    assert "encrypted" in ended.stderr
    assert "s3cret" not in ended.stderr
    assert opened_by(tmp_path / "key", "s3cret")
    assert not opened_by(tmp_path / "key", "")


@pytest.mark.parametrize("answers", [{"Passphrase: ": "one", "Once more:  ": "other"}, {"Passphrase: ": ""}])
def test_two_passphrases_that_differ_and_an_empty_one_make_no_key(answers: dict[str, str], tmp_path: Path) -> None:
    ended = typed("keygen", "--key", "key", "--passphrase", cwd=tmp_path, answers=answers)
    assert ended.code == 10
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wheelhouse_builder", "keygen", "--key", "key", "--passphrase"]
    ended = subprocess.run(command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, check=False, start_new_session=True)
    assert ended.returncode == 10
    assert b"--passphrase-fd" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def with_descriptor(*arguments: str, cwd: Path, secret: bytes) -> int:
    """The exit code of ``wheelhouse`` with ``secret`` to be read from a descriptor."""
    read, write = os.pipe()
    os.write(write, secret)
    os.close(write)
    command = [sys.executable, "-m", "wheelhouse_builder", *arguments, "--passphrase-fd", str(read)]
    try:
        return subprocess.run(command, cwd=cwd, env=environment(cwd), pass_fds=[read], capture_output=True, check=False).returncode
    finally:
        os.close(read)


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\nmore\n"])
def test_a_passphrase_is_read_from_a_descriptor_up_to_its_first_newline(end: bytes, tmp_path: Path) -> None:
    assert with_descriptor("keygen", "--key", "key", cwd=tmp_path, secret=b"with space" + end) == 0
    assert opened_by(tmp_path / "key", "with space")


def test_a_descriptor_that_says_nothing_or_too_much_makes_no_key(tmp_path: Path) -> None:
    for secret in (b"\n", b"x" * 2000):
        assert with_descriptor("keygen", "--key", "key", cwd=tmp_path, secret=secret) == 10
    assert "nothing can be read" in wheelhouse("keygen", "--key", "key", "--passphrase-fd", "99", cwd=tmp_path, expect=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    wheelhouse("keygen", "--key", "key", cwd=tmp_path)
    before = (tmp_path / "key").read_bytes()
    assert "exists and is not overwritten" in wheelhouse("keygen", "--key", "key", cwd=tmp_path, expect=10).stderr
    assert (tmp_path / "key").read_bytes() == before


@pytest.mark.parametrize("arguments", [["--quiet"], ["-q"]])
def test_quiet_says_nothing(arguments: list[str], tmp_path: Path) -> None:
    ended = wheelhouse("keygen", "--key", "key", *arguments, cwd=tmp_path)
    assert (ended.stdout, ended.stderr) == ("", "")
