"""Signatures, for the independent reader: written from FORMAT.md, section 4, alone. cryptography knows the algorithms."""

import base64
import hashlib
import re
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, utils


class Refused(Exception):
    """The file is not a bundle that may be used; the message says why."""


def require(truth: object, why: str) -> None:
    if not truth:
        raise Refused(why)


# Of each type: the lengths of the key's fields (None: any), of the signature's first field, and of all that follows it.
LAYOUTS: dict[bytes, tuple[list[int | None], int | None, int]] = {
    b"ssh-ed25519": ([32], 64, 0),
    b"sk-ssh-ed25519@openssh.com": ([32, None], 64, 5),
    b"ecdsa-sha2-nistp384": ([8, 97], None, 0),
    b"mldsa87@wheelhouse": ([2592], 4627, 0),
}


def trusted_keys(allowed_signers: str) -> set[bytes]:
    keys = re.findall(r"^[^#].*?\s(?:sk-)?(?:ssh|ecdsa|mldsa)\S+\s+(AAAA\S+)", allowed_signers, re.MULTILINE)
    return {base64.b64decode(key) for key in keys}


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def strings(data: bytes, count: int) -> list[bytes]:
    """So many SSH strings, and what follows them."""
    found = []
    for _ in range(count):
        end = 4 + int.from_bytes(data[:4], "big")
        require(len(data) >= end, "an SSH string is cut short")
        found.append(data[4:end])
        data = data[end:]
    return [*found, data]


def armor(blob: bytes) -> bytes:
    lines = re.findall(".{1,70}", base64.b64encode(blob).decode())
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


def signed_by_trusted(member: str, armored: bytes, manifest: bytes, trusted: set[bytes]) -> bool:
    """Check 2, for one signature. One by a key that is not trusted must be well-formed, nothing else."""
    try:
        blob = base64.b64decode(b"".join(armored.split(b"\n")[1:-2]))
        key, namespace, reserved, algorithm, signature, end = strings(blob[10:], 5)
        namespace.decode()
        layout, fields = parse_signature(key, signature)
    except ValueError as error:
        raise Refused(f"{member}: {error}") from error
    sound = armor(blob) == armored and blob[:10] == b"SSHSIG\0\0\0\1" and (reserved, algorithm, end) == (b"", b"sha512", b"")
    named = f"signatures/{hashlib.sha256(key).hexdigest()[:32]}.sig" == member
    require(sound and named and len(armored) <= 64 << 10, f"{member} is not written as it must be")
    if key not in trusted:
        return False
    require(namespace == b"wheelhouse-bundle-v1", f"{member} is for something else")
    message = b"SSHSIG" + b"".join(map(string, (namespace, reserved, algorithm, hashlib.sha512(manifest).digest())))
    try:
        check_signature(layout, fields, message)
    except (InvalidSignature, ValueError) as error:
        raise Refused(f"{member} is not a good signature") from error
    return True


def parse_signature(key: bytes, signature: bytes) -> tuple[bytes, list[bytes]]:
    """The type, then the fields of key and signature."""
    kind, rest = strings(key, 1)
    kind.decode("ascii")
    if kind not in LAYOUTS:
        return kind, []
    lengths, length, tail = LAYOUTS[kind]
    *fields, end = strings(rest, len(lengths))
    same_kind, value, more = strings(signature, 2)
    wanted = zip([*lengths, length, tail, 0], [*fields, value, more, end], strict=True)
    require(same_kind == kind and all(size in (None, len(field)) for size, field in wanted), "a key or signature has another length")
    if kind == b"ecdsa-sha2-nistp384":
        r, s, rest = strings(value, 2)
        require(fields[0] == b"nistp384" and not rest, "another curve, or bytes after r and s")
        value = utils.encode_dss_signature(mpint(r), mpint(s))
    return kind, [*fields, value, more]


def mpint(data: bytes) -> int:
    number = int.from_bytes(data, "big")
    require(len(data) == (number.bit_length() // 8 + 1 if number else 0) <= 49, "a number that is negative, too long or not the shortest")
    return number


def check_signature(kind: bytes, fields: list[bytes], message: bytes) -> None:
    match kind, fields:
        case b"ssh-ed25519", [key, value, _]:
            check_ed25519(key, value, message)
        case b"sk-ssh-ed25519@openssh.com", [key, application, value, more]:
            require(more[0] & 1, "the security key was not touched")
            check_ed25519(key, value, hashlib.sha256(application).digest() + more + hashlib.sha256(message).digest())
        case b"ecdsa-sha2-nistp384", [_, point, value, _]:
            require(point[0] == 4, "a point is compressed")
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), point).verify(value, message, ec.ECDSA(hashes.SHA384()))
        case b"mldsa87@wheelhouse", [key, value, _]:
            mldsa.MLDSA87PublicKey.from_public_bytes(key).verify(value, message)
        case _:
            raise Refused("a key of an unknown type is trusted")


P, Y8 = 2**255 - 19, 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826  # Y8: of a point of order 8


def check_ed25519(key: bytes, signature: bytes, message: bytes) -> None:
    for point in (key, signature[:32]):
        y = int.from_bytes(point, "little") % 2**255
        require(y < P and y not in (0, 1, P - 1, Y8, P - Y8), "a point is not canonical, or of small order")
    ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
