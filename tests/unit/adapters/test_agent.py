"""Signing through a real ssh-agent, and through such as do not answer as they should."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wheelhouse_builder.adapters.agent import SOCKET_VARIABLE, agent_key
from wheelhouse_builder.adapters.keys import agent_signer, generate, load_signers
from wheelhouse_builder.errors import KeyFailure
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.sshsig import ECDSA_P384, ED25519

NAMESPACE = "wheelhouse-bundle-v1"


def nobody(path: Path) -> bytes:
    raise AssertionError(path)


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path is short enough for a socket's."""
    directory = Path(tempfile.mkdtemp(prefix="wh-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def agent(short: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An agent of our own that runs; it holds no key yet."""
    place = str(short / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline()
        monkeypatch.setenv(SOCKET_VARIABLE, place)
        yield place
        process.terminate()


def add(path: Path) -> None:
    subprocess.run(["ssh-add", "-q", str(path)], check=True, capture_output=True)


@pytest.mark.parametrize("algorithm", [ED25519, ECDSA_P384])
@pytest.mark.usefixtures("agent")
def test_the_agent_signs_for_a_public_key_and_for_a_fingerprint(tmp_path: Path, algorithm: str) -> None:
    (key,) = generate(tmp_path / "id", algorithm=algorithm).keys
    add(generate(tmp_path / "other").keys[0].path)
    add(key.path)
    key.path.unlink()
    for signer in (*load_signers(key.public, nobody), agent_signer(key.fingerprint), agent_signer(key.fingerprint.removeprefix("SHA256:"))):
        assert signer.public_key == key.public_key
        signature = signer.sign(sshsig.signed_data(b"text", NAMESPACE))
        assert sshsig.verify(sshsig.parse(sshsig.encode(signer.public_key, NAMESPACE, signature)), b"text")


@pytest.mark.usefixtures("agent")
def test_a_key_that_the_agent_does_not_hold_is_told(tmp_path: Path) -> None:
    (key,) = generate(tmp_path / "id").keys
    with pytest.raises(KeyFailure, match="holds no key") as caught:
        load_signers(key.public, nobody)
    assert "ssh-add" in caught.value.hint


@pytest.mark.usefixtures("agent")
def test_a_locked_agent_does_not_sign(tmp_path: Path) -> None:
    (key,) = generate(tmp_path / "id").keys
    add(key.path)
    signer = agent_key(key.fingerprint)
    subprocess.run(["ssh-add", "-D"], check=True, capture_output=True)
    with pytest.raises(KeyFailure, match="does not sign"):
        signer.sign(b"text")


@pytest.mark.usefixtures("agent")
def test_an_rsa_key_of_the_agent_is_refused(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(tmp_path / "id")], check=True)
    add(tmp_path / "id")
    with pytest.raises(KeyFailure, match="is ssh-rsa"):
        load_signers(tmp_path / "id.pub", nobody)


def test_without_an_agent_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    with pytest.raises(KeyFailure, match="SSH_AUTH_SOCK is not set") as caught:
        agent_key("SHA256:x")
    assert "ssh-agent" in caught.value.hint


def test_an_agent_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(KeyFailure, match="does not answer"):
        agent_key("SHA256:x")


ANSWERS = {
    "nothing": b"",
    "half a length": b"\0\0",
    "length 0": bytes(4),
    "an endless length": b"\xff\xff\xff\xff",
    "less than it says": b"\0\0\0\x0a\x0c",
}
NO_KEYS = {
    "failure": b"\0\0\0\1\5",
    "no number of keys": b"\0\0\0\1\x0c",
    "no keys": b"\0\0\0\5\x0c\0\0\0\0",
    "a key that is cut off": b"\0\0\0\x0a\x0c\0\0\0\1\xff\xff\xff\xff\0",
}


@pytest.mark.parametrize("name", [*ANSWERS, *NO_KEYS])
def test_an_agent_that_answers_nonsense_is_a_failure(short: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(SOCKET_VARIABLE, str(short / "agent"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short / "agent"))
        server.listen()
        thread = threading.Thread(target=answer_once, args=(server, (ANSWERS | NO_KEYS)[name]))
        thread.start()
        with pytest.raises(KeyFailure, match="does not answer" if name in ANSWERS else "holds no key"):
            agent_key("SHA256:x")
        thread.join()


def answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(100)
        connection.sendall(answer)
