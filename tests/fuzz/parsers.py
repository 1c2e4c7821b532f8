"""One function for each parser. It takes any bytes, and raises what is a defect: all but the refusals that the parser promises."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard

from tests import independent_reader
from wheelhouse_builder.runtime import native, rewrite, sshsig, volumes, zstd_pure, zstd_wheel
from wheelhouse_builder.runtime import skeleton as skeletons
from wheelhouse_builder.runtime.bundle import open_bundle
from wheelhouse_builder.runtime.control import decode_control, encode_control, inflated, is_deflated
from wheelhouse_builder.runtime.errors import BundleRefused, SignatureRefused, WheelhouseError
from wheelhouse_builder.runtime.layout import NAMESPACE
from wheelhouse_builder.runtime.layout import tar_header as make_tar_header
from wheelhouse_builder.runtime.manifest import canonical_json, parse_manifest
from wheelhouse_builder.runtime.memory import read_memory
from wheelhouse_builder.runtime.policy import read_policy
from wheelhouse_builder.runtime.trust import read_allowed_signers
from wheelhouse_builder.runtime.wheel import wheel_problems
from wheelhouse_builder.runtime.xxh64 import Xxh64
from wheelhouse_builder.runtime.ziparchive import zip_problems
from wheelhouse_builder.runtime.zstd_frame import Frame

WHEEL = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info/"
CONTENT = b"wheelhouse " * 40
STREAM = zlib.compress(CONTENT, 9)[2:-4]
"""CONTENT as a raw deflate stream; it ends the pool."""
RECORD = b"demo/0.py,sha256=" + b"=" * 43 + b",300\ndemo/5.py,,\n"
"""A RECORD without a digest; it stands before STREAM."""
POOL = b"".join(hashlib.sha512(bytes([number])).digest() + CONTENT for number in range(64)) + RECORD + STREAM
MESSAGE = b"{}\n"
"""What is signed in the corpus."""
LIMIT = 1 << 20
"""Bytes that an input may become."""
_SCRATCH = tempfile.TemporaryDirectory(prefix="wheelhouse-fuzz-")

refusals = contextlib.suppress(WheelhouseError)
"""What each parser may answer to bytes that are not as they must be."""


def file_of(data: bytes) -> str:
    """The path of a file that holds ``data`` until the next call."""
    path = Path(_SCRATCH.name, "input")
    path.write_bytes(data)
    return str(path)


# The file and its control part


def bundle(data: bytes) -> None:
    """Trailer, control part, manifest and signatures, as ``inspect`` reads them."""
    with refusals:
        open_bundle(file_of(data))


def control(data: bytes) -> None:
    """The archive, and what its deflated members hold."""
    with refusals:
        members = decode_control(data)
        assert encode_control(members) == data
        for name in filter(is_deflated, members):
            with refusals:
                assert len(inflated(name, members[name], len(members[name]))) == len(members[name])


def manifest(data: bytes) -> None:
    """The bytes as they are, and, if they are JSON, in the one encoding that gets further; both readers say the same of them."""
    for encoded in [data, *canonical(data)]:
        accepted = accepts(parse_manifest, encoded)
        assert accepted == accepts(independent_reader.parse_manifest, encoded)
        assert not accepted or canonical_json(parse_manifest(encoded).document) == encoded


def accepts(check: Callable[..., object], *arguments: object) -> bool:
    """Whether a reader refuses nothing."""
    try:
        check(*arguments)
    except (WheelhouseError, independent_reader.Refused, *independent_reader.MALFORMED):
        return False
    return True


def canonical(data: bytes) -> Iterator[bytes]:
    with contextlib.suppress(ValueError, RecursionError):
        yield canonical_json(json.loads(data))


def signature(data: bytes) -> None:
    """The bytes as the armored text, and as what it encodes; both readers say the same of it, also if they trust the key."""
    for armored in (data, independent_reader.armor(data)):
        with refusals:
            found = sshsig.parse(armored)
            assert sshsig.encode(found.public_key, found.namespace, found.signature) == armored
            signed = (sshsig.member_name(found.public_key), armored, MESSAGE)
            ours = found.namespace == NAMESPACE
            assert accepts(independent_reader.signed_by_trusted, *signed, set()) == ours
            assert accepts(independent_reader.signed_by_trusted, *signed, {found.public_key}) == (ours and is_good(found))


def is_good(found: sshsig.Sshsig) -> bool:
    try:
        return sshsig.verify(found, MESSAGE)
    except SignatureRefused:
        return False


def allowed_signers(data: bytes) -> None:
    with refusals:
        for line in (found := read_allowed_signers(file_of(data))).lines:
            found.trusts(line.public_key, "wheelhouse-bundle-v1", 1.8e9)


def policy(data: bytes) -> None:
    with refusals:
        read_policy(file_of(data))


def memory(data: bytes) -> None:
    """What a host remembers, as it stands in its state file."""
    with refusals:
        assert read_memory(file_of(data)).now(2e9) >= 2e9


def volume_header(data: bytes) -> None:
    """The bytes as they are, and with the digest that they must have."""
    fields = data[: volumes.HEADER.size - 32]
    for header in (data, fields + hashlib.sha256(fields).digest()):
        with refusals:
            found = volumes.decode_header(header)
            assert found is None or found.encode() == header[: volumes.HEADER.size]
            assert found is None or sum(volumes.extent(found, number + 1)[1] for number in range(found.volumes)) == found.size


def volume_set(data: bytes) -> None:
    """Files in one directory, whose headers have the digests that they must have: what is read of them is as long as they say."""
    folder = Path(_SCRATCH.name, "volumes")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, content in enumerate(files_in(data)):
        fields = content[: volumes.HEADER.size - 32]
        (folder / str(number)).write_bytes(fields + hashlib.sha256(fields).digest() + content[volumes.HEADER.size :])
    with refusals, contextlib.closing(volumes.open_source(str(folder))) as source:
        if source.size <= LIMIT:
            assert len(source.read(0, source.size)) == source.size
            source.damage()
            assert len(source.read(0, source.size)) == source.size


def files_in(data: bytes) -> Iterator[bytes]:
    """Each is preceded by its length, two bytes, little-endian."""
    while data:
        length = int.from_bytes(data[:2], "little")
        yield data[2 : 2 + length]
        data = data[2 + length :]


# The payload


def frame(data: bytes) -> None:
    """The pure decoder must say of each frame what libzstd says."""
    size = claimed_size(data)
    if size is None:
        with refusals:
            list(zstd_pure.decode(Frame([data], 0)))
        return
    content = without_checksum(data, size)
    sound = with_checksum(data, content) if content is not None else data
    assert decoded(sound, size) == libzstd(sound)


def claimed_size(data: bytes) -> int | None:
    """The content's size as the header has it, if it is a header, and the size no burden."""
    try:
        size = zstandard.get_frame_parameters(data).content_size
    except zstandard.ZstdError:
        return None
    return size if size <= LIMIT else None


def without_checksum(data: bytes, size: int) -> bytes | None:
    """What the pure decoder makes of the frame before it compares the checksum; None: it is refused before."""
    pieces: list[bytes] = []
    with refusals:
        pieces.extend(zstd_pure.decode(Frame([data], size)))
    content = b"".join(pieces)
    return content if len(content) == size else None


def with_checksum(data: bytes, content: bytes) -> bytes:
    """The same frame with the checksum that it must have, so that mutants are not all alike refused for theirs."""
    checksum = Xxh64()
    checksum.update(content)
    return data[:-4] + (checksum.digest() & 0xFFFFFFFF).to_bytes(4, "little")


def decoded(data: bytes, size: int) -> bytes | None:
    try:
        content = b"".join(zstd_pure.decode(frame := Frame([data], size)))
        frame.require_end()
    except BundleRefused:
        return None
    return content if len(content) == size else None


def libzstd(data: bytes) -> bytes | None:
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    try:
        content = decoder.decompress(data)
        header = zstandard.get_frame_parameters(data)
    except zstandard.ZstdError:
        return None
    plain = header.has_checksum and not data[4] & 0x0B
    return content if decoder.eof and not decoder.unused_data and plain else None


def skeleton(data: bytes) -> None:
    """Both readers rebuild the same wheel, or none."""
    assert rebuilt_by_runtime(data) == rebuilt_by_reader(data)


def rebuilt_by_runtime(data: bytes) -> bytes | None:
    out = io.BytesIO()
    try:
        found = skeletons.decode(data)
        assert skeletons.encode(found) == data
        skeletons.rebuild(found, read_pool, out, LIMIT)
    except BundleRefused:
        return None
    return out.getvalue()


def read_pool(start: int, length: int) -> Iterator[bytes]:
    """Pieces of the pool, of odd lengths."""
    if length and start + length > len(POOL):
        raise BundleRefused("beyond the pool")
    for at in range(start, start + length, 1000):
        yield POOL[at : min(at + 1000, start + length)]


def rebuilt_by_reader(data: bytes) -> bytes | None:
    try:
        found = independent_reader.rebuild(data, POOL, LIMIT)
    except (independent_reader.Refused, *independent_reader.MALFORMED):
        return None
    return found if len(found) <= LIMIT else None


def rewritten(data: bytes) -> None:
    """What a host with another zlib writes in place of the wheel is a sound ZIP archive with as many members."""
    with refusals:
        found = skeletons.decode(data)
        if sum(member.length for member in found.members) > LIMIT:
            return
        rewrite.rewrite(found, read_pool, out := io.BytesIO())
        with zipfile.ZipFile(out) as archive:
            assert len(archive.infolist()) == len(found.members)
            assert archive.testzip() is None


def tar_header(data: bytes) -> None:
    """The header of an entry, computed from any path and size, is read by tarfile as just these."""
    size = int.from_bytes(data[:6], "little")
    path = "".join(chr(0x21 + byte % 0x5E) for byte in data[6:]).replace("/", "-").replace("-", "/").strip("/") or "x"
    with tarfile.open(fileobj=io.BytesIO(make_tar_header(path, size))) as archive:
        found = archive.next()
    assert found is not None
    assert (found.name, found.size, found.mode, found.mtime, found.type) == (path, size, 0o644, 0, tarfile.REGTYPE)


def decoders(data: bytes) -> None:
    """The bytes as the xz file, and as the tar within. Nothing of it is imported."""
    for archive in (data, lzma.compress(data, preset=0)):
        with refusals:
            zstd_wheel._fitting(archive)


# Wheels


def zip_archive(data: bytes) -> None:
    if not zip_problems(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None


def wheel(data: bytes) -> None:
    if not wheel_problems(io.BytesIO(data), WHEEL):
        zip_archive(data)


def dist_info(data: bytes) -> None:
    """The first byte chooses the file of the .dist-info directory that the others are."""
    names = ("RECORD", "METADATA", "WHEEL", "entry_points.txt")
    members = {
        "demo/__init__.py": b"",
        INFO + "METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
        INFO + "WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        INFO + "RECORD": b"",
        INFO + names[data[0] % len(names) if data else 0]: data[1:],
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    wheel(stream.getvalue())


def compiled_code(data: bytes) -> None:
    with contextlib.suppress(native.Malformed):
        native.read_code(io.BytesIO(data))


PARSERS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        bundle,
        control,
        manifest,
        signature,
        allowed_signers,
        policy,
        memory,
        volume_header,
        volume_set,
        frame,
        skeleton,
        rewritten,
        tar_header,
        decoders,
        zip_archive,
        wheel,
        dist_info,
        compiled_code,
    )
}
