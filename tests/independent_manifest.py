"""The manifest and its paths, for the independent reader: written from FORMAT.md, sections 5 and 7, alone."""

import base64
import hashlib
import json
import re
import time
import unicodedata
from pathlib import Path
from typing import Any

import tomli_w
from packaging.version import InvalidVersion, Version

from tests.independent_signatures import Refused, require

Json = Any

# In its schema a string is a pattern, a type a type, a list all its items, and a tuple means: or null.

DEVICE = r"(?i:con|prn|aux|nul|conin\$|conout\$|com[1-9]|lpt[1-9]) *(?:\.[^/]*)?(?:/|\Z)"
PART = rf"(?!{DEVICE})[^\0-\x1f\x7f-\U0010FFFF<>:\"|?*\\/]+(?<![. ])"
PATH = rf"(?=.{{1,1024}}\Z){PART}(?:/{PART})*"
TEXT = r"[^\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*"
PROJECT = "[a-z0-9]+(-[a-z0-9]+)*"
WORD, NAME, DIGEST = "[A-Za-z0-9_]+", "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", "[0-9a-f]{64}"
WHEEL_NAME = rf"(?=(?:[^-]*-){{4,5}}[^-]*\Z){PART}(?<=\.whl)"
URL = rf"(?={TEXT}\Z)(?:https?|file)://[^/?#@\s]*(?:[/?#]\S*)?"


def is_time(value: Json) -> bool:
    return fits(value, r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z") and bool(time.strptime(value, "%Y-%m-%dT%H:%M:%SZ"))


def is_entry(value: Json) -> bool:
    return isinstance(value, list) and len(value) == 2 and fits(value[0], PATH) and fits(value[1], int)


def of(schema: Json, keys: str) -> dict[str, Json]:
    return dict.fromkeys(keys.split(), schema)


PLATFORM = "(manylinux|musllinux|macosx)_[0-9]+_[0-9]+_[a-z0-9_]+|win32|win_(amd64|arm64)"
MARKERS = of((TEXT, None), "implementation_name implementation_version os_name platform_machine platform_python_implementation")
MARKERS |= of((TEXT, None), "platform_release platform_system platform_version python_full_version python_version sys_platform")
FILE = of(PATH, "path") | of(int, "size") | of(DIGEST, "sha256")
ORIGIN = of("index|built", "kind") | of(URL, "url") | of((is_time, None), "uploaded")
FRAME = of(int, "size tar_size") | of([is_entry], "entries") | of([DIGEST], "chunks")
TARGET = of(f"{WORD}-{WORD}", "name") | of(WORD, "interpreter abi") | of([WORD], "platforms") | of(WHEEL_NAME, "pip")
TARGET |= of((WHEEL_NAME, None), "decoder") | of([of(PROJECT, "project requires")], "overridden") | of(MARKERS, "markers")
PREDICATE = r"https://docs\.pypi\.org/attestations/publish/v1|https://slsa\.dev/provenance/v1"
ATTESTED = of(rf"(?={TEXT}\Z)[^\s/]+(/[^\s/]*)+", "publisher") | of([PREDICATE], "predicates")
DECODER = of(WHEEL_NAME, "filename") | of(int, "size") | of(DIGEST, "sha256") | of(ORIGIN, "origin") | of((ATTESTED, None), "attested")
WHEEL = DECODER | of(PROJECT, "project") | of("[A-Za-z0-9][A-Za-z0-9.!+_-]*", "version")
WHEEL |= of([TEXT], "targets notable") | of(bool, "bootstrap")
POLICY = of((NAME, None), "channel") | of((int, None), "sequence") | of([NAME], "audience") | of((is_time, None), "not_after")
EXCUSE = of(WHEEL_NAME, "filename") | of(rf"(?=.*\S){TEXT}", "reason") | of([TEXT], "problems")
MATERIAL = of(PART, "filename") | of(URL, "url") | of(DIGEST, "sha256")
REPAIR = of(TEXT, "tool") | of(DIGEST, "raw") | of([of(PATH, "member") | of(PART, "library") | of(DIGEST, "sha256")], "grafted")
BUILT = of(WHEEL_NAME, "filename") | of(MATERIAL, "sdist") | of(of(TEXT, "name") | of(DIGEST, "sha256"), "recipe")
BUILT |= of(of(TEXT, "name") | of([TEXT], "tools packages"), "toolchain") | of([MATERIAL], "materials")
BUILT |= of((REPAIR, None), "repair") | of(DIGEST, "log")
TRANSPORT = of("dense|plain", "mode") | of(TEXT, "zstd zlib") | of([FRAME], "frames")
TRANSPORT |= of(of(int, "size") | of(DIGEST, "sha256"), "compressed")
SOURCE = of(WHEEL_NAME, "filename") | of(int, "size pool_size") | of(DIGEST, "sha256")
TRANSPORT |= of((of(PART, "name version") | of(DIGEST, "digest") | of([WHEEL_NAME], "taken") | of([SOURCE], "pool"), None), "base")
MANIFEST = (
    of("wheelhouse-bundle", "format")
    | of(int, "version")
    | of(of(PART, "name version") | of("application|catalogue", "kind"), "bundle")
    | of((is_time, None), "as_of")
)
MANIFEST |= (
    of(POLICY, "policy") | of([TARGET], "targets") | of([DECODER], "decoders") | of([WHEEL], "distributions") | of([EXCUSE], "excused")
)
MANIFEST |= of([of(PATH, "path") | of("0600|0640|0644|0700|0750|0755", "mode")], "placed") | of([[TEXT]], "smoke")
MANIFEST |= of([BUILT], "built") | of([FILE], "files control") | of(TRANSPORT, "transport")


def fits(value: Json, schema: Json) -> bool:
    match schema:
        case str():
            return isinstance(value, str) and re.fullmatch(schema, value) is not None
        case type():
            return type(value) is schema and value in range(2**63)
        case dict():
            return isinstance(value, dict) and value.keys() == schema.keys() and all(fits(value[key], schema[key]) for key in schema)
        case list():
            return isinstance(value, list) and all(fits(item, schema[0]) for item in value)
        case tuple():
            return value is None or fits(value, schema[0])
    return bool(schema(value))


def without_twins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    require(len(dict(pairs)) == len(pairs), "manifest: a key stands twice")
    return dict(pairs)


def check_order(where: str, names: list[str]) -> None:
    require(all(fits(name, PATH) for name in names), f"{where}: a name is not allowed")
    require(names == sorted(names) and len({name.lower() for name in names}) == len(names), f"{where}: not sorted, or two are alike")


def check_references(manifest: dict[str, Json]) -> None:
    """What one part of the manifest says of another, and the order of its lists."""
    keys = {
        "targets": "name",
        "decoders": "filename",
        "distributions": "filename",
        "excused": "filename",
        "built": "filename",
        "placed": "path",
        "files": "path",
        "control": "path",
    }
    names = {part: [item[key] for item in manifest[part]] for part, key in keys.items()}
    for part, paths in names.items():
        check_order(part, paths)
    projects = {wheel["filename"]: wheel["project"] for wheel in manifest["distributions"]}
    for wheel in manifest["distributions"]:
        check_order(wheel["filename"], wheel["targets"])
        require(set(wheel["targets"]) <= set(names["targets"]) and (wheel["targets"] or wheel["bootstrap"]), "a wheel is for nobody")
        require(re.sub("[-_.]+", "-", wheel["filename"].split("-")[0]).lower() == wheel["project"], "a wheel is of another project")
        require(version_of(wheel["filename"].split("-")[1]) == version_of(wheel["version"]), "a wheel is of another version")
    for target in manifest["targets"]:
        require(projects.get(target["pip"]) == "pip" and len(set(target["platforms"])) == len(target["platforms"]) > 0, "pip, or platforms")
        unmet = [(each["project"], each["requires"]) for each in target["overridden"]]
        require(unmet == sorted(set(unmet)), "what is overridden is not sorted, or there twice")
        python, platform = target["name"].split("-")
        named = platform in target["platforms"][:1] or not re.fullmatch(PLATFORM, platform)
        require(python in (target["interpreter"], target["abi"]) and named, "a target has the name of another")
    kept = {"application": ("pylock.toml", "requirements.txt"), "catalogue": ()}[manifest["bundle"]["kind"]]
    require(all(command and fits(command[0], PART) for command in manifest["smoke"]), "a command without a name")
    require(kept or not (manifest["placed"] or manifest["smoke"]), "a catalogue is not installed")
    locks = [f"targets/{name}/{lock}" for name in names["targets"] for lock in kept]
    attested = {
        f"attestations/{wheel['filename']}.json": wheel
        for wheel in (*manifest["distributions"], *manifest["decoders"])
        if wheel["attested"]
    }
    compiled = {
        f"bytecode/{target['interpreter']}/{wheel['filename']}"
        for target in manifest["targets"]
        for wheel in manifest["distributions"]
        if target["name"] in wheel["targets"] or wheel["filename"] == target["pip"]
    }
    others = [path for path in names["files"] if path not in compiled]
    require(
        names["targets"] and others == sorted(["README.txt", *locks, *attested, *(f"files/{path}" for path in names["placed"])]),
        "the other files are not those that there must be",
    )
    require(all(file["size"] <= 1 << 20 for file in manifest["files"] if file["path"] in attested), "an attestation is too long")
    for wheel in attested.values():
        predicates = wheel["attested"]["predicates"]
        require(predicates and predicates == sorted(set(predicates)), "predicates are not sorted, or none")
    require(names["decoders"] == sorted({target["decoder"] for target in manifest["targets"]} - {None}), "the targets' decoders")
    require(("decoders.tar" in names["control"]) == bool(names["decoders"]), "the decoders' archive is missing, or there without a decoder")
    kinds = r"__main__\.py|decoders\.tar|wheelhouse_runtime/[^/]*\.py"
    require(all(re.fullmatch(kinds, name) for name in names["control"]), "a control file has no place")
    require(sum(file["size"] for file in manifest["control"]) <= 256 << 20, "the control files are too large")
    require(set(names["excused"]) <= projects.keys() and all(each["problems"] for each in manifest["excused"]), "an excuse for nothing")
    made = {wheel["filename"]: wheel["origin"]["url"] for wheel in manifest["distributions"] if wheel["origin"]["kind"] == "built"}
    require({each["filename"]: each["sdist"]["url"] for each in manifest["built"]} == made, "what was built is not told, or told of others")
    for each in manifest["built"]:
        check_order("materials", [material["filename"] for material in each["materials"]])
        check_order("grafted", [graft["member"] for graft in (each["repair"] or {"grafted": []})["grafted"]])
    for each in manifest["decoders"]:
        told = each["origin"]["kind"] == "index" or made.get(each["filename"]) == each["origin"]["url"]
        require(told, "a decoder was built, and nobody says how")
    channel, sequence, audience = map(manifest["policy"].get, ("channel", "sequence", "audience"))
    require(audience == sorted(set(audience)) and (sequence is None or channel is not None), "an audience not sorted, or no channel")


def version_of(text: str) -> Version | str:
    """Which version a text means, if it is one."""
    try:
        return Version(text)
    except InvalidVersion:
        return text


def base_of(manifest: dict[str, Json]) -> dict[str, Json]:
    """What a delta takes from its base; nothing, if the bundle is no delta."""
    return manifest["transport"]["base"] or {"taken": [], "pool": [], "digest": ""}


def check_base(manifest: dict[str, Json]) -> None:
    base, wheels = base_of(manifest), {wheel["filename"]: wheel for wheel in manifest["distributions"]}
    check_order("taken from the base", base["taken"])
    check_order("pool of the base", [wheel["filename"] for wheel in base["pool"]])
    require(set(base["taken"]) <= wheels.keys(), "what is taken from the base is no distribution")
    for wheel in base["pool"]:
        same = (
            all(wheels[wheel["filename"]][key] == wheel[key] for key in ("size", "sha256")) if wheel["filename"] in base["taken"] else True
        )
        require(same and manifest["transport"]["mode"] == "dense", "a wheel of the base is two wheels, or leads no pool")
    require(base["digest"] != content_digest(manifest), "the bundle is its own base")


def canonical(document: dict[str, Json]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def content_digest(manifest: dict[str, Json]) -> str:
    return hashlib.sha256(canonical({key: value for key, value in manifest.items() if key != "transport"})).hexdigest()


def parse_manifest(data: bytes) -> dict[str, Json]:
    """The manifest, which is canonical and does not contradict itself; the rest of check 3 is about other bytes."""
    manifest: dict[str, Json] = json.loads(data.decode(), object_pairs_hook=without_twins)
    require(canonical(manifest) == data and unicodedata.is_normalized("NFC", data.decode()), "the manifest is not canonical")
    require(fits(manifest, MANIFEST) and manifest["version"] == 1, "the manifest does not fit its schema")
    check_references(manifest)
    check_base(manifest)
    return manifest


# What the payload tells once more.


def check_retold(manifest: dict[str, Json], directory: Path) -> None:
    """That README.txt, the locks and the attestations say what the manifest says."""
    lines = (directory / "README.txt").read_bytes().decode("ascii").split("\n")
    require(
        all(line.isprintable() for line in lines) and lines[0] == " ".join(map(manifest["bundle"].get, ("name", "version"))), "README.txt"
    )
    targets = sorted(line.strip(" ") for line in lines if re.fullmatch(f" *{WORD}-{WORD} *", line))
    require(targets == [target["name"] for target in manifest["targets"]], "README.txt lists other targets")
    for target in manifest["targets"]:
        wheels = [wheel for wheel in manifest["distributions"] if target["name"] in wheel["targets"]]
        wheels.sort(key=lambda wheel: (wheel["project"], wheel["version"], wheel["filename"]))
        for name, text in (("pylock.toml", pylock(target, wheels)), ("requirements.txt", "".join(map(requirement, wheels)))):
            path = directory / "targets" / target["name"] / name
            require(not path.exists() or path.read_bytes() == text.encode(), "a lock says something else")
    for wheel in (*manifest["distributions"], *manifest["decoders"]):
        if wheel["attested"]:
            text = (directory / f"attestations/{wheel['filename']}.json").read_text("utf-8")
            try:
                check_attested(json.loads(text, object_pairs_hook=without_twins), wheel)
            except (LookupError, TypeError, AttributeError) as error:
                raise Refused("an attestation is malformed") from error


def requirement(wheel: Json) -> str:
    return f"{wheel['project']}=={wheel['version']} --hash=sha256:{wheel['sha256']}\n"


def pylock(target: Json, wheels: list[Json]) -> str:
    document: Json = {"lock-version": "1.0", "requires-python": f"=={target['markers']['python_version']}.*", "created-by": "wheelhouse"}
    if target["markers"]["python_version"] is None:
        del document["requires-python"]
    document["packages"] = [
        {
            "name": wheel["project"],
            "version": wheel["version"],
            "wheels": [
                {
                    "name": wheel["filename"],
                    "path": f"../../wheels/{wheel['filename']}",
                    "size": wheel["size"],
                    "hashes": {"sha256": wheel["sha256"]},
                }
            ],
        }
        for wheel in wheels
    ]
    return tomli_w.dumps(document)


NAMES_OF_PUBLISHERS = {
    "GitHub": "github.com/{repository}/.github/workflows/{workflow}",
    "GitLab": "gitlab.com/{repository}//{workflow_filepath}",
    "Google": "accounts.google.com/{email}",
    "CircleCI": "circleci.com/{project_id}/{pipeline_definition_id}",
}


def check_attested(document: Json, wheel: Json) -> None:
    """That what was attested is what the manifest says; whether it is true is no question for a reader."""
    predicates = set()
    for each in document["attestation_bundles"]:
        name = NAMES_OF_PUBLISHERS.get(each["publisher"]["kind"], "").format(**each["publisher"])
        require(name == wheel["attested"]["publisher"], "an attestation is by another publisher")
        for attestation in each["attestations"]:
            statement = json.loads(base64.b64decode(attestation["envelope"]["statement"]), object_pairs_hook=without_twins)
            require([of["digest"]["sha256"] for of in statement["subject"]] == [wheel["sha256"]], "an attestation is of another file")
            predicates.add(statement["predicateType"])
    require(sorted(predicates) == wheel["attested"]["predicates"], "something else is attested")
