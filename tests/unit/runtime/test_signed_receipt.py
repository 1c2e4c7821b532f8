"""Receipts are signed by OpenSSH where it is there, and checked by us and by OpenSSH alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.installs import QUICK, Site, said
from wheelhouse_builder.runtime.commands import Manner
from wheelhouse_builder.runtime.errors import EnvironmentFailure, KeyFailure, SignatureRefused
from wheelhouse_builder.runtime.inventory import run_inventory
from wheelhouse_builder.runtime.report import render
from wheelhouse_builder.runtime.sshsig import fingerprint, parse

RECEIPT, SIGNATURE = "wheelhouse-receipt.json", "wheelhouse-receipt.json.sig"
AUDITOR = "web01@example.org"


class Keys:
    """Keys of ssh-keygen's, and trust stores for what they sign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "keys"
        self.folder.mkdir()

    def make(self, name: str = "receipts", kind: str = "ed25519", passphrase: str = "") -> Path:
        path = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", path], check=True)
        return path

    def trust(self, key: Path, options: str = 'namespaces="wheelhouse-receipt-v1"') -> str:
        path = self.folder / "trusted"
        path.write_text(f"{AUDITOR} {options} {key.with_name(key.name + '.pub').read_text()}")
        return str(path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def signing(key: Path) -> Manner:
    return QUICK._replace(sign_receipt=str(key))


def told_by(environment: Path, trust: str) -> list[dict[str, Any]]:
    return list(run_inventory(venv=str(environment), trust=trust)["environments"])


def ssh_keygen_verifies(environment: Path, trust: str) -> bool:
    command = ["ssh-keygen", "-Y", "verify", "-f", trust, "-I", AUDITOR, "-n", "wheelhouse-receipt-v1", "-s", str(environment / SIGNATURE)]
    with (environment / RECEIPT).open("rb") as receipt:
        return subprocess.run(command, stdin=receipt, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("place", ["venv", "prefix", "python"])
def test_a_signed_receipt_is_believed_by_us_and_by_openssh(site: Site, keys: Keys, place: str) -> None:
    key = keys.make()
    if place == "python":
        subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", site.venv], check=True)
    where = {"venv": site.venv, "prefix": site.prefix, "python": site.venv / "bin/python"}[place]
    destination: dict[str, Any] = {place: str(where)}
    environment = site.prefix / "current" if place == "prefix" else site.venv
    report = site.install(site.bundle("1.0"), manner=signing(key), **destination)
    by = fingerprint(parse((environment / SIGNATURE).read_bytes()).public_key)
    assert report["receipt_signed_by"] == by
    assert f"signed by {by}" in render(report)
    trust = keys.trust(key)
    assert ssh_keygen_verifies(environment, trust)
    assert [each["signed_by"] for each in told_by(environment.resolve(), trust)] == [{"principal": AUDITOR, "fingerprint": by}]
    assert site.left() == []


def test_the_next_installation_leaves_no_signature_over_another_receipt(site: Site, keys: Keys) -> None:
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", site.venv], check=True)
    python = str(site.venv / "bin/python")
    site.install(site.bundle("1.0"), manner=signing(keys.make()), python=python)
    assert site.install(site.bundle("2.0"), python=python)["receipt_signed_by"] is None
    assert not (site.venv / SIGNATURE).exists()
    assert said(site.venv) == "demo 2.0\n"


def test_what_is_there_already_is_signed_where_that_is_wanted_and_once(site: Site, keys: Keys) -> None:
    bundle, key = site.bundle("1.0"), keys.make()
    site.install(bundle)
    signed = [site.install(bundle, manner=signing(key)) for _ in range(2)]
    assert [each["changed"] for each in signed] == [False, False]
    inode = (site.venv / SIGNATURE).stat().st_ino
    assert told_by(site.venv, keys.trust(key))
    site.install(bundle, manner=signing(key))
    assert (site.venv / SIGNATURE).stat().st_ino == inode
    (site.venv / SIGNATURE).write_text("nonsense")
    assert site.install(bundle, manner=signing(key))["receipt_signed_by"]
    assert told_by(site.venv, keys.trust(key))


def test_a_dry_run_names_the_key_and_signs_nothing(site: Site, keys: Keys) -> None:
    key = keys.make()
    report = site.install(site.bundle("1.0"), manner=signing(key), dry_run=True)
    assert f"sign the receipt with {key}" in report["steps"]
    assert not site.venv.exists()


@pytest.mark.parametrize("defect", ["none", "pipe", "bad", "changed", "foreign", "namespace", "bundle's", "revoked"])
def test_receipts_that_nobody_vouches_for_are_named(site: Site, keys: Keys, defect: str) -> None:
    key = keys.make()
    site.install(site.bundle("1.0"), manner=signing(key))
    trust, receipt, signature = keys.trust(key), site.venv / RECEIPT, site.venv / SIGNATURE
    if defect == "none":
        signature.unlink()
    elif defect == "pipe":  # reading it would never end
        signature.unlink()
        os.mkfifo(signature)
    elif defect == "bad":
        signature.write_bytes(signature.read_bytes().replace(b"\n", b"\r\n"))
    elif defect == "changed":
        receipt.write_text(receipt.read_text().replace('"demo"', '"dem0"'))
    elif defect == "foreign":
        trust = keys.trust(keys.make("other"))
    elif defect == "namespace":
        trust = keys.trust(key, 'namespaces="wheelhouse-bundle-v1"')
    elif defect == "bundle's":
        signature.unlink()
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "wheelhouse-bundle-v1", receipt], check=True)
    else:
        store = keys.folder / "store"
        store.mkdir()
        Path(trust).rename(store / "allowed_signers")
        revoked = {"version": 1, "keys": [fingerprint(parse(signature.read_bytes()).public_key)]}
        (store / "policy.json").write_text(json.dumps({"version": 1, "revoked": revoked}))
        trust = str(store)
    with pytest.raises(SignatureRefused) as refusal:
        told_by(site.venv, trust)
    assert str(site.venv) in str(refusal.value)
    assert run_inventory(venv=str(site.venv))["environments"][0]["signed_by"] is None


def test_without_ssh_keygen_a_signature_is_refused_before_anything_is_changed(
    site: Site, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, bundle = keys.make(), site.bundle("1.0")
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    with pytest.raises(EnvironmentFailure, match="ssh-keygen, which this host does not have"):
        site.install(bundle, manner=signing(key))
    assert not site.venv.exists()


@pytest.mark.parametrize("defect", ["absent", "passphrase", "rsa", "no key"])
def test_a_key_that_cannot_sign_changes_nothing(site: Site, keys: Keys, defect: str) -> None:
    site.install(site.bundle("1.0"))
    key = keys.folder / "receipts"
    if defect == "passphrase":
        keys.make(passphrase="secret")
    elif defect == "rsa":
        keys.make(kind="rsa")
    elif defect == "no key":
        key.write_text("no key\n")
        key.chmod(0o600)
    with pytest.raises(KeyFailure) as failure:
        site.install(site.bundle("2.0"), manner=signing(key))
    assert str(key) in str(failure.value)
    assert said(site.venv) == "demo 1.0\n"
    assert site.left() == []


def test_an_agent_may_hold_the_key(site: Site, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.make()
    socket = str(keys.folder / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE) as agent:
        try:
            assert agent.stdout is not None
            agent.stdout.readline()
            monkeypatch.setenv("SSH_AUTH_SOCK", socket)
            subprocess.run(["ssh-add", "-q", key], check=True, capture_output=True)
            key.unlink()
            site.install(site.bundle("1.0"), manner=signing(key.with_name("receipts.pub")))
        finally:
            agent.terminate()
    assert ssh_keygen_verifies(site.venv, keys.trust(key))
