"""A second reader of bundles, written from FORMAT.md alone, to prove that the specification is enough to write one.

It shares no code with the project, leans on other libraries where it can, and holds the whole bundle in memory. What has one encoding it
encodes again and compares. Where it and the runtime disagree over a file, one of them or FORMAT.md is wrong. Numbers in comments are
sections of FORMAT.md, and "check" is one of section 8. Left out are checks 8 and 9, which ask for more than the file: the specification of
wheels, a host. So are volumes and policies of a trust store; the base of a delta must lie in a directory of wheels.

    python3 -m tests.independent_reader BUNDLE ALLOWED_SIGNERS [NEW DIRECTORY [DIRECTORY WITH THE BASE'S WHEELS]]
"""

import base64
import hashlib
import io
import json
import lzma
import re
import struct
import sys
import unicodedata
import zipfile
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, utils
from packaging.utils import canonicalize_name, canonicalize_version

Json = Any
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


def read_control(bundle: bytes) -> tuple[Members, bytes]:
    """Check 1: the members of the control part, and the payload."""
    length = 22 + sum(struct.unpack("<II", bundle[-10:-2].ljust(8)))
    payload, frame, control = bundle[: -length - 8], bundle[-length - 8 : -length], bundle[-length:]
    sound = length <= 256 * MIB and frame == struct.pack("<II", 0x184D2A57, length)
    require(sound, "no skippable frame around a control part, or too long a one")
    members: Members = {}
    at = 0
    while control[at : at + 4] == b"PK\3\4":
        crc, packed, size, name = struct.unpack_from("<IIIH", control, at + 14)
        start = at + 30 + name
        members[control[at + 30 : start].decode("ascii")] = (control[start : start + packed], crc, size)
        at = start + packed
    require(fits(sorted(members), "path+sorted") and len(members) <= 4096, "names in the control part are not allowed, or too many")
    require(encode_control(members) == control, "the control part has another encoding")
    require(len(members.get("manifest.json", [b""])[0]) in range(1, 64 * MIB + 1), "no manifest, or too long a one")
    return members, payload


def is_deflated(name: str) -> bool:
    return name.startswith("wheelhouse_runtime/")


def encode_control(members: Members) -> bytes:
    archive = directory = b""
    for name, (data, crc, size) in sorted(members.items()):
        facts = (crc, len(data), size) if is_deflated(name) else (zlib.crc32(data), len(data), len(data))
        header = struct.pack("<5H3I2H", 20, 0, 8 if is_deflated(name) else 0, 0, 33, *facts, len(name), 0)
        directory += b"PK\1\2\x14\3" + header + struct.pack("<3H2I", 0, 0, 0, 0o100644 << 16, len(archive)) + name.encode()
        archive += b"PK\3\4" + header + name.encode() + data
    return archive + directory + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(members), len(members), len(directory), len(archive), 0)


def inflated(data: bytes, crc: int, size: int) -> bytes:
    decoder = zlib.decompressobj(-15)
    content = decoder.decompress(data, size + 1)
    sound = decoder.eof and (zlib.crc32(content), len(content), decoder.unused_data) == (crc, size, b"")
    require(sound, "a deflated member is not what its headers say")
    return content


# 4: signatures. Of each type of key: the lengths of its fields, of the signature's first field, and of what follows that. None: any.

LAYOUTS: dict[bytes, tuple[int | None, ...]] = {
    b"ssh-ed25519": (32, 64, 0),
    b"sk-ssh-ed25519@openssh.com": (32, None, 64, 5),
    b"ecdsa-sha2-nistp384": (8, 97, None, 0),
    b"mldsa87@wheelhouse": (2592, 4627, 0),
}
P, Y8 = 2**255 - 19, 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826  # Y8: of a point of order 8
SIGNED = b"SSHSIG\0\0\0\x14wheelhouse-bundle-v1\0\0\0\0\0\0\0\6sha512\0\0\0\x40"  # and the SHA-512 of the manifest


def trusted_keys(allowed_signers: str) -> set[bytes]:
    lines = re.findall(r"^[^#].*?\s(?:sk-)?(?:ssh|ecdsa|mldsa)\S+\s+(AAAA\S+)", allowed_signers, re.MULTILINE)
    return set(map(base64.b64decode, lines))


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
    blob = base64.b64decode(b"".join(armored.split(b"\n")[1:-2]))
    key, namespace, reserved, algorithm, signature, end = strings(blob[10:], 5)
    sound = armor(blob) == armored and blob[:10] == b"SSHSIG\0\0\0\1" and (reserved, algorithm, end) == (b"", b"sha512", b"")
    named = member == f"signatures/{sha256(key)[:32]}.sig"
    require(sound and named and len(armored) <= 64 << 10, f"{member} is not written as it must be")
    namespace.decode()  # or it is refused
    kind, fields = signature_fields(key, signature)
    if key in trusted:
        require(namespace == b"wheelhouse-bundle-v1", f"{member} is for something else")
        check_signature(kind, fields, SIGNED + hashlib.sha512(manifest).digest())
    return key in trusted


def signature_fields(key: bytes, signature: bytes) -> tuple[bytes, list[bytes]]:
    """The type, then the fields of key and signature."""
    kind, rest = strings(key, 1)
    require(kind.isascii(), "the type of a key is not ASCII")
    if kind not in LAYOUTS:
        return kind, []
    *fields, end = strings(rest, len(LAYOUTS[kind]) - 2)
    same_kind, value, more = strings(signature, 2)
    fields += [value, more]
    fit = all(length in (None, len(field)) for length, field in zip(LAYOUTS[kind], fields, strict=True))
    require(fit and same_kind == kind and not end, "a key or signature has another length")
    if kind == b"ecdsa-sha2-nistp384":
        r, s, rest = strings(value, 2)
        require(fields[0] == b"nistp384" and not rest, "another curve, or bytes after r and s")
        fields[2] = utils.encode_dss_signature(mpint(r), mpint(s))
    return kind, fields


def mpint(data: bytes) -> int:
    number = int.from_bytes(data, "big")
    shortest = number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b""
    require(data == shortest and number < 2**384, "a number that is negative, too long or not the shortest")
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


def check_ed25519(key: bytes, signature: bytes, message: bytes) -> None:
    for point in (key, signature[:32]):
        y = int.from_bytes(point, "little") % 2**255
        require(y < P and y not in (0, 1, P - 1, Y8, P - Y8), "a point is not canonical, or of small order")
    ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


# 5 and 7: the manifest. What a value may be is the name of a shape or of a pattern, or a pattern itself; behind it, "?" means: or null,
# "*" a list of such, "+" a list that is not empty; and what follows these is the key by which it is sorted, with nothing twice.

DEVICE = r"(?i:con|prn|aux|nul|conin\$|conout\$|com[1-9]|lpt[1-9]) *(?:\.[^/]*)?(?:/|\Z)"
PIECE = rf"(?!{DEVICE})[^\0-\x1f\x7f-\U0010FFFF<>:\"|?*\\/]+(?<![. ])"
TEXT = r"[^\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*"
PATTERNS = {
    "text": TEXT,
    "reason": rf"(?=.*\S){TEXT}",
    "part": rf"(?=.{{1,1024}}\Z){PIECE}",
    "path": rf"(?=.{{1,1024}}\Z){PIECE}(/{PIECE})*",
    "member": r"__main__\.py|decoders\.tar|wheelhouse_runtime/[^/]*\.py",
    "wheel": rf"(?=.{{1,1024}}\Z)(?=([^-]*-){{4,5}}[^-]*\Z){PIECE}(?<=\.whl)",
    "project": "[a-z0-9]+(-[a-z0-9]+)*",
    "version": "[A-Za-z0-9][A-Za-z0-9.!+_-]*",
    "word": "[A-Za-z0-9_]+",
    "words": "[A-Za-z0-9_]+-[A-Za-z0-9_]+",
    "platform": "(manylinux|musllinux|macosx)_[0-9]+_[0-9]+_[a-z0-9_]+|win32|win_(amd64|arm64)",
    "name": "[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?",
    "digest": "[0-9a-f]{64}",
    "time": "[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z",
    "url": rf"(?={TEXT}\Z)((https?|file|git\+(https?|ssh|file))://[^/?#@\s]*([/?#]\S*)?|file:[^/\s]\S*)",
    "publisher": rf"(?={TEXT}\Z)[^\s/]+(/[^\s/]*)+",
    "predicate": r"https://docs\.pypi\.org/attestations/publish/v1|https://slsa\.dev/provenance/v1",
}
SHAPES = """
manifest    format=wheelhouse-bundle version=int bundle=bundle as_of=time? policy=policy targets=target+name decoders=decoder*filename \
            distributions=distribution*filename excused=excuse*filename built=built*filename placed=placed*path smoke=text+* \
            files=file*path control=control*path transport=transport
bundle      kind=application|catalogue name=part version=part
policy      channel=name? sequence=int? audience=name* not_after=time?
target      name=words interpreter=word abi=word platforms=word+ pip=wheel decoder=wheel? overridden=unmet*project,requires markers=markers
markers     implementation_name=text? implementation_version=text? os_name=text? platform_machine=text? platform_release=text? \
            platform_python_implementation=text? platform_system=text? platform_version=text? python_full_version=text? \
            python_version=text? sys_platform=text?
unmet       project=project requires=project
origin      kind=index|built url=url uploaded=time?
attested    publisher=publisher predicates=predicate+sorted
decoder     filename=wheel size=int sha256=digest origin=origin attested=attested?
distribution filename=wheel size=int sha256=digest origin=origin attested=attested? project=project version=version targets=words*sorted \
            bootstrap=bool notable=text*
excuse      filename=wheel reason=reason problems=text+
built       filename=wheel sdist=material recipe=recipe toolchain=toolchain materials=material*filename repair=repair? log=digest
material    filename=part url=url sha256=digest
recipe      name=text sha256=digest
toolchain   name=text tools=text* packages=text*
repair      tool=text raw=digest grafted=graft*member needs=need*version
graft       member=path library=part sha256=digest
need        member=path symbol=text library=part version=part
placed      path=path mode=06[04]0|0644|07[05]0|0755
file        path=path size=int sha256=digest
control     path=member size=int sha256=digest
transport   mode=dense|plain zstd=text zlib=text compressed=compressed base=base? frames=frame+
compressed  size=int sha256=digest
base        name=part version=part digest=digest taken=wheel*sorted pool=source*filename
source      filename=wheel size=int sha256=digest pool_size=int
frame       size=int tar_size=int entries=entry* chunks=digest+
"""
OBJECTS = {name: dict(key.split("=") for key in keys) for name, *keys in map(str.split, SHAPES.strip().splitlines())}


def fits(value: Json, kind: str) -> bool:
    """Whether a value is what it may be; in a list that is sorted, it must also stand in its place."""
    if kind.endswith("?"):
        return value is None or fits(value, kind[:-1])
    if many := re.fullmatch(r"(.+)([*+])([a-z,]*)", kind):
        kind, count, key = many.groups()
        whole = isinstance(value, list) and len(value) >= (count == "+") and all(fits(item, kind) for item in value)
        return whole and (not key or in_order([item if key == "sorted" else " ".join(map(item.get, key.split(","))) for item in value]))
    if kind == "entry":
        return isinstance(value, list) and len(value) == 2 and fits(value[0], "path") and fits(value[1], "int")
    if kind in OBJECTS:
        keys = OBJECTS[kind]
        return isinstance(value, dict) and value.keys() == keys.keys() and all(fits(value[key], keys[key]) for key in keys)
    if kind in ("int", "bool"):
        return type(value).__name__ == kind and value in range(2**63)
    matches = isinstance(value, str) and re.fullmatch(PATTERNS.get(kind, kind), value) is not None
    return matches and (kind != "time" or datetime.fromisoformat(value) is not None)


def in_order(names: list[str]) -> bool:
    """Sorted, and no two alike."""
    return names == sorted(names) and len({name.lower() for name in names}) == len(names)


def parse_manifest(data: bytes) -> Json:
    """The manifest, which is canonical and does not contradict itself; the rest of check 3 is about other bytes."""
    manifest = json.loads(data.decode())
    require(canonical(manifest) == data and unicodedata.is_normalized("NFC", data.decode()), "the manifest is not canonical")
    require(fits(manifest, "manifest") and manifest["version"] == 1, "the manifest has another shape")
    check_targets(manifest)
    check_origins(manifest)
    check_files(manifest)
    check_entries(manifest)
    return manifest


def canonical(document: Json) -> bytes:
    return (json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def by_name(manifest: Json) -> dict[str, Json]:
    return {wheel["filename"]: wheel for wheel in manifest["distributions"]}


def check_targets(manifest: Json) -> None:
    """What the manifest says of targets, wheels and policy agrees."""
    wheels, targets, policy = by_name(manifest), {target["name"] for target in manifest["targets"]}, manifest["policy"]
    for filename, wheel in wheels.items():
        project, version, *_ = filename.split("-")
        require(set(wheel["targets"]) <= targets and (wheel["targets"] or wheel["bootstrap"]), "a wheel is for nobody, or for a stranger")
        require(canonicalize_name(project) == wheel["project"], "a wheel is of another project")
        require(canonicalize_version(version) == canonicalize_version(wheel["version"]), "a wheel is of another version")
    for target in manifest["targets"]:
        (python, platform), platforms = target["name"].split("-"), target["platforms"]
        require(wheels.get(target["pip"], {}).get("project") == "pip", "pip is not there")
        named = python in (target["interpreter"], target["abi"]) and (platform == platforms[0] or not fits(platform, "platform"))
        require(named and len(set(platforms)) == len(platforms), "a target has the name of another, or a platform twice")
    decoders = [wheel["filename"] for wheel in manifest["decoders"]]
    require(decoders == sorted({target["decoder"] for target in manifest["targets"]} - {None}), "the decoders are not those of the targets")
    require(policy["audience"] == sorted(set(policy["audience"])), "the audience is not sorted")
    require(policy["channel"] is not None or policy["sequence"] is None, "a sequence without a channel")


def check_origins(manifest: Json) -> None:
    """What is excused, was built or is taken from a base is a distribution, and the same one."""
    wheels, decoders, base = by_name(manifest), manifest["decoders"], base_of(manifest)
    require({each["filename"] for each in manifest["excused"]} <= wheels.keys(), "an excuse for a stranger")
    made = {name: wheel["origin"]["url"] for name, wheel in wheels.items() if wheel["origin"]["kind"] == "built"}
    require({each["filename"]: each["sdist"]["url"] for each in manifest["built"]} == made, "what was built is not told, or told of others")
    unknown = [each for each in decoders if each["origin"]["kind"] == "built" and made.get(each["filename"]) != each["origin"]["url"]]
    require(not unknown, "a decoder was built, and nobody says how")
    require(set(base["taken"]) <= wheels.keys(), "what is taken from the base is no distribution")
    sources = [(each, wheels[each["filename"]]) for each in base["pool"] if each["filename"] in base["taken"]]
    require(
        all(of["size"] == wheel["size"] and of["sha256"] == wheel["sha256"] for of, wheel in sources), "a wheel of the base is two wheels"
    )
    require(manifest["transport"]["mode"] == "dense" or not base["pool"], "wheels of the base lead no pool")
    content = canonical({key: value for key, value in manifest.items() if key != "transport"})
    require(base["digest"] != sha256(content), "the bundle is its own base")


def base_of(manifest: Json) -> Json:
    """What a delta takes from its base; nothing, if the bundle is no delta."""
    return manifest["transport"]["base"] or {"taken": [], "pool": [], "digest": ""}


def check_files(manifest: Json) -> None:
    """The other files and those of the control part are just those that there must be."""
    wheels, is_application = manifest["distributions"], manifest["bundle"]["kind"] == "application"
    files = {each["path"]: each["size"] for each in manifest["files"]}
    attested = {f"attestations/{wheel['filename']}.json" for wheel in wheels + manifest["decoders"] if wheel["attested"]}
    placed = {f"files/{each['path']}" for each in manifest["placed"]}
    locks, compiled = set(), set()
    for target in manifest["targets"]:
        locks |= {f"targets/{target['name']}/{lock}" for lock in ("pylock.toml", "requirements.txt") if is_application}
        installed = [wheel["filename"] for wheel in wheels if target["name"] in wheel["targets"]]
        compiled |= {f"bytecode/{target['interpreter']}/{filename}" for filename in [*installed, target["pip"]]}
    require(files.keys() - compiled == {"README.txt"} | locks | attested | placed, "the other files are not those that there must be")
    require(all(files[path] <= MIB for path in attested), "an attestation is too long")
    require(all(fits(command[0], "part") for command in manifest["smoke"]), "a command without a name")
    require(is_application or not (placed or manifest["smoke"]), "a catalogue is not installed")
    carried = any(each["path"] == "decoders.tar" for each in manifest["control"])
    require(carried == bool(manifest["decoders"]), "the decoders' archive is missing, or there without a decoder")
    require(sum(each["size"] for each in manifest["control"]) <= 256 * MIB, "the control files are too large")


def check_entries(manifest: Json) -> None:
    """The frames hold the entries that the rest of the manifest asks for, and no others."""
    frames, taken, is_dense = manifest["transport"]["frames"], base_of(manifest)["taken"], manifest["transport"]["mode"] == "dense"
    entries = [(path, size) for frame in frames for path, size in frame["entries"]]
    found, pool = dict(entries), [path for path, _ in entries if path.startswith("pool/") and is_dense]
    require(pool == [f"pool/{n:04}" for n in range(len(pool))], "the pool's pieces are not in order")
    wanted = {each["path"]: each["size"] for each in manifest["files"]} | {path: found[path] for path in pool}
    for name, wheel in by_name(manifest).items():
        if name not in taken:
            path, whole = f"skeletons/{name}", f"wheels/{name}"
            wanted |= {path: found.get(path)} if is_dense and whole not in found else {whole: wheel["size"]}
    require(found == wanted and len(found) == len(entries), "the payload's entries are not the expected ones")
    for frame in frames:
        size = sum(len(tar_header(manifest, *entry)) + entry[1] + -entry[1] % 512 for entry in frame["entries"])
        require(bool(frame["entries"]), "a frame holds nothing")
        require(frame["tar_size"] == size + (1024 if frame is frames[-1] else 0), "a frame's tar_size is not that of its entries")


# 6: the payload.


def ustar(name: bytes, size: int, kind: bytes) -> bytes:
    header = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0" + b" " * 8 + kind
    header += bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def tar_header(manifest: Json, path: str, size: int) -> bytes:
    """All that stands before an entry's contents."""
    path = f"{manifest['bundle']['name']}-{manifest['bundle']['version']}/{path}"
    records = ""
    for tail in [f" path={path}\n"] * (len(path) > 100) + [f" size={size}\n"] * (size >= 8 << 30):
        length = next(n for n in range(len(tail), 2 * len(tail)) if n == len(f"{n}{tail}"))
        records += f"{length}{tail}"
    pax = ustar(b"././@PaxHeader", len(records), b"x") + records.encode().ljust(-(-len(records) // 512) * 512, b"\0")
    return (pax if records else b"") + ustar(path.encode()[:100], size if size < 8 << 30 else 0, b"0")


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
    entries = {}
    for named, frame in zip(manifest["transport"]["frames"], frames, strict=True):
        told = zstandard.get_frame_parameters(frame)
        sound = told.has_checksum and told.content_size == named["tar_size"] and not told.dict_id and told.window_size <= 1 << 27
        require(sound, "a frame's header lacks something")
        decoder = zstandard.ZstdDecompressor().decompressobj()
        tar = io.BytesIO(decoder.decompress(frame))
        require(decoder.eof and not decoder.unused_data, "a frame ends elsewhere")
        for path, size in named["entries"]:
            header = tar_header(manifest, path, size)
            require(tar.read(len(header)) == header, f"{path} has another tar header")
            entries[path] = tar.read(size)
            require(not any(tar.read(-size % 512)), f"{path} is not padded with NUL")
        require(not any(tar.read()), "the tar archive does not end in NUL")
    return entries


# 6: skeletons.

METHODS = {flag | base | level for flag in (0, 0x40, 0x80) for base in (0x10, 0x20) for level in range(1, 10)} | {0, 1, 0x40, 0x80}
LACKING = re.compile(rb"^(.*),sha256=={43},", re.MULTILINE)  # a line of a RECORD without its digest, up to there


def varint(data: io.BytesIO) -> int:
    encoded = data.read(1)
    while encoded[-1:] > b"\x7f" and len(encoded) < 10 and (more := data.read(1)):
        encoded += more
    number = sum((byte & 0x7F) << 7 * n for n, byte in enumerate(encoded))
    shortest = encoded and encoded[-1] < 0x80 and (len(encoded) == 1 or encoded[-1])
    require(shortest and number < 2**64, "a varint is cut short, too long, or not the shortest")
    return number


def rebuild(skeleton: bytes, pool: bytes, limit: int) -> bytes:
    """The wheel of a skeleton, of at most so many bytes."""
    data, wheel, directory, end, digests = io.BytesIO(skeleton), bytearray(), bytearray(), 0, dict[bytes, bytes]()
    require(data.read(5) == b"WHSK\1" and (n := varint(data)) < 65535, "not a skeleton, or one of too many members")
    moves, lengths = [[varint(data) for _ in range(n)] for _ in range(2)]
    methods, numbers = data.read(n), [columns(data, n, kind) for kind in "HHHHIHIII"]
    sizes = [[varint(data) for _ in range(n)] for _ in range(4)]
    require(all(size < 65536 for column in sizes for size in column), "a text is too long")
    texts = [[data.read(size) for size in column] for column in sizes]
    require([list(map(len, column)) for column in texts] == sizes, "a skeleton is cut short")
    comment = data.read()
    require(len(comment) < 65536, "a text is too long")
    for move, length, method, name, extra, central_extra, remark, *fields in zip(moves, lengths, methods, *texts, *numbers, strict=True):
        start = end + (move >> 1 ^ -(move & 1))
        end = start + length
        made_by, needed, flags, kind, moment, internal, external, crc, size = fields
        require(0 <= start <= end < 2**63 and (end <= len(pool) or not length), "a skeleton reaches beyond the pool")
        require(method in METHODS and (method == 1 or not crc | size), "a method is not known, or what follows is told")
        require(method < 0x80 or length <= 64 * MIB, "a RECORD is too long")
        content = content_of(pool[start:end], method & 0xC0, digests)
        member = compressed(content, method & 0x3F)
        if method != 1:
            crc, size, digests[name] = zlib.crc32(content), len(content), hashlib.sha256(content).digest()
        require(max(len(member), size, len(wheel)) < 2**32 - 1, "a wheel needs ZIP64")
        common = struct.pack("<3H4I2H", needed, flags, kind, moment, crc, len(member), size, len(name), len(extra))
        more = struct.pack("<4H2I", len(central_extra), len(remark), 0, internal, external, len(wheel))
        directory += struct.pack("<4sH", b"PK\1\2", made_by) + common[:-2] + more + name + central_extra + remark
        wheel += b"PK\3\4" + common + name + extra + member
        require(len(wheel) <= limit, "a wheel grows longer than the manifest says")
    require(max(len(wheel), len(directory)) < 2**32 - 1, "a wheel needs ZIP64")
    end_record = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, n, n, len(directory), len(wheel), len(comment))
    return bytes(wheel + directory + end_record + comment)


def columns(data: io.BytesIO, n: int, kind: str) -> tuple[int, ...]:
    column = f"<{n}{kind}"
    found = data.read(struct.calcsize(column))
    require(len(found) == struct.calcsize(column), "a skeleton is cut short")
    return struct.unpack(column, found)


def content_of(data: bytes, flag: int, digests: dict[bytes, bytes]) -> bytes:
    """A member's content, made of its pool bytes."""
    if flag == 0x40:  # undo the x86 filter of xz, by chunks of LZMA2 that are not compressed
        undo = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2}])
        parts = [data[at : at + 65536] for at in range(0, len(data), 65536)]
        return undo.decompress(b"".join(struct.pack(">BH", 2 if n else 1, len(part) - 1) + part for n, part in enumerate(parts)) + b"\0")
    if flag == 0x80:
        require(set(LACKING.findall(data)) <= digests.keys(), "a RECORD lacks a digest that nobody knows")
        return LACKING.sub(lambda place: place[1] + b",sha256=" + base64.urlsafe_b64encode(digests[place[1]])[:43] + b",", data)
    return data


def compressed(content: bytes, method: int) -> bytes:
    deflate = zlib.compressobj(method & 15, zlib.DEFLATED, -15, 7 + (method >> 4)) if method > 1 else None
    return deflate.compress(content) + deflate.flush() if deflate else content


# 8: the checks, in order.


def verify(bundle: Path, trusted: set[bytes], directory: Path | None = None, base: Path | None = None) -> Json:
    """The manifest of a bundle that passes checks 1 to 6; with a ``directory``, to which its files and wheels are written, also 7."""
    try:
        members, payload = read_control(bundle.read_bytes())
        manifest = read_manifest(members, trusted)
        frames = read_frames(manifest, payload)
        files = read_files(manifest, members, read_entries(manifest, frames), base) if directory else {}
    except (ValueError, RecursionError, InvalidSignature, zlib.error, zstandard.ZstdError, lzma.LZMAError) as error:
        raise Refused(str(error)) from error
    for path, data in files.items():
        target = Path(directory or "", path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return manifest


def read_manifest(members: Members, trusted: set[bytes]) -> Json:
    """Checks 2 to 4; without a policy this host has no name that an audience could hold."""
    data, *_ = members.pop("manifest.json")
    signatures = {name: members.pop(name)[0] for name in list(members) if name.startswith("signatures/")}
    good = [signed_by_trusted(name, armored, data, trusted) for name, armored in signatures.items()]
    require(any(good) and len(good) <= 64, "no good signature by a trusted key, or too many signatures")
    manifest = parse_manifest(data)
    compressed = b"".join(data for name, (data, *_) in members.items() if name == "decoders.tar.xz" or is_deflated(name))
    require(is_content(compressed, manifest["transport"]["compressed"]), "what stands compressed in the control part is something else")
    require([name.removesuffix(".xz") for name in members] == [each["path"] for each in manifest["control"]], "other control files")
    for (name, member), named in zip(members.items(), manifest["control"], strict=True):
        content = inflated(*member) if is_deflated(name) else member[0]
        require(name == "decoders.tar.xz" or is_content(content, named), f"{name} is not the one of the manifest")
    now = max(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), manifest["as_of"] or "")
    require(not manifest["policy"]["audience"] and now <= (manifest["policy"]["not_after"] or now), "not for this host, or not any more")
    return manifest


def read_files(manifest: Json, members: Members, entries: dict[str, bytes], base: Path | None) -> dict[str, bytes]:
    """Check 7: the wheels and the other files."""
    needed = base_of(manifest)
    require(base or not needed["taken"] + needed["pool"], "the base is missing")
    old = {name: Path(base or "", name).read_bytes() for name in (*needed["taken"], *(wheel["filename"] for wheel in needed["pool"]))}
    pool = b"".join(pool_of(wheel, old[wheel["filename"]]) for wheel in needed["pool"])
    pool += b"".join(data for path, data in entries.items() if path.startswith("pool/"))
    files = {path: data for path, data in entries.items() if not path.startswith(("pool/", "skeletons/"))}
    files |= {f"wheels/{name}": old[name] for name in needed["taken"]}
    for each in manifest["files"] + manifest["distributions"]:
        path = each["path"] if "path" in each else f"wheels/{each['filename']}"
        if path not in files:
            files[path] = rebuild(entries[f"skeletons/{each['filename']}"], pool, each["size"])
        require(is_content(files[path], each), f"{path} has another content")
    for named in manifest["control"]:
        if named["path"] == "decoders.tar":
            decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
            tar = decoder.decompress(members["decoders.tar.xz"][0], 64 * MIB)
            require(is_content(tar, named) and decoder.eof and not decoder.unused_data, "the decoders are not those of the manifest")
    check_retold(manifest, files)
    return files


def pool_of(named: Json, wheel: bytes) -> bytes:
    """What a wheel of the base adds to the pool: the data of all its members."""
    require(is_content(wheel, named), "a wheel of the base has another content")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        data = b"".join(archive.read(info) for info in sorted(archive.infolist(), key=lambda info: info.header_offset))
    require(len(data) == named["pool_size"], "a wheel of the base adds another number of bytes to the pool")
    return data


# 5: what the payload tells once more.

PUBLISHERS = {
    "GitHub": "github.com/{repository}/.github/workflows/{workflow}",
    "GitLab": "gitlab.com/{repository}//{workflow_filepath}",
    "Google": "accounts.google.com/{email}",
    "CircleCI": "circleci.com/{project_id}/{pipeline_definition_id}",
}


def check_retold(manifest: Json, files: dict[str, bytes]) -> None:
    """README.txt, the locks and the attestations say what the manifest says."""
    lines = files["README.txt"].decode("ascii").split("\n")
    title = f"{manifest['bundle']['name']} {manifest['bundle']['version']}"
    require(all(line.isprintable() for line in lines) and lines[0] == title, "README.txt is of another bundle")
    targets = sorted(line.strip(" ") for line in lines if fits(line.strip(" "), "words"))
    require(targets == [target["name"] for target in manifest["targets"]], "README.txt lists other targets")
    for target in manifest["targets"]:
        wheels = [wheel for wheel in manifest["distributions"] if target["name"] in wheel["targets"]]
        wheels.sort(key=lambda wheel: (wheel["project"], wheel["version"], wheel["filename"]))
        lines = [f"{wheel['project']}=={wheel['version']} --hash=sha256:{wheel['sha256']}\n" for wheel in wheels]
        for name, text in (("requirements.txt", "".join(lines)), ("pylock.toml", pylock(target["markers"]["python_version"], wheels))):
            require(files.get(f"targets/{target['name']}/{name}", text.encode()) == text.encode(), "a lock says something else")
    for wheel in manifest["distributions"] + manifest["decoders"]:
        if wheel["attested"]:
            check_attested(files[f"attestations/{wheel['filename']}.json"], wheel)


def pylock(python: str | None, wheels: list[Json]) -> str:
    requires = {} if python is None else {"requires-python": f"=={python}.*"}
    document: Json = {"lock-version": "1.0", **requires, "created-by": "wheelhouse", "packages": []}
    for wheel in wheels:
        path, digests = f"../../wheels/{wheel['filename']}", {"sha256": wheel["sha256"]}
        files = [{"name": wheel["filename"], "path": path, "size": wheel["size"], "hashes": digests}]
        document["packages"].append({"name": wheel["project"], "version": wheel["version"], "wheels": files})
    return tomli_w.dumps(document)


def strict_json(data: bytes) -> Json:
    def without_twins(pairs: list[tuple[str, Json]]) -> Json:
        require(len(dict(pairs)) == len(pairs), "a key stands twice")
        return dict(pairs)

    return json.loads(data.decode(), object_pairs_hook=without_twins)


def check_attested(document: bytes, wheel: Json) -> None:
    """What was attested is what the manifest says; whether it is true is no question for a reader."""
    try:
        bundles = strict_json(document)["attestation_bundles"]
        names = [PUBLISHERS[each["publisher"]["kind"]].format(**each["publisher"]) for each in bundles]
        envelopes = [attestation["envelope"] for each in bundles for attestation in each["attestations"]]
        statements = [strict_json(base64.b64decode(envelope["statement"])) for envelope in envelopes]
        subjects = [[subject["digest"]["sha256"] for subject in statement["subject"]] for statement in statements]
        predicates = sorted({statement["predicateType"] for statement in statements})
    except (LookupError, TypeError, AttributeError) as error:
        raise Refused("an attestation is malformed") from error
    require(all(name == wheel["attested"]["publisher"] for name in names), "an attestation is by another publisher")
    require(all(subject == [wheel["sha256"]] for subject in subjects), "an attestation is of another file")
    require(predicates == wheel["attested"]["predicates"], "something else is attested")


if __name__ == "__main__":
    verify(Path(sys.argv[1]), trusted_keys(Path(sys.argv[2]).read_text("utf-8")), *map(Path, sys.argv[3:]))
