"""Signing keys of each type, the same for the same seed."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA87PrivateKey

from tests.support.bundles import Key
from wheelhouse_builder.adapters.keys import KeyFile
from wheelhouse_builder.runtime import sshsig

TOUCHED = 1


class EcdsaKey(Key):
    """ECDSA P-384. Its signatures differ each time."""

    @property
    def _file(self) -> KeyFile:
        return KeyFile(ec.derive_private_key(1000 + self.seed, ec.SECP384R1()))

    @property
    def public_key(self) -> bytes:
        return self._file.public_key

    def sign(self, data: bytes) -> bytes:
        return self._file.sign(data)


class MldsaKey(EcdsaKey):
    """ML-DSA-87. Its signatures differ each time."""

    @property
    def _file(self) -> KeyFile:
        return KeyFile(MLDSA87PrivateKey.from_seed_bytes(bytes([self.seed]) * 32))


@dataclass(frozen=True, slots=True)
class SecurityKey(Key):
    """What a FIDO2 key with Ed25519 does, in software."""

    flags: int = TOUCHED
    application: bytes = b"ssh:"

    @property
    def public_key(self) -> bytes:
        return b"".join(map(sshsig.string, (b"sk-ssh-ed25519@openssh.com", self.private.public_key().public_bytes_raw(), self.application)))

    def sign(self, data: bytes) -> bytes:
        flags_and_counter = struct.pack(">BI", self.flags, 7)
        message = hashlib.sha256(self.application).digest() + flags_and_counter + hashlib.sha256(data).digest()
        return sshsig.string(b"sk-ssh-ed25519@openssh.com") + sshsig.string(self.private.sign(message)) + flags_and_counter


def trusted_keys(allowed_signers: str) -> set[bytes]:
    """The keys in an ``allowed_signers`` file, whatever its options say."""
    lines = re.findall(r"^[^#].*?\s(?:sk-)?(?:ssh|ecdsa|mldsa)\S+\s+(AAAA\S+)", allowed_signers, re.MULTILINE)
    return set(map(base64.b64decode, lines))
