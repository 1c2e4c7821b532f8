"""ssh-agent: another process holds the private key, and signs with it (draft-ietf-sshm-ssh-agent)."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

from wheelhouse_builder.errors import KeyFailure
from wheelhouse_builder.runtime.sshsig import fingerprint, string

SOCKET_VARIABLE = "SSH_AUTH_SOCK"

_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
_LENGTH = struct.Struct(">I")
_MOST_BYTES = 1 << 20
"""No answer that we ask for is longer."""
_PATIENCE = 120.0
"""Seconds: as long as somebody may take to touch a security key, or to answer the agent's question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentKey:
    """A key that an agent holds; a :class:`~wheelhouse_builder.adapters.keys.Signer`."""

    agent: str
    """The path of the agent's socket."""
    public_key: bytes
    """Wire bytes."""

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data`` as SSH sends it. Raises KeyFailure."""
        request = bytes([_SIGN_REQUEST]) + string(self.public_key) + string(data) + _LENGTH.pack(0)
        answer = _ask(self.agent, request)
        if answer[0] != _SIGN_RESPONSE:
            raise KeyFailure(
                f"the agent does not sign with {fingerprint(self.public_key)}",
                hint="is it locked, was its question declined, or the security key not touched? `ssh-add -l` lists its keys",
            )
        return next(iter(_strings(answer[1:])), b"")  # whoever asked for a signature checks it


def agent_key(wanted: str) -> AgentKey:
    """The agent's key with the fingerprint ``wanted``; ``SHA256:`` may be left out. Raises KeyFailure."""
    agent = os.environ.get(SOCKET_VARIABLE)
    if not agent:
        raise KeyFailure(
            f"no ssh-agent is at hand: {SOCKET_VARIABLE} is not set", hint="start one with `eval $(ssh-agent)`, then `ssh-add KEY`"
        )
    name = "SHA256:" + wanted.removeprefix("SHA256:")
    answer = _ask(agent, bytes([_REQUEST_IDENTITIES]))
    # After the number of keys, each is two strings: wire bytes, comment.
    held = _strings(answer[1 + _LENGTH.size :])[::2] if answer[0] == _IDENTITIES_ANSWER else []
    for public_key in held:
        if fingerprint(public_key) == name:
            return AgentKey(agent=agent, public_key=public_key)
    raise KeyFailure(f"the agent holds no key {name}", hint="add it with `ssh-add KEY`; `ssh-add -l` lists the agent's keys")


def _ask(agent: str, request: bytes) -> bytes:
    """The agent's answer: one byte that says what it is, then what belongs to it. Raises KeyFailure."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect(agent)
            connection.sendall(string(request))
            size = _LENGTH.unpack(_receive(connection, _LENGTH.size))[0]
            if not 0 < size <= _MOST_BYTES:
                raise _no_answer(agent, f"its answer has {size} bytes")
            return _receive(connection, size)
    except OSError as error:
        raise _no_answer(agent, error.strerror or str(error)) from error


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionAbortedError("it closed the connection")
        data += part
    return data


def _strings(data: bytes) -> list[bytes]:
    """All of SSH's strings in ``data``; one that is cut off ends the list, as what no key and no signature is."""
    found, position = [], 0
    while position + _LENGTH.size <= len(data):
        start = position + _LENGTH.size
        position = start + _LENGTH.unpack_from(data, position)[0]
        found.append(data[start:position])
    return found


def _no_answer(agent: str, why: str) -> KeyFailure:
    return KeyFailure(
        f"the ssh-agent at {agent} does not answer: {why}", hint=f"does {SOCKET_VARIABLE} name the agent that runs? `ssh-add -l` asks it"
    )
