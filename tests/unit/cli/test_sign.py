"""``wheelhouse sign`` and ``wheelhouse manifest``: more signatures, from other hands, on other hosts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.bundles import OURS, draft
from tests.support.cli import environment, typed, wheelhouse
from wheelhouse_builder.adapters.keys import generate
from wheelhouse_builder.runtime.bundle import verify
from wheelhouse_builder.runtime.policy import read_trust
from wheelhouse_builder.runtime.sshsig import ECDSA_P384, ED25519

NAMESPACE = "wheelhouse-bundle-v1"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return draft(tmp_path_factory.mktemp("draft")).signed(OURS)


@pytest.fixture
def bundle(tmp_path: Path, original: bytes) -> Path:
    """A bundle with one signature, in the folder where the commands run."""
    path = tmp_path / "b.whb"
    path.write_bytes(original)
    return path


def new_key(folder: Path, name: str, *, algorithm: str = ED25519, hybrid: bool = False) -> str:
    """The fingerprint of the new key ``name``; it is trusted from now on, by its name."""
    made = generate(folder / name, algorithm=algorithm, hybrid=hybrid)
    with (folder / "trust").open("a") as file:
        file.write(made.allowed_signers.read_text().replace("wheelhouse namespaces", f"{name} namespaces"))
    return made.keys[0].fingerprint


def ssh_sign(manifest: Path, key: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key, manifest], check=True, capture_output=True)


def principals(folder: Path) -> list[str]:
    with verify(str(folder / "b.whb"), read_trust(str(folder / "trust"))) as verified:
        return sorted(each.principal for each in verified.signers)


def write_manifest(folder: Path) -> bytes:
    command = [sys.executable, "-m", "wheelhouse_builder", "manifest", "b.whb"]
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, check=True)
    (folder / "m.json").write_bytes(done.stdout)
    return done.stdout


def test_a_signature_is_added_and_the_document_names_it(bundle: Path) -> None:
    added = new_key(bundle.parent, "second")
    before = wheelhouse("inspect", "b.whb", "--json", cwd=bundle.parent).document
    document = wheelhouse("sign", "b.whb", "--key", "second", "--json", cwd=bundle.parent).document
    assert document == {
        "command": "sign",
        "bundle": {"path": "b.whb", "digest": before["bundle"]["digest"]},
        "added": [added],
        "signatures": document["signatures"],
    }
    assert sorted(document["signatures"]) == sorted([*before["signatures"], added])
    assert principals(bundle.parent) == ["second"]
    assert "there already" in wheelhouse("sign", "b.whb", "--key", "second", cwd=bundle.parent).stdout


def test_the_default_key_signs(bundle: Path) -> None:
    generate(bundle.parent / "home/.config/wheelhouse/id_ed25519")
    assert "(new)" in wheelhouse("sign", "b.whb", cwd=bundle.parent).stdout


def test_the_manifest_is_printed_byte_for_byte_and_its_signature_attached(bundle: Path) -> None:
    folder = bundle.parent
    key = new_key(folder, "room")
    assert write_manifest(folder) in bundle.read_bytes()
    ssh_sign(folder / "m.json", folder / "room")
    assert wheelhouse("sign", "b.whb", "--attach", "m.json.sig", "--json", cwd=folder).document["added"] == [key]
    assert principals(folder) == ["room"]


def test_the_manifest_is_a_document_too(bundle: Path) -> None:
    document = wheelhouse("manifest", "b.whb", "--json", cwd=bundle.parent).document
    assert document["namespace"] == NAMESPACE
    assert document["manifest"].encode() == write_manifest(bundle.parent)


def test_two_signers_on_two_hosts_sign_one_manifest_and_verify_names_both(tmp_path: Path) -> None:
    """The builder's host makes and signs; the reviewer's checks and signs; each has its own home, and no private key travels."""
    builder, reviewer, inside = (tmp_path / name for name in ("builder", "reviewer", "inside"))
    for host in (builder, reviewer, inside):
        host.mkdir()
    new_key(builder, "builder")
    new_key(reviewer, "reviewer", algorithm=ECDSA_P384, hybrid=True)
    (builder / "b.whb").write_bytes(draft(builder).signed())
    wheelhouse("sign", "b.whb", "--key", "builder", cwd=builder)

    shutil.copy(builder / "b.whb", reviewer / "b.whb")
    wheelhouse("verify", "b.whb", "--trust", str(builder / "trust"), cwd=reviewer)
    assert write_manifest(reviewer) == write_manifest(builder)
    wheelhouse("sign", "b.whb", "--key", "reviewer", cwd=reviewer)

    shutil.copy(reviewer / "b.whb", inside / "b.whb")
    (inside / "trust").write_text((builder / "trust").read_text() + (reviewer / "trust").read_text())
    told = wheelhouse("verify", "b.whb", "--trust", "trust", "--json", cwd=inside).document["signers"]
    assert sorted(each["principal"] for each in told) == ["builder", "reviewer", "reviewer"]  # the last two: both halves


def test_two_signatures_that_were_made_at_the_same_time_are_brought_together(tmp_path: Path) -> None:
    """Two hosts pack the same inputs, each signs the manifest that it has, and one file takes both signatures."""
    first, second = tmp_path / "first", tmp_path / "second"
    for host in (first, second):
        host.mkdir()
        (host / "b.whb").write_bytes(draft(host).signed())
        new_key(host, host.name)
        write_manifest(host)
        ssh_sign(host / "m.json", host / host.name)
    wheelhouse("sign", "b.whb", "--attach", "m.json.sig", cwd=first)
    wheelhouse("sign", "b.whb", "--attach", str(second / "m.json.sig"), cwd=first)
    with (first / "trust").open("a") as trust:
        trust.write((second / "trust").read_text())
    assert principals(first) == ["first", "second"]


@contextmanager
def agent_with(key: Path) -> Iterator[dict[str, str]]:
    """The environment in which an agent holds the private ``key``, which is then gone from the disk."""
    path = {"PATH": os.environ["PATH"]}
    started = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    env = dict(line.split(";")[0].split("=", 1) for line in started.splitlines() if "=" in line)
    try:
        subprocess.run(["ssh-add", "-q", key], env=env | path, check=True, capture_output=True)
        key.unlink()
        yield {"SSH_AUTH_SOCK": env["SSH_AUTH_SOCK"]}
    finally:
        subprocess.run(["ssh-agent", "-k"], env=env | path, check=True, capture_output=True)


def test_an_agent_signs_for_its_public_key_and_for_its_fingerprint(bundle: Path, original: bytes) -> None:
    folder = bundle.parent
    fingerprint = new_key(folder, "held", algorithm=ECDSA_P384)
    with agent_with(folder / "held") as env:
        wheelhouse("sign", "b.whb", "--key", "held.pub", cwd=folder, env=env)
        assert principals(folder) == ["held"]
        bundle.write_bytes(original)
        wheelhouse("sign", "b.whb", "--agent", fingerprint, cwd=folder, env=env)
        assert principals(folder) == ["held"]


def test_a_passphrase_is_asked_once_for_both_halves_and_a_wrong_one_signs_nothing(bundle: Path, original: bytes) -> None:
    generate(bundle.parent / "key", hybrid=True, passphrase=b"s3cret")
    wrong = typed("sign", "b.whb", "--key", "key", cwd=bundle.parent, answers={"Passphrase of key: ": "wrong"})
    assert wrong.code == 10
    assert bundle.read_bytes() == original
    ended = typed("sign", "b.whb", "--key", "key", cwd=bundle.parent, answers={"Passphrase of key: ": "s3cret"})
    assert ended.code == 0, ended.stderr
    assert ended.stderr.count("(new)") == 2
    assert "s3cret" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--key", "key", "--attach", "sig"], 2), (["--agent", "x"], 10), (["--key", "missing"], 10), (["--attach", "missing"], 9)],
)
def test_what_cannot_be_is_refused_with_a_hint(bundle: Path, original: bytes, arguments: list[str], code: int) -> None:
    assert "hint:" in wheelhouse("sign", "b.whb", *arguments, cwd=bundle.parent, expect=code).stderr
    assert bundle.read_bytes() == original
