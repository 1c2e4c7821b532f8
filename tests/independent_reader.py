"""A second reader of bundles, written from FORMAT.md alone, to prove that the specification is enough to write one.

It shares no code with the project and leans on other libraries where it can: zipfile for the control part, python-zstandard for frames,
cryptography for signatures. Section 4 is in independent_signatures.py, sections 5 and 7 are in independent_manifest.py. Where it and the
runtime disagree over a file, one of them or FORMAT.md is wrong. Numbers in comments are the checks of FORMAT.md, section 8. Left out are
8 and 9, which ask for more than the file: the specification of wheels, a host. So are volumes, policies of a trust store and the memory
of a host; the base of a delta must lie in a directory of wheels.

    python3 -m tests.independent_reader BUNDLE ALLOWED_SIGNERS [NEW DIRECTORY [DIRECTORY WITH THE BASE'S WHEELS]]
"""

import base64
import hashlib
import io
import itertools
import lzma
import shutil
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import zstandard

from tests.independent_manifest import Json, base_of, check_order, check_retold, parse_manifest
from tests.independent_signatures import Refused, require, signed_by_trusted, trusted_keys

MIB, CHUNK = 1 << 20, 4 << 20


# Sections 2 and 3: the file and its control part.


class Member(NamedTuple):
    """How it stands in the archive, and what the headers say of its content."""

    data: bytes
    crc: int
    size: int


def read_control(file: IO[bytes]) -> tuple[dict[str, Member], int]:
    """Check 1: the control part's members, and the payload's size."""
    total = file.seek(0, io.SEEK_END)
    file.seek(max(0, total - 22))
    end = file.read(22)
    require(len(end) == 22 and end[:4] == b"PK\5\6" and end[20:] == b"\0\0", "no ZIP end record at the end")
    length = 22 + sum(struct.unpack("<II", end[12:20]))
    require(length <= 256 * MIB and length + 8 <= total, "the control part's length is impossible")
    file.seek(total - length - 8)
    require(file.read(8) == struct.pack("<II", 0x184D2A57, length), "no skippable frame around the control part")
    return parse_control(file.read(length)), total - length - 8


def parse_control(control: bytes) -> dict[str, Member]:
    members: dict[str, Member] = {}
    at = 0
    while control[at : at + 4] == b"PK\3\4" and len(control) > at + 30:
        crc, packed, size, name = struct.unpack_from("<IIIH", control, at + 14)
        start = at + 30 + name
        members[control[at + 30 : start].decode("latin-1")] = Member(control[start : start + packed], crc, size)
        at = start + packed
    check_order("control part", sorted(members))
    require(len(members) <= 4096 and encode_control(members) == control, "the control part has another encoding")
    require("manifest.json" in members and members["manifest.json"].size <= 64 * MIB, "no manifest, or too long a one")
    return members


def is_deflated(name: str) -> bool:
    return name.startswith("wheelhouse_runtime/")


def encode_control(members: dict[str, Member]) -> bytes:
    archive = directory = b""
    for name, (data, crc, size) in sorted(members.items()):
        facts = (crc, len(data), size) if is_deflated(name) else (zlib.crc32(data), len(data), len(data))
        header = struct.pack("<5H3I2H", 20, 0, 8 if is_deflated(name) else 0, 0, 33, *facts, len(name), 0)
        tail = struct.pack("<3H2I", 0, 0, 0, 0o100644 << 16, len(archive))
        directory += b"PK\1\2" + bytes([20, 3]) + header + tail + name.encode("latin-1")
        archive += b"PK\3\4" + header + name.encode("latin-1") + data
    return archive + directory + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, len(members), len(members), len(directory), len(archive), 0)


def content_of(name: str, member: Member, size: int) -> bytes:
    """What the member holds, inflated if need be; after its digest was found right."""
    if not is_deflated(name):
        return member.data
    inflate = zlib.decompressobj(-15)
    content = inflate.decompress(member.data, size + 1)
    whole = inflate.eof and not inflate.unused_data
    require(whole and (zlib.crc32(content), len(content)) == member[1:], f"{name} is not what its headers say")
    return content


# Section 5: that the manifest agrees with the payload.


def check_entries(manifest: dict[str, Json]) -> None:
    """The frames hold the entries that the rest of the manifest asks for, and no others."""
    frames = manifest["transport"]["frames"]
    entries = [(path, size) for frame in frames for path, size in frame["entries"]]
    wheels = [wheel for wheel in manifest["distributions"] if wheel["filename"] not in base_of(manifest)["taken"]]
    kept = {"dense": "skeletons/", "plain": "wheels/"}[manifest["transport"]["mode"]]
    sizes = dict(entries) if kept == "skeletons/" else {kept + wheel["filename"]: wheel["size"] for wheel in wheels}
    expected = [(file["path"], file["size"]) for file in manifest["files"]]
    expected += [(kept + wheel["filename"], sizes.get(kept + wheel["filename"])) for wheel in wheels]
    pool = [entry for entry in entries if kept == "skeletons/" and entry[0].startswith("pool/")]
    require([path for path, _ in pool] == [f"pool/{n:04}" for n in range(len(pool))], "the pool's pieces are not in order")
    require(frames and sorted(entries) == sorted(expected + pool), "the payload's entries are not the expected ones")
    for frame in frames:
        tar_size = sum(len(tar_header(manifest, path, size)) + size + -size % 512 for path, size in frame["entries"])
        require(frame["tar_size"] == tar_size + (1024 if frame is frames[-1] else 0), "a frame's tar_size is not that of its entries")
        require(len(frame["chunks"]) == -(-frame["size"] // CHUNK) > 0, "a frame has another number of chunks")


# Section 6: the payload.


def ustar(name: bytes, size: int, kind: bytes) -> bytes:
    fields = (name, b"0000644", b"0000000", b"0000000", b"%011o" % size, b"0" * 11, b" " * 8, kind, b"ustar", b"00", b"0" * 7, b"0" * 7)
    header = struct.pack("100s8s8s8s12s12s8s1s100x6s2s64x8s8s167x", *fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def tar_header(manifest: dict[str, Json], path: str, size: int) -> bytes:
    """All that stands before an entry's contents."""
    path = f"{manifest['bundle']['name']}-{manifest['bundle']['version']}/{path}"
    records = b""
    for key, value, needed in (("path", path, len(path) > 100), ("size", size, size >= 8 << 30)):
        tail = f" {key}={value}\n"
        length = next(n for n in itertools.count(len(tail)) if n == len(f"{n}{tail}"))
        records += f"{length}{tail}".encode() if needed else b""
    pax = ustar(b"././@PaxHeader", len(records), b"x") + records + bytes(-len(records) % 512) if records else b""
    return pax + ustar(path.encode()[:100], size if size < 8 << 30 else 0, b"0")


def read_chunks(file: IO[bytes], frame: Json) -> Iterator[bytes]:
    """Check 6: the frame's compressed bytes, none before its digest is known to be right."""
    for number, digest in enumerate(frame["chunks"]):
        chunk = file.read(min(CHUNK, frame["size"] - number * CHUNK))
        require(hashlib.sha256(chunk).hexdigest() == digest, "a chunk has another digest")
        yield chunk


def decompress(file: IO[bytes], frame: Json, tar: IO[bytes]) -> None:
    decoder, end = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj(), tar.tell() + frame["tar_size"]
    chunks = read_chunks(file, frame)
    header = zstandard.get_frame_parameters((first := next(chunks))[:18])
    require(header.has_checksum and header.content_size == frame["tar_size"] and not header.dict_id, "a frame's header lacks something")
    for chunk in itertools.chain([first], chunks):
        for at in range(0, len(chunk), 1024):  # from which at most 32 MiB come
            require(not decoder.eof, "bytes after a frame's end")
            tar.write(decoder.decompress(chunk[at : at + 1024]))
            require(tar.tell() <= end, "a frame is longer than its tar_size")
    require(decoder.eof and not decoder.unused_data and tar.tell() == end, "a frame ends elsewhere")


def read_payload(file: IO[bytes], manifest: dict[str, Json], directory: Path) -> None:
    """Every entry as a file, but the pieces of the pool as one."""
    with tempfile.TemporaryFile() as tar:
        for frame in manifest["transport"]["frames"]:
            decompress(file, frame, tar)
        tar.seek(0)
        for path, size in itertools.chain.from_iterable(frame["entries"] for frame in manifest["transport"]["frames"]):
            header = tar_header(manifest, path, size)
            require(tar.read(len(header)) == header, f"{path} has another tar header")
            target = directory / ("pool" if path.startswith("pool/") else path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("ab") as out:
                out.writelines(pieces(tar, size))
            require(not any(tar.read(-size % 512)), f"{path} is not padded with NUL")
        require(not any(tar.read()), "the tar archive does not end in NUL")


def pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    for start in range(0, size, MIB):
        yield file.read(min(size - start, MIB))


# Skeletons.


def varints(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    """So many numbers, and where they end."""
    found = []
    for _ in range(count):
        end = next((n + 1 for n in range(at, min(at + 10, len(data))) if data[n] < 0x80), 0)
        found.append(sum((data[n] & 0x7F) << 7 * (n - at) for n in range(at, end)))
        require(end and found[-1] < 2**64 and (end == at + 1 or data[end - 1]), "a varint is cut short, too long, or not the shortest")
        at = end
    return found, at


def rebuild(skeleton: bytes, pool: IO[bytes], wheel: IO[bytes], limit: int) -> None:
    require(skeleton[:5] == b"WHSK\1", "not a skeleton")
    (flags, n), at = varints(skeleton, 5, 2)
    require(flags in (0, 1) and n <= len(skeleton), "a skeleton's flags or members are impossible")
    numbers, at = varints(skeleton, at, 3 * n)
    methods, ((last,), at) = skeleton[at : at + n], varints(skeleton, at + n, 1)
    require(at + sum(numbers[:n]) + last == len(skeleton), "a skeleton's literals have another length")
    directory, entries, pool_size, end = skeleton[len(skeleton) - last :], b"", pool.seek(0, io.SEEK_END), 0
    digests: dict[bytes, bytes] = {}
    for literal, move, length, method in zip(numbers[:n], numbers[n : 2 * n], numbers[2 * n :], methods, strict=True):
        start = end + (move >> 1 ^ -(move & 1))
        end = start + length
        require(0 <= start <= end < 2**63 and (end <= pool_size or not length), "a skeleton reaches beyond the pool")
        header, offset, at = skeleton[at : at + literal], wheel.tell(), at + literal
        pool.seek(start)
        wheel.seek(offset + literal)
        require(method < 0x80 or (flags and length <= 64 * MIB), "a RECORD is too long, or its members have no names")
        crc, digest = write_data(pool, wheel, method, length, limit, digests)
        facts = (method == 1, crc, wheel.tell() - offset - literal, length, offset)
        digests |= {header[30 : 30 + header[26] + 256 * header[27]]: digest} if flags and method != 1 and literal >= 30 else {}
        header, rest = filled(LOCAL, header, *facts) if flags else (header, b"")
        entry, directory = filled(CENTRAL, directory, *facts) if flags else (b"", directory)
        require(not rest, "a literal is more than a local header")
        wheel.seek(offset)
        wheel.write(header)
        wheel.seek(0, io.SEEK_END)
        entries += entry
    require(not flags or (directory[:4] == b"PK\5\6" and directory[20:22] == struct.pack("<H", len(directory) - 22)), "no end record")
    wheel.write(entries + directory)


# Of each kind of header: its magic, fixed length, and where its flags, its lengths, the derived sizes and the offset stand.
LOCAL, CENTRAL = (b"PK\3\4", 30, 6, (26, 28), 14, None), (b"PK\1\2", 46, 8, (28, 30, 32), 16, 42)


def filled(kind: Json, data: bytes, verbatim: bool, crc: int, size: int, raw_size: int, offset: int) -> tuple[bytes, bytes]:
    """The header with its derived fields, and what follows it."""
    magic, fixed, flags, lengths, derived, place = kind
    require(len(data) >= fixed and data[:4] == magic and not data[flags] & 8, "a literal is not a header without data descriptor")
    length = fixed + sum(data[at] + 256 * data[at + 1] for at in lengths)
    fields = {derived + 4: size} | ({} if verbatim else {derived: crc, derived + 8: raw_size}) | ({place: offset} if place else {})
    header = bytearray(data[:length])
    for at, value in fields.items():
        require(header[at : at + 4] == bytes(4) and (value < 2**32 - 1 or at == derived), "a derived field is not zero, or needs ZIP64")
        header[at : at + 4] = struct.pack("<I", value)
    require(len(data) >= length, "a header is cut short")
    return bytes(header), data[length:]


def unfiltered(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Undo the x86 filter of xz, by chunks of LZMA2 that are not compressed."""
    undo = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2}])
    for number, part in enumerate(chunk[at : at + 65536] for chunk in chunks for at in range(0, len(chunk), 65536)):
        yield undo.decompress(struct.pack(">BH", 1 if number == 0 else 2, len(part) - 1) + part)
    yield undo.decompress(b"\0")


def completed(text: bytes, digests: dict[bytes, bytes]) -> bytes:
    """A RECORD with the digests of the members before it."""
    lines = text.split(b"\n")
    for number, line in enumerate(lines):
        name, cut, rest = line.rpartition(b",sha256=" + b"=" * 43 + b",")
        require(not cut or name in digests, "a RECORD lacks a digest that nobody knows")
        lines[number] = name + b",sha256=" + base64.urlsafe_b64encode(digests[name])[:43] + b"," + rest if cut else line
    return b"\n".join(lines)


def write_data(pool: IO[bytes], wheel: IO[bytes], method: int, length: int, limit: int, digests: dict[bytes, bytes]) -> tuple[int, bytes]:
    """A member's data, by its method; tells the CRC-32 and the SHA-256 of its content."""
    flag, method = method & 0xC0, method & 0x3F
    require(flag != 0xC0 and not (flag and method == 1), "a method's flags do not go together")
    require(method in (0, 1) or (method >> 4 in (1, 2) and 1 <= method & 15 <= 9), "a method is not known")
    deflate = zlib.compressobj(method & 15, zlib.DEFLATED, -15, 7 + (method >> 4)) if method > 1 else None
    crc, digest, content = 0, hashlib.sha256(), pieces(pool, length)
    content = unfiltered(content) if flag == 0x40 else iter([completed(pool.read(length), digests)]) if flag else content
    for piece in content:
        crc = zlib.crc32(piece, crc)
        digest.update(piece)
        wheel.write(deflate.compress(piece) if deflate else piece)
        require(wheel.tell() <= limit, "a wheel grows longer than the manifest says")
    wheel.write(deflate.flush() if deflate else b"")
    return crc, digest.digest()


# Section 8: the checks, in order.


def verify(bundle: Path, trusted: set[bytes], directory: Path | None = None, base: Path | None = None) -> dict[str, Json]:
    """The manifest of a bundle that passes checks 1 to 6; with a new ``directory``, in which ``wheels`` then are, also 7."""
    try:
        with bundle.open("rb") as file:
            members, payload_size = read_control(file)
            manifest = read_manifest(members, trusted)
            frames = manifest["transport"]["frames"]
            require(sum(frame["size"] for frame in frames) == payload_size, "the payload has another size")  # check 5
            file.seek(0)
            if directory is None:
                sum(len(chunk) for frame in frames for chunk in read_chunks(file, frame))
            else:
                read_base(manifest, directory, base)
                read_payload(file, manifest, directory)
                check_contents(manifest, directory)
                check_decoders(manifest, members["decoders.tar.xz"].data if "decoders.tar.xz" in members else b"")
            return manifest
    except (ValueError, RecursionError, zlib.error, zstandard.ZstdError, lzma.LZMAError) as error:  # from JSON, text, times and frames
        raise Refused(str(error)) from error


def read_manifest(members: dict[str, Member], trusted: set[bytes]) -> dict[str, Json]:
    """Checks 2 to 4; without a policy this host has no name that an audience could hold."""
    data = members.pop("manifest.json").data
    signatures = {name: members.pop(name).data for name in list(members) if name.startswith("signatures/")}
    good = [signed_by_trusted(name, armored, data, trusted) for name, armored in signatures.items()]
    require(any(good) and len(good) <= 64, "no good signature by a trusted key, or too many signatures")
    manifest = parse_manifest(data)
    check_entries(manifest)
    compressed = b"".join(member.data for name, member in members.items() if name == "decoders.tar.xz" or is_deflated(name))
    require(manifest["transport"]["compressed"] == measured(compressed), "what stands compressed in the control part is something else")
    require([name.removesuffix(".xz") for name in members] == [each["path"] for each in manifest["control"]], "other control files")
    for (name, member), named in zip(members.items(), manifest["control"], strict=True):
        same = name == "decoders.tar.xz" or {"path": name, **measured(content_of(name, member, named["size"]))} == named
        require(same, f"{name} is not the one of the manifest")
    now = max(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), manifest["as_of"] or "")
    require(not manifest["policy"]["audience"] and now <= (manifest["policy"]["not_after"] or now), "not for this host, or not any more")
    return manifest


def measured(data: bytes) -> dict[str, Json]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def read_base(manifest: dict[str, Json], directory: Path, base: Path | None) -> None:
    """What a delta takes from its base: whole wheels, and the data of all members of some, with which the pool begins."""
    (directory / "wheels").mkdir(parents=True)
    needed = base_of(manifest)
    require(base or not needed["taken"] + needed["pool"], "the base is missing")
    for filename in needed["taken"]:
        shutil.copy(Path(base or "", filename), directory / "wheels")
    for wheel in needed["pool"]:
        check_file(Path(base or "", wheel["filename"]), wheel)
        with zipfile.ZipFile(Path(base or "", wheel["filename"])) as archive, (directory / "pool").open("ab") as pool:
            start = pool.tell()
            for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
                pool.write(archive.read(info))
            require(pool.tell() - start == wheel["pool_size"], "a wheel of the base adds another number of bytes to the pool")


def check_contents(manifest: dict[str, Json], directory: Path) -> None:
    """Check 7. Skeletons become wheels on the way."""
    for wheel in manifest["distributions"]:
        if manifest["transport"]["mode"] == "dense" and wheel["filename"] not in base_of(manifest)["taken"]:
            with (directory / "pool").open("ab+") as pool, (directory / "wheels" / wheel["filename"]).open("xb") as out:
                rebuild((directory / "skeletons" / wheel["filename"]).read_bytes(), pool, out, wheel["size"])
        check_file(directory / "wheels" / wheel["filename"], wheel)
    for other in manifest["files"]:
        check_file(directory / other["path"], other)
    check_retold(manifest, directory)


def check_decoders(manifest: dict[str, Json], archive: bytes) -> None:
    """Check 7, too: the content digest hangs on what the archive holds."""
    for named in manifest["control"]:
        if named["path"] == "decoders.tar":
            decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
            found = {"path": "decoders.tar", **measured(decoder.decompress(archive, 64 * MIB))}
            require(found == named and decoder.eof and not decoder.unused_data, "the decoders are not those of the manifest")


def check_file(path: Path, expected: Json) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    require((path.stat().st_size, digest) == (expected["size"], expected["sha256"]), f"{path.name} has another content")


if __name__ == "__main__":
    bundle, trust, *directories = map(Path, sys.argv[1:])
    try:
        verify(bundle, trusted_keys(trust.read_text("utf-8")), *directories)
    except Refused as refusal:
        sys.exit(f"refused: {refusal}")
