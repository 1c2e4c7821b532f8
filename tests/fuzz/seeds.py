"""The inputs with which fuzzing begins: true ones, small, of every kind that a parser knows."""

from __future__ import annotations

import base64
import json
import lzma
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.parsers import CONTENT, INFO, MESSAGE, POOL, RECORD, STREAM
from tests.support import frames, malformed_wheels
from tests.support.bundles import FOREIGN, OURS, draft, standing
from tests.support.keys import EcdsaKey, MldsaKey, SecurityKey
from tests.support.wheels import make_wheel
from wheelhouse_builder.pack.volumes import split
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.runtime import headers as zip_headers
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.control import encode_control
from wheelhouse_builder.runtime.layout import TAR_END, tar_header, tar_padding
from wheelhouse_builder.runtime.manifest import canonical_json
from wheelhouse_builder.runtime.skeleton import VERBATIM, Member, Skeleton, encode
from wheelhouse_builder.runtime.volumes import Header

CORPUS = Path(__file__).parent / "corpus"


def write_seeds() -> None:
    """Write ``corpus/<parser>/seed-<n>`` anew; what fuzzing added stays."""
    for parser, inputs in seeds().items():
        directory = CORPUS / parser
        directory.mkdir(parents=True, exist_ok=True)
        for path in directory.glob("seed-*"):
            path.unlink()
        for number, data in enumerate(inputs):
            (directory / f"seed-{number:02}").write_bytes(data)


def seeds() -> dict[str, list[bytes]]:
    """By parser."""
    with tempfile.TemporaryDirectory() as scratch:
        drafts = [draft(Path(scratch), mode=mode) for mode in ("plain", "dense")]
        wheels = [make_wheel(Path(scratch), "demo", "1.0", compression=kind).read_bytes() for kind in (0, 8)]
        wheels += [malformed_wheels.MALFORMED[name].build() for name in sorted(malformed_wheels.MALFORMED)[::4]]
    dense = encode_control(standing({**drafts[1].control, "manifest.json": canonical_json(drafts[1].document)}))
    return {
        "bundle": [made.signed(OURS) for made in drafts],
        "control": [dense, encode_control({"a": b""}), encode_control({})],
        "manifest": [canonical_json(made.document) for made in drafts],
        "signature": list(signatures()),
        "allowed_signers": list(trust_files()),
        "policy": list(policies()),
        "memory": list(memories()),
        "volume_header": [header.encode() for header in volume_headers()],
        "volume_set": list(volume_sets()),
        "frame": [frames.compress(content[:600], level=level) for content in frames.contents().values() for level in (1, 19)],
        "skeleton": list(skeletons()),
        "rewritten": [*skeletons(), *verbatim_skeletons()],
        "tar_header": [b"\x01\0\0\0\0\0README.txt", b"\0\0\0\0\2\0README.txt", b"\0\0\0\0\2\0" + b"long-path" * 30],
        "decoders": list(decoder_archives()),
        "zip_archive": wheels[:2],
        "wheel": wheels,
        "dist_info": list(dist_infos()),
        "compiled_code": list(modules()),
    }


def signatures() -> Iterator[bytes]:
    """By each type of key: as text, and as what the text encodes."""
    for key in (OURS, EcdsaKey(4), SecurityKey(5), MldsaKey(6)):
        armored = key.armored(MESSAGE)
        yield armored
        yield base64.b64decode(b"".join(armored.splitlines()[1:-1]))


def trust_files() -> Iterator[bytes]:
    yield "".join(key.allowed_signers_line() for key in (OURS, FOREIGN, EcdsaKey(4), SecurityKey(5))).encode()
    options = 'namespaces="wheelhouse-*,!file",valid-after="20200101",valid-before="20990101120000Z"'
    principal = '"a b",*@example.org'
    yield f"# ours\n\n{OURS.allowed_signers_line(principal=principal, options=options)}".encode()
    yield OURS.allowed_signers_line(options="cert-authority").encode()


def policies() -> Iterator[bytes]:
    yield json.dumps({"version": 3}).encode()
    fingerprint = sshsig.fingerprint(OURS.public_key)
    policy = {
        "version": 3,
        "threshold": 2,
        "roles": {"reviewer": {"required": 1, "holders": ["ann@example.org", fingerprint]}},
        "algorithms": ["ssh-ed25519"],
        "require_algorithms": ["ssh-ed25519", "mldsa87@wheelhouse"],
        "channels": ["stable"],
        "audience": "restricted-net",
        "max_age_days": 180,
        "revoked": {"version": 7, "keys": [fingerprint]},
    }
    yield json.dumps(policy).encode()


def memories() -> Iterator[bytes]:
    seen = {"sequence": 12, "digest": "0" * 64}
    state = {"version": 1, "channels": {"stable": seen}, "newest": "2026-11-19T12:00:00Z", "policy": 3, "revoked": 7, "rollbacks": []}
    yield json.dumps(state).encode()
    yield json.dumps({**state, "channels": {}, "newest": None, "policy": None, "revoked": None}).encode()


def volume_sets() -> Iterator[bytes]:
    """A bundle in two volumes with one for recovery: all of them, and each two."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = draft(folder, bulk=8000).signed(OURS)
        (folder / "a.whb").write_bytes(data)
        found = split(folder / "a.whb", len(data) - 1, folder, recovery=1, reporter=Silent())
        files = [path.read_bytes() for path in (*found.volumes, *found.recovery)]
    for chosen in (files, files[:2], files[1:], files[::2]):
        yield b"".join(len(file).to_bytes(2, "little") + file for file in chosen)


def volume_headers() -> Iterator[Header]:
    digests = {"digest": b"a" * 32, "sha256": b"b" * 32, "data_sha256": b"c" * 32}
    yield Header(number=1, volumes=1, recovery=0, size=1000, slice=1000, tail=1000, **digests)
    yield Header(number=5, volumes=4, recovery=2, size=3100, slice=1000, tail=600, **digests)


def modules() -> Iterator[bytes]:
    """Compiled code of each format, as far as it is read: one that needs glibc 2.28, and two for other systems."""
    names = b"\0libc.so.6\0GLIBC_2.28\0"
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    need = struct.pack("<HHIII", 1, 1, 1, 16, 0) + struct.pack("<IHHII", 0, 0, 2, 11, 0)
    dynamic_at = 64 + 2 * 56
    need_at = dynamic_at + 5 * 16
    names_at = need_at + len(need)
    tags = ((5, names_at), (10, len(names)), (0x6FFFFFFE, need_at), (0x6FFFFFFF, 1), (0, 0))
    segments = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, names_at + len(names), names_at + len(names), 4096)
    segments += struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, dynamic_at, dynamic_at, 80, 80, 8)
    yield header + segments + b"".join(struct.pack("<QQ", *tag) for tag in tags) + need + names
    yield b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<H", 0x8664)
    yield (
        b"\xca\xfe\xba\xbe"
        + struct.pack(">I", 2)
        + struct.pack(">IIIII", 0x01000007, 3, 0, 0, 0)
        + struct.pack(">IIIII", 0x0100000C, 0, 0, 0, 0)
    )


def skeletons() -> Iterator[bytes]:
    """One of each kind: empty, each sort of method, a RECORD without digests, and texts of all kinds."""
    yield encode(Skeleton((), ()))
    yield encode(Skeleton((), (), b"a comment"))
    members = tuple(Member(start, 300, method) for start, method in ((0, 0), (9000, 1), (300, 0x16), (4000, 0x69), (0, 0x11)))
    headers = tuple(header(f"demo/{number}.py") for number in range(len(members)))
    yield encode(Skeleton(members, headers))
    yield encode(Skeleton(members[:1], (headers[0]._replace(extra=b"\x99\x99\0\0", central_extra=b"\x98\x99\0\0", comment=b"?"),)))
    yield encode(Skeleton((members[0], Member(len(POOL) - len(STREAM) - len(RECORD), len(RECORD), 0x96)), headers[:2]))


def verbatim_skeletons() -> Iterator[bytes]:
    """One member that is a deflate stream as the wheel has it."""
    told = header("demo/a.py")._replace(compression=8, crc=zlib.crc32(CONTENT), size=len(CONTENT))
    yield encode(Skeleton((Member(len(POOL) - len(STREAM), len(STREAM), VERBATIM),), (told,)))


def header(name: str) -> zip_headers.Header:
    """As zipfile has it, of a file that is stored."""
    return zip_headers.Header(3 << 8 | 20, 20, 0, 0, 0x21 << 16, 0, 0o600 << 16, 0, 0, name.encode())


def decoder_archives() -> Iterator[bytes]:
    names = ("backports_zstd-1.0-cp311-cp311-manylinux_2_17_x86_64.whl/backports/zstd/_zstd.cpython-311-x86_64-linux-gnu.so", "a/b")
    tar = b"".join(tar_header(name, 4) + b"\x7fELF" + bytes(tar_padding(4)) for name in names) + TAR_END
    yield tar
    yield lzma.compress(tar)


def dist_infos() -> Iterator[bytes]:
    """The first byte is the number of the file in ``parsers.dist_info``."""
    yield b"\0demo/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n" + INFO.encode() + b"RECORD,,\n"
    yield b'\0"demo/a,b.py",sha512=AAAA,12\r\n"x""y",md5=A,\n'
    yield b"\1Metadata-Version: 2.4\nName: Demo\nVersion: 1.0\nSummary: a\n  b\n\nbody\n"
    yield b"\2Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n"
    yield b"\3[console_scripts]\ndemo = demo:main [extra]\n# no\n[gui_scripts]\nd2=demo:x\n"
