"""A second reader of bundles, written from FORMAT.md and its schema alone, to prove that they are enough to write one.

It shares no code with the project, leans on other libraries where it can, and holds the whole bundle in memory. What has one encoding it
encodes again and compares. Where it and the runtime disagree over a file, one of them or FORMAT.md is wrong. Numbers in comments are
sections of FORMAT.md, and "check" is one of section 8. Left out are checks 8 and 9, which ask for more than the file: the specification of
wheels, a host. So are volumes and policies of a trust store; the base of a delta is a directory of wheels.
"""

import base64
import hashlib
import io
import json
import lzma
import re
import struct
import tarfile
import unicodedata
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import tomli_w
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, utils
from jsonschema import Draft202012Validator, ValidationError, validators
from packaging.utils import canonicalize_name, canonicalize_version
from zstandard import ZstdDecompressor, ZstdError, get_frame_parameters

Json = Any
MALFORMED = (ValueError, LookupError, RuntimeError, ValidationError, InvalidSignature, struct.error, zlib.error, ZstdError, BadZipFile)
MIB, CHUNK = 1 << 20, 4 << 20


class Refused(Exception):
    """The file is not a bundle that may be used; the message says why."""


def require(truth: object, why: str) -> None:
    if not truth:
        raise Refused(why)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_content(data: bytes, of: Json) -> bool:
    return (len(data), sha256(data)) == (of["size"], of["sha256"])


# 2 and 3: the file and its control part. A member is its bytes as they stand, and what the headers say of its content: CRC-32 and size.

Members = dict[str, tuple[bytes, int, int]]
RUNTIME = "wheelhouse_runtime/"


def read_control(bundle: bytes) -> tuple[Members, bytes]:
    """Check 1: the members of the control part, and the payload."""
    length = 22 + sum(struct.unpack("<II", bundle[-10:-2].ljust(8)))
    payload, frame, control = bundle[: -length - 8], bundle[-length - 8 : -length], bundle[-length:]
    members: Members = {}
    for info in ZipFile(io.BytesIO(control)).infolist():
        start = info.header_offset + 30 + len(info.filename)
        members[info.filename] = (control[start : start + info.compress_size], info.CRC, info.file_size)
    require(length <= 256 * MIB and frame == struct.pack("<II", 0x184D2A57, length), "no skippable frame around a control part")
    require(len(members) <= 4096 and encode_control(members) == control, "the control part has another encoding")
    return members, payload


def encode_control(members: Members) -> bytes:
    archive = directory = b""
    for name, (data, crc, size) in sorted(members.items()):
        method, *facts = (8, crc, len(data), size) if name.startswith(RUNTIME) else (0, zlib.crc32(data), len(data), len(data))
        header = struct.pack("<5H3I2H", 20, 0, method, 0, 33, *facts, len(name), 0)
        directory += b"PK\1\2\x14\3" + header + struct.pack("<3H2I", 0, 0, 0, 0o100644 << 16, len(archive)) + name.encode()
        archive += b"PK\3\4" + header + name.encode() + data
    return archive + directory + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(members), len(members), len(directory), len(archive), 0)


# 4: signatures.

P, Y8 = 2**255 - 19, 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = {0, 1, P - 1, Y8, P - Y8}  # y of the points of Ed25519 whose order divides 8


def encoded(*strings: bytes) -> bytes:
    """SSH strings, back to back."""
    return b"".join(struct.pack(">I", len(string)) + string for string in strings)


def decoded(data: bytes) -> list[bytes]:
    """The SSH strings that ``data`` consists of."""
    strings: list[bytes] = []
    while rest := data[len(encoded(*strings)) :]:
        strings.append(rest[4 : 4 + int.from_bytes(rest[:4], "big")])
    require(encoded(*strings) == data, "an SSH string is cut short")
    return strings


def armor(blob: bytes) -> bytes:
    lines = re.findall(".{1,70}", base64.b64encode(blob).decode())
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


def signed_by_trusted(member: str, armored: bytes, manifest: bytes, trusted: set[bytes]) -> bool:
    """Check 2, for one signature: whether a trusted key made it. Then it must be good, too."""
    blob, terms = base64.b64decode(b"".join(armored.split(b"\n")[1:-2])), (b"wheelhouse-bundle-v1", b"", b"sha512")
    key, *_, signature = decoded(blob[10:])
    sound = armor(b"SSHSIG\0\0\0\1" + encoded(key, *terms, signature)) == armored and len(armored) <= 64 << 10
    require(sound and member == f"signatures/{sha256(key)[:32]}.sig", f"{member} is not written as it must be")
    if key in trusted:
        check_signature(key, signature, b"SSHSIG" + encoded(*terms, hashlib.sha512(manifest).digest()))
    return key in trusted


def check_signature(key: bytes, signature: bytes, message: bytes) -> None:
    kind, *fields = decoded(key)
    more = signature[-5:] if kind.startswith(b"sk-") else b""  # flags and counter
    same_kind, value = decoded(signature.removesuffix(more))
    require(same_kind == kind, "key and signature are of two types")
    match kind, fields:
        case b"ssh-ed25519" | b"sk-ssh-ed25519@openssh.com", [point, *application]:
            ys = [int.from_bytes(each, "little") % 2**255 for each in (point, value[:32])]
            require(max(ys) < P and not SMALL_ORDER & {*ys}, "a point is not canonical, or of small order")
            require(len(application) == bool(more) and (not more or more[0] & 1), "the security key was not touched, or is none")
            message = hashlib.sha256(application[0]).digest() + more + hashlib.sha256(message).digest() if more else message
            ed25519.Ed25519PublicKey.from_public_bytes(point).verify(value, message)
        case b"ecdsa-sha2-nistp384", [b"nistp384", point]:
            r, s = (int.from_bytes(number, "big", signed=True) for number in decoded(value))
            shortest = encoded(*(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"" for number in (r, s)))
            require(value == shortest and point[0] == 4, "a number is not the shortest, or a point is compressed")
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), point)
            public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA384()))
        case b"mldsa87@wheelhouse", [public]:
            mldsa.MLDSA87PublicKey.from_public_bytes(public).verify(value, message)
        case _:
            raise Refused("a key of an unknown type is trusted")


# 5 and 7: the manifest. The schema says what each value may be; here stands what it cannot say.

TEXT = re.compile(r'(?:[^\\\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|\\["\\])*\n')
SCHEMA = json.loads((Path(__file__).parents[1] / "wheelhouse_builder/pack/manifest.schema.json").read_text("utf-8"))


def sorted_by(_validator: Json, keys: list[str], items: list[Json], _schema: Json) -> Json:
    names = [" ".join(item[key] for key in keys) if keys else item for item in items]
    if names != sorted(names) or len({name.lower() for name in names}) < len(names):
        yield ValidationError("a list is not sorted, or has something twice")


Validator = validators.extend(Draft202012Validator, {"sortedBy": sorted_by})  # type: ignore[no-untyped-call]


def without_twins(pairs: list[tuple[str, Json]]) -> Json:
    require(len(dict(pairs)) == len(pairs), "a key stands twice")
    return dict(pairs)


def parse(data: bytes, kind: str) -> Json:
    """A JSON document that is what the schema calls ``kind``."""
    document = json.loads(data.decode(), object_pairs_hook=without_twins, parse_float=str)
    Validator(SCHEMA | {"$ref": f"#/$defs/{kind}"}).validate(document)
    return document


def canonical(document: Json) -> bytes:
    return (json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def parse_manifest(data: bytes) -> Json:
    """The manifest, which is canonical and does not contradict itself; the rest of check 3 is about other bytes."""
    manifest, text = parse(data, "manifest"), data.decode()
    require(canonical(manifest) == data and TEXT.fullmatch(text) and unicodedata.is_normalized("NFC", text), "it is not canonical")
    wheels = {wheel["filename"]: wheel for wheel in manifest["distributions"]}
    check_targets(manifest, wheels)
    check_origins(manifest, wheels)
    check_files(manifest, wheels)
    check_entries(manifest, wheels)
    return manifest


def check_targets(manifest: Json, wheels: Json) -> None:
    """What the manifest says of targets, wheels and decoders agrees."""
    targets = {target["name"]: target for target in manifest["targets"]}
    for filename, wheel in wheels.items():
        project, version, *_ = filename.split("-")
        same = canonicalize_name(project) == wheel["project"] and canonicalize_version(version) == canonicalize_version(wheel["version"])
        require(same and targets.keys() >= set(wheel["targets"]), f"{filename} is of another project or version, or for a stranger")
    for name, target in targets.items():
        python, platform = name.split("-")
        named = platform == target["platforms"][0] or not re.search(SCHEMA["$defs"]["platform"]["pattern"], platform)
        honest = named and python in (target["interpreter"], target["abi"]) and wheels[target["pip"]]["project"] == "pip"
        require(honest, f"{name} is the name of another target, or has no pip")
    needed = {target["decoder"] for target in targets.values()} - {None}
    require({each["filename"] for each in manifest["decoders"]} == needed, "the decoders are not those of the targets")


def check_origins(manifest: Json, wheels: Json) -> None:
    """What is excused, was built or is taken from a base is a wheel of the bundle, and the same one."""
    base, all_wheels = base_of(manifest), manifest["distributions"] + manifest["decoders"]
    require(wheels.keys() >= {each["filename"] for each in manifest["excused"]} | set(base["taken"]), "a stranger is excused or taken")
    made = {(wheel["filename"], wheel["origin"]["url"]) for wheel in all_wheels if wheel["origin"]["kind"] == "built"}
    require({(each["filename"], each["sdist"]["url"]) for each in manifest["built"]} == made, "how a wheel was built is told of another")
    require(len(manifest["transport"]["logs"]) == len(manifest["built"]), "a log is of no build, or a build without one")
    twins = [(each, wheels[each["filename"]]) for each in base["pool"] if each["filename"] in base["taken"]]
    require(all((one["size"], one["sha256"]) == (two["size"], two["sha256"]) for one, two in twins), "a wheel of the base is two wheels")
    require(base["digest"] != sha256(canonical({key: manifest[key] for key in manifest if key != "transport"})), "it is its own base")


def base_of(manifest: Json) -> Json:
    """What a delta takes from its base; nothing, if the bundle is no delta."""
    return manifest["transport"]["base"] or {"taken": [], "pool": [], "digest": ""}


def check_files(manifest: Json, wheels: Json) -> None:
    """The payload's files are those that there must be, and perhaps bytecode."""
    files = {"README.txt"} | {f"files/{each['path']}" for each in manifest["placed"]}
    files |= {f"attestations/{wheel['filename']}.json" for wheel in manifest["distributions"] + manifest["decoders"] if wheel["attested"]}
    if manifest["bundle"]["kind"] == "application":
        files |= {f"targets/{target['name']}/{lock}" for target in manifest["targets"] for lock in ("pylock.toml", "requirements.txt")}
    bytecode = {f"bytecode/{target['interpreter']}/{filename}" for target in manifest["targets"] for filename in wheels}
    require(files <= {each["path"] for each in manifest["files"]} <= files | bytecode, "the files are not those that there must be")


def check_entries(manifest: Json, wheels: Json) -> None:
    """The frames hold the entries that the rest of the manifest asks for, and no others."""
    entries = [(path, size) for frame in manifest["transport"]["frames"] for path, size in frame["entries"]]
    found, wanted = dict(entries), {each["path"]: each["size"] for each in manifest["files"]}
    is_dense = manifest["transport"]["mode"] == "dense"
    for name in wheels.keys() - base_of(manifest)["taken"]:
        skeleton = f"skeletons/{name}"
        wanted |= {skeleton: found[skeleton]} if is_dense and skeleton in found else {f"wheels/{name}": wheels[name]["size"]}
    pool = [path for path, _ in entries if path.startswith("pool/") and is_dense]
    require(pool == [f"pool/{n:04}" for n in range(len(pool))], "the pool's pieces are not in order")
    require(found == wanted | {path: found[path] for path in pool} and len(found) == len(entries), "the entries are not the expected ones")


# 6: the payload.


def read_frames(manifest: Json, payload: bytes) -> list[bytes]:
    """Checks 5 and 6: the frames, the digests of whose chunks are right."""
    file, frames = io.BytesIO(payload), manifest["transport"]["frames"]
    require(sum(frame["size"] for frame in frames) == len(payload), "the payload has another size")
    found = [file.read(frame["size"]) for frame in frames]
    chunks = [[sha256(data[at : at + CHUNK]) for at in range(0, len(data), CHUNK)] for data in found]
    require(chunks == [frame["chunks"] for frame in frames], "a chunk has another digest")
    return found


def read_entries(manifest: Json, frames: list[bytes]) -> dict[str, bytes]:
    """Every entry, of frames that are the signed ones."""
    entries, root = dict[str, bytes](), f"{manifest['bundle']['name']}-{manifest['bundle']['version']}"
    for named, frame in zip(manifest["transport"]["frames"], frames, strict=True):
        told, decoder = get_frame_parameters(frame), ZstdDecompressor().decompressobj()
        tar, expected = decoder.decompress(frame), b""
        require(told.has_checksum and told.content_size == len(tar) and decoder.eof and not decoder.unused_data, "a frame is malformed")
        for path, size in named["entries"]:
            header = tarfile.TarInfo(f"{root}/{path}")
            header.size = size
            expected += header.tobuf(tarfile.PAX_FORMAT)
            entries[path] = tar[len(expected) : len(expected) + size]
            expected += entries[path] + bytes(-size % 512)
        require(tar == expected + bytes(1024 if named is manifest["transport"]["frames"][-1] else 0), "the tar archive is another")
    return entries


# 6: skeletons.

METHODS = {flag | base | level for flag in (0, 0x40, 0x80) for base in (0x10, 0x20) for level in range(1, 10)} | {0, 1, 0x40, 0x80}
LACKING = re.compile(rb"^(.*),sha256=={43},", re.MULTILINE)  # a line of a RECORD without its digest, up to there


def varint(data: io.BytesIO) -> int:
    encoded = data.read(1)
    while encoded[-1:] > b"\x7f" and (more := data.read(1)):
        encoded += more
    number = sum((byte & 0x7F) << 7 * n for n, byte in enumerate(encoded))
    require(encoded[-1:] < b"\x80" and (encoded[-1:] > b"\0" or len(encoded) == 1) and number < 2**64, "a varint is malformed")
    return number


def rebuild(skeleton: bytes, pool: bytes, limit: int) -> bytes:
    """The wheel of a skeleton, of at most so many bytes."""
    data, wheel, directory, end, digests = io.BytesIO(skeleton), bytearray(), bytearray(), 0, dict[bytes, bytes]()
    require(data.read(5) == b"WHSK\1" and (n := varint(data)) < 65535, "not a skeleton, or one of too many members")
    moves, lengths = [[varint(data) for _ in range(n)] for _ in range(2)]
    methods, numbers = data.read(n), [struct.unpack(f"<{n}{kind}", data.read(n * struct.calcsize(kind))) for kind in "HHHHIHIII"]
    sizes = [[varint(data) for _ in range(n)] for _ in range(4)]
    texts = [[data.read(min(size, 65536)) for size in column] for column in sizes]
    require([list(map(len, column)) for column in texts] == sizes, "a skeleton is cut short")
    for move, length, method, name, extra, central_extra, remark, *fields in zip(moves, lengths, methods, *texts, *numbers, strict=True):
        start = end + (move >> 1 ^ -(move & 1))
        end = start + length
        made_by, needed, flags, kind, moment, internal, external, crc, size = fields
        require(0 <= start <= end < 2**63 and (end <= len(pool) or not length), "a skeleton reaches beyond the pool")
        require(method in METHODS and (method == 1 or not crc | size) and (method < 0x80 or length <= 64 * MIB), "a member is malformed")
        content = content_of(pool[start:end], method & 0xC0, digests)
        deflate = zlib.compressobj(method & 15, zlib.DEFLATED, -15, 7 + (method >> 4 & 3))
        member = deflate.compress(content) + deflate.flush() if method & 0x3F > 1 else content
        if method != 1:
            crc, size, digests[name] = zlib.crc32(content), len(content), hashlib.sha256(content).digest()
        require(max(len(member), size, len(wheel)) < 2**32 - 1 and len(wheel) <= limit, "a wheel needs ZIP64, or is longer than it may be")
        common = struct.pack("<3H4I2H", needed, flags, kind, moment, crc, len(member), size, len(name), len(extra))
        more = struct.pack("<4H2I", len(central_extra), len(remark), 0, internal, external, len(wheel))
        directory += struct.pack("<4sH", b"PK\1\2", made_by) + common[:-2] + more + name + central_extra + remark
        wheel += b"PK\3\4" + common + name + extra + member
    require(max(len(wheel), len(directory)) < 2**32 - 1, "a wheel needs ZIP64")
    comment = data.read()
    return bytes(wheel + directory) + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, n, n, len(directory), len(wheel), len(comment)) + comment


def content_of(data: bytes, flag: int, digests: dict[bytes, bytes]) -> bytes:
    """A member's content, made of its pool bytes."""
    if flag == 0x40:  # undo the x86 filter of xz, by chunks of LZMA2 that are not compressed
        undo = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2}])
        parts = [data[at : at + 65536] for at in range(0, len(data), 65536)]
        return undo.decompress(b"".join(struct.pack(">BH", 2 if n else 1, len(part) - 1) + part for n, part in enumerate(parts)) + b"\0")
    if flag == 0x80:
        return LACKING.sub(lambda place: place[1] + b",sha256=" + base64.urlsafe_b64encode(digests[place[1]])[:43] + b",", data)
    return data


# 8: the checks, in order.


def verify(path: Path, trusted: set[bytes], base: Path | None = None, *, deep: bool = True) -> tuple[Json, dict[str, bytes]]:
    """The manifest of a bundle that passes checks 1 to 6, and its files and wheels, if it is to pass check 7, too."""
    try:
        members, payload = read_control(path.read_bytes())
        manifest = read_manifest(members, trusted)
        frames = read_frames(manifest, payload)
        return manifest, read_files(manifest, read_entries(manifest, frames), base) if deep else {}
    except MALFORMED as error:
        raise Refused(str(error)) from error


def read_manifest(members: Members, trusted: set[bytes]) -> Json:
    """Checks 2 to 4; without a policy this host has no name that an audience could hold."""
    data, *_ = members.pop("manifest.json")
    good = [signed_by_trusted(name, members.pop(name)[0], data, trusted) for name in [*members] if name.startswith("signatures/")]
    require(any(good) and len(good) <= 64 and len(data) <= 64 * MIB, "no good signature by a trusted key, or too many signatures")
    manifest = parse_manifest(data)
    check_control(manifest, members)
    now = max(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), manifest["as_of"] or "")
    require(not manifest["policy"]["audience"] and now <= (manifest["policy"]["not_after"] or now), "not for this host, or not any more")
    return manifest


def check_control(manifest: Json, members: Members) -> None:
    """The members are those that the manifest names; what stands compressed is looked at before it is decompressed."""
    names = [each["path"] for each in manifest["control"]] + ["decoders.tar.xz"] * bool(manifest["decoders"])
    compressed = b"".join(data for name, (data, *_) in sorted(members.items()) if name != "__main__.py")
    require(sorted(members) == sorted(names) and is_content(compressed, manifest["transport"]["compressed"]), "other control files")
    for named in manifest["control"]:
        data, crc, size = members[named["path"]]
        if named["path"].startswith(RUNTIME):
            decoder = zlib.decompressobj(-15)
            data = decoder.decompress(data)
            require(decoder.eof and not decoder.unused_data, "a deflated member ends elsewhere")
        require(is_content(data, named) and (zlib.crc32(data), len(data)) == (crc, size), f"{named['path']} is another")


def read_files(manifest: Json, entries: dict[str, bytes], base: Path | None) -> dict[str, bytes]:
    """Check 7: the wheels and the other files."""
    needed = base_of(manifest)
    require(base or not needed["taken"] + needed["pool"], "the base is missing")
    pool = b"".join(pool_of(wheel, Path(base or "", wheel["filename"]).read_bytes()) for wheel in needed["pool"])
    pool += b"".join(data for path, data in entries.items() if path.startswith("pool/"))
    found = {path: data for path, data in entries.items() if not path.startswith(("pool/", "skeletons/"))}
    found |= {f"wheels/{name}": Path(base or "", name).read_bytes() for name in needed["taken"]}
    for named in manifest["files"] + manifest["distributions"]:
        path = named["path"] if "path" in named else f"wheels/{named['filename']}"
        if path not in found:
            found[path] = rebuild(entries[f"skeletons/{named['filename']}"], pool, named["size"])
        require(is_content(found[path], named), f"{path} has another content")
    check_retold(manifest, found)
    return found


def pool_of(named: Json, wheel: bytes) -> bytes:
    """What a wheel of the base adds to the pool: the data of all its members."""
    with ZipFile(io.BytesIO(wheel)) as archive:
        data = b"".join(archive.read(info) for info in sorted(archive.infolist(), key=lambda info: info.header_offset))
    require(is_content(wheel, named) and len(data) == named["pool_size"], "a wheel of the base is another, or adds another number of bytes")
    return data


# 5: what the payload tells once more.


def check_retold(manifest: Json, files: dict[str, bytes]) -> None:
    """README.txt, the locks and the attestations say what the manifest says."""
    names, readme = [target["name"] for target in manifest["targets"]], files["README.txt"].decode("ascii")
    head = "\n".join([f"{manifest['bundle']['name']} {manifest['bundle']['version']}", "", *names, "", ""])
    require(readme.startswith(head) and readme.replace("\n", "").isprintable(), "README.txt is of another bundle")
    for target in manifest["targets"]:
        for name, text in locks(manifest, target).items():
            require(files.get(f"targets/{target['name']}/{name}", text.encode()) == text.encode(), "a lock says something else")
    for wheel in [each for each in manifest["distributions"] + manifest["decoders"] if each["attested"]]:
        check_attested(files[f"attestations/{wheel['filename']}.json"], wheel)


def locks(manifest: Json, target: Json) -> dict[str, str]:
    """The text of each of the target's locks."""
    requirements, packages, python = "", list[Json](), target["markers"]["python_version"]
    for wheel in [each for each in manifest["distributions"] if target["name"] in each["targets"]]:
        project, version, name, digest = wheel["project"], wheel["version"], wheel["filename"], wheel["sha256"]
        requirements += f"{project}=={version} --hash=sha256:{digest}\n"
        file = {"name": name, "path": f"../../wheels/{name}", "size": wheel["size"], "hashes": {"sha256": digest}}
        packages.append({"name": project, "version": version, "wheels": [file]})
    head = {"lock-version": "1.0"} | ({} if python is None else {"requires-python": f"=={python}.*"})
    return {"requirements.txt": requirements, "pylock.toml": tomli_w.dumps(head | {"created-by": "wheelhouse", "packages": packages})}


def check_attested(document: bytes, wheel: Json) -> None:
    """What was attested is what the manifest says; whether it is true is no question for a reader."""
    bundles = parse(document, "provenance")["attestation_bundles"]
    names = {SCHEMA["$defs"]["publisher"]["named"][each["publisher"]["kind"]].format(**each["publisher"]) for each in bundles}
    attestations = [attestation for each in bundles for attestation in each["attestations"]]
    statements = [parse(base64.b64decode(each["envelope"]["statement"]), "statement") for each in attestations]
    subjects = {statement["subject"][0]["digest"]["sha256"] for statement in statements}
    require(names == {wheel["attested"]["publisher"]} and subjects == {wheel["sha256"]}, "it is by another publisher, or of another file")
    require(sorted({statement["predicateType"] for statement in statements}) == wheel["attested"]["predicates"], "it attests another thing")
