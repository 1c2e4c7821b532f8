"""``wheelhouse keygen``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.cli import wheelhouse


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
    assert document == {
        "command": "keygen",
        "private_key": "key",
        "public_key": "key.pub",
        "allowed_signers": "key.allowed_signers",
        "fingerprint": document["fingerprint"],
    }
    printed = subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "key.pub"], capture_output=True, check=True, text=True).stdout
    assert printed.split()[1] == document["fingerprint"]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    wheelhouse("keygen", "--key", "key", cwd=tmp_path)
    before = (tmp_path / "key").read_bytes()
    assert "exists and is not overwritten" in wheelhouse("keygen", "--key", "key", cwd=tmp_path, expect=10).stderr
    assert (tmp_path / "key").read_bytes() == before


@pytest.mark.parametrize("arguments", [["--quiet"], ["-q"]])
def test_quiet_says_nothing(arguments: list[str], tmp_path: Path) -> None:
    ended = wheelhouse("keygen", "--key", "key", *arguments, cwd=tmp_path)
    assert (ended.stdout, ended.stderr) == ("", "")
