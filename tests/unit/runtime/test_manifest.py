from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bundles import NAME, TARGET, VERSION, Document, Draft, draft, target
from wheelhouse_builder.runtime.attested import PUBLISH, SLSA
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.manifest import Manifest, canonical_json, content_digest, parse_manifest

PIP, DEMO = "pip-26.3-py3-none-any.whl", "demo-1.0-py3-none-any.whl"
SHA256 = "0" * 64


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return draft(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return draft(tmp_path_factory.mktemp("dense"), mode="dense")


def parsed(document: Any) -> Manifest:
    return parse_manifest(canonical_json(document))


# What is right


def test_every_key_of_the_format_is_a_field(plain: Draft) -> None:
    manifest = parsed(plain.document)
    assert (manifest.name, manifest.version, manifest.mode) == (NAME, VERSION, "plain")
    assert [target.name for target in manifest.targets] == [TARGET]
    assert [each.filename for each in manifest.distributions] == [DEMO, PIP]
    assert [each.bootstrap for each in manifest.distributions] == [False, True]
    assert manifest.distributions[0].origin.url == f"https://files.example.org/{DEMO}"
    assert manifest.frames[0].entries[0] == ("README.txt", len(f"{NAME} {VERSION}\n\n{TARGET}\n\n"))
    assert manifest.targets[0].markers["platform_release"] is None
    assert manifest.document == plain.document
    assert manifest.payload_size == len(plain.payload)
    assert manifest.root == f"{NAME}-{VERSION}/"


def test_a_manifest_tells_how_a_wheel_was_built(plain: Draft) -> None:
    (told,) = parsed(plain.changed(builds(lambda _: None)).document).built
    assert (told.filename, told.sdist.filename, told.toolchain.tools) == (DEMO, "demo-1.0.tar.gz", ("cpython 3.12.1", "gcc 12.2.0"))
    assert told.repair is not None
    assert [graft.library for graft in told.repair.grafted] == ["x.so"]
    assert [need.version for need in told.repair.needs] == ["GLIBCXX_3.4.30", "GLIBC_2.34"]
    assert parsed(plain.changed(builds(lambda entry: entry.update(repair=None))).document).built[0].repair is None


def test_a_dense_manifest_parses(dense: Draft) -> None:
    assert parsed(dense.document).frames[1].entries[-1].path == "pool/0001"


def test_the_digest_depends_on_the_content_and_not_on_how_it_travels(plain: Draft, dense: Draft) -> None:
    assert content_digest(plain.document) == content_digest(dense.document)
    assert content_digest(plain.document) != content_digest(plain.changed(lambda d: d.update(as_of=None)).document)


def test_the_digest_is_the_sha256_of_the_canonical_document_without_transport(plain: Draft) -> None:
    content = {key: value for key, value in plain.document.items() if key != "transport"}
    assert content_digest(plain.document) == hashlib.sha256(canonical_json(content)).hexdigest()


def test_canonical_json_is_sorted_dense_utf8_with_one_newline() -> None:
    assert canonical_json({"b": [1, True, None], "a": {"é": "\n"}}) == '{"a":{"é":"\\n"},"b":[1,true,null]}\n'.encode()


@pytest.mark.parametrize("value", [1.5, float("nan"), {1: 2}, b"x", {"a": [{"b": 0.0}]}, "e\u0301", "\ud800", {"\ud800": 1}])
def test_what_has_no_canonical_encoding_is_refused_by_the_writer(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical_json(value)


# What is wrong, by one change each

Change = Callable[[Document], object]


def sets(path: str, value: Any) -> Change:
    """Puts ``value`` at a path such as ``targets.0.name``."""

    def change(document: Any) -> None:
        *parents, last = path.split(".")
        for key in parents:
            document = document[int(key) if key.isdigit() else key]
        document[int(last) if last.isdigit() else last] = value

    return change


def built() -> Any:
    """How the first distribution came about, if somebody built it."""
    digest, url = "0" * 64, f"https://files.example.org/{DEMO}"
    return {
        "filename": DEMO,
        "sdist": {"filename": "demo-1.0.tar.gz", "url": url, "sha256": digest},
        "recipe": {"name": "demo", "sha256": digest},
        "toolchain": {"name": "native", "tools": ["cpython 3.12.1", "gcc 12.2.0"], "packages": []},
        "materials": [{"filename": name, "url": url, "sha256": digest} for name in ("a-1-py3-none-any.whl", "b-1.tar.gz")],
        "repair": {
            "tool": "auditwheel 6",
            "raw": digest,
            "grafted": [{"member": "demo.libs/x.so", "library": "x.so", "sha256": digest}],
            "needs": [
                {"member": "demo.libs/x.so", "symbol": name, "library": "libc.so.6", "version": version}
                for name, version in (("", "GLIBCXX_3.4.30"), ("dlsym", "GLIBC_2.34"))
            ],
        },
    }


def builds(change: Callable[[Any], object]) -> Change:
    """Tells of the first distribution that it was built, but for a ``change`` of how."""

    def changed(document: Any) -> None:
        document["distributions"][0]["origin"]["kind"] = "built"
        document["built"] = [built()]
        document["transport"]["logs"] = ["0" * 64]
        change(document["built"][0])

    return changed


def drops(path: str) -> Change:
    def change(document: Any) -> None:
        *parents, last = path.split(".")
        for key in parents:
            document = document[int(key) if key.isdigit() else key]
        document.pop(int(last) if last.isdigit() else last)

    return change


def doubles(path: str) -> Change:
    """Puts the first item of a list into it once more."""

    def change(document: Any) -> None:
        for key in path.split("."):
            document = document[int(key) if key.isdigit() else key]
        document.insert(1, copy.deepcopy(document[0]))

    return change


def reverses(path: str) -> Change:
    def change(document: Any) -> None:
        for key in path.split("."):
            document = document[int(key) if key.isdigit() else key]
        document.reverse()

    return change


def adds_an_empty_frame(document: Document) -> None:
    document["transport"]["frames"].insert(0, {"size": 9, "entries": [], "chunks": ["0" * 64]})


def attested(**changed: object) -> Document:
    """What a manifest says of attestations."""
    return {"publisher": "github.com/acme/demo", "predicates": [PUBLISH], **changed}


def grows_control(document: Document) -> None:
    first, *others = document["control"]
    more = [{**first, "path": f"wheelhouse_runtime/a{number:03}.py"} for number in range(256)]
    document["control"] = [first, others[0], *sorted([*others[1:], *more], key=lambda each: str(each["path"]))]


def adds_a_target(document: Document) -> None:
    """A second target whose locks are not in the bundle."""
    document["targets"].append(target("cp313-manylinux_2_28_x86_64"))


WRONG: dict[str, tuple[Change, str]] = {
    "format": (sets("format", "zip"), "format: it is not"),
    "newer version": (sets("version", 2), "version: it is 2"),
    "version that is true": (sets("version", True), "version: it is True"),
    "unknown key": (sets("note", "hi"), "the key 'note' is unknown"),
    "missing key": (drops("as_of"), "the key 'as_of' is missing"),
    "unknown key of the bundle": (sets("bundle.note", 1), "bundle: the key 'note' is unknown"),
    "unknown key of a target": (sets("targets.0.note", 1), "targets[0]: the key 'note' is unknown"),
    "unknown key of the transport": (sets("transport.note", 1), "transport: the key 'note' is unknown"),
    "unknown key of a frame": (sets("transport.frames.1.note", 1), "transport.frames[1]: the key 'note' is unknown"),
    "unknown key of an origin": (sets("distributions.1.origin.note", 1), "distributions[1].origin: the key 'note' is unknown"),
    "missing key of a distribution": (drops("distributions.1.size"), "distributions[1]: the key 'size' is missing"),
    "missing key of a file": (drops("files.2.sha256"), "files[2]: the key 'sha256' is missing"),
    "missing marker": (drops("targets.0.markers.os_name"), "targets[0].markers: the key 'os_name' is missing"),
    "marker extra": (sets("targets.0.markers.extra", ""), "targets[0].markers: the key 'extra' is unknown"),
    "Python of no version": (sets("targets.0.markers.python_version", '3"'), "targets[0].markers.python_version: "),
    "marker of another type": (sets("targets.0.markers.os_name", 1), "targets[0].markers.os_name: it is no string"),
    "name with a slash": (sets("bundle.name", "a/b"), "bundle.name: "),
    "name that is parent": (sets("bundle.name", ".."), "bundle.name: "),
    "empty version": (sets("bundle.version", ""), "bundle.version: "),
    "time without Z": (sets("as_of", "2026-11-19T12:00:00"), "as_of: "),
    "time that is none": (sets("as_of", "2026-02-30T12:00:00Z"), "as_of: "),
    "second that clocks do not have": (sets("as_of", "2026-06-30T23:59:60Z"), "as_of: "),
    "targets no list": (sets("targets", {}), "targets: it is no list"),
    "no target": (sets("targets", []), "targets: there is none"),
    "target's name": (sets("targets.0.name", "cp312"), "targets[0].name: "),
    "interpreter": (sets("targets.0.interpreter", "cp 312"), "targets[0].interpreter: "),
    "no platform": (sets("targets.0.platforms", []), "targets[0].platforms: "),
    "platform twice": (doubles("targets.0.platforms"), "targets[0].platforms: "),
    "pip that is not there": (sets("targets.0.pip", "pip-1.0-py3-none-any.whl"), "targets[0].pip: "),
    "pip that is demo": (sets("targets.0.pip", DEMO), "targets[0].pip: "),
    "decoder that is not there": (sets("targets.0.decoder", "a-1-py3-none-any.whl"), "targets[0].decoder: "),
    "decoder that is no wheel": (sets("targets.0.decoder", "__main__.py"), "targets[0].decoder: "),
    "compressed part that is none": (sets("transport.compressed", None), "transport.compressed"),
    "compressed part without a digest": (sets("transport.compressed.sha256", "0" * 63), "transport.compressed.sha256"),
    "log of no build": (sets("transport.logs", ["0" * 64]), "transport.logs: there are 1 of 0 builds"),
    "log that is no digest": (sets("transport.logs", ["0"]), "transport.logs[0]: "),
    "target twice": (doubles("targets"), "targets: "),
    "target without locks": (adds_a_target, "files: 'targets/cp313-manylinux_2_28_x86_64/pylock.toml' is missing"),
    "distribution twice": (doubles("distributions"), "distributions: "),
    "distributions not sorted": (reverses("distributions"), "distributions[1]: "),
    "distribution's target": (sets("distributions.0.targets", ["cp311-win32"]), "distributions[0].targets[0]: "),
    "distribution for nobody": (sets("distributions.0.targets", []), "distributions[0].targets: "),
    "target of a distribution twice": (sets("distributions.0.targets", [TARGET, TARGET]), "distributions[0].targets: "),
    "distribution of another project": (sets("distributions.0.project", "demon"), "distributions[0].project: "),
    "project not normalized": (sets("distributions.0.project", "Demo"), "distributions[0].project: "),
    "file name with a folder": (sets("distributions.0.filename", "a/" + DEMO), "distributions[0].filename: "),
    "file name of an sdist": (sets("distributions.0.filename", "demo-1.0.tar.gz"), "distributions[0].filename: "),
    "distribution's version": (sets("distributions.0.version", "1.0\x1b[2J"), "distributions[0].version: "),
    "negative size": (sets("distributions.0.size", -1), "distributions[0].size: "),
    "size that is true": (sets("distributions.0.size", True), "distributions[0].size: "),
    "size in words": (sets("distributions.0.size", "12"), "distributions[0].size: "),
    "size beyond any file": (sets("distributions.0.size", 2**63), "distributions[0].size: "),
    "another size than the entry's": (sets("distributions.0.size", 1), "transport.frames[1].entries[0][1]: "),
    "digest in capitals": (sets("distributions.0.sha256", "A" * 64), "distributions[0].sha256: "),
    "short digest": (sets("distributions.0.sha256", "0" * 63), "distributions[0].sha256: "),
    "digest that ends in a newline": (sets("distributions.0.sha256", SHA256 + "\n"), "distributions[0].sha256: "),
    "origin": (sets("distributions.0.origin.kind", "friend"), "distributions[0].origin.kind: "),
    "policy of another type": (sets("policy", None), "policy: it is no object"),
    "unknown key of the policy": (sets("policy.note", 1), "policy: the key 'note' is unknown"),
    "missing key of the policy": (drops("policy.audience"), "policy: the key 'audience' is missing"),
    "channel with a space": (sets("policy.channel", "a b"), "policy.channel: "),
    "empty channel": (sets("policy.channel", ""), "policy.channel: "),
    "sequence without a channel": (sets("policy.sequence", 1), "policy.sequence: "),
    "negative sequence": (sets("policy", {"channel": "a", "sequence": -1, "audience": [], "not_after": None}), "policy.sequence: "),
    "sequence that is true": (sets("policy", {"channel": "a", "sequence": True, "audience": [], "not_after": None}), "policy.sequence: "),
    "sequence of 2^63": (sets("policy", {"channel": "a", "sequence": 2**63, "audience": [], "not_after": None}), "policy.sequence: "),
    "audience in words": (sets("policy.audience", "everybody"), "policy.audience: it is no list"),
    "audience twice": (sets("policy.audience", ["a", "a"]), "policy.audience: "),
    "audience not sorted": (sets("policy.audience", ["b", "a"]), "policy.audience[1]: "),
    "end that is no time": (sets("policy.not_after", "2027-02-30T00:00:00Z"), "policy.not_after: "),
    "excuse for nothing": (sets("excused", [{"filename": DEMO, "reason": "x", "problems": []}]), "excused[0]: "),
    "excuse without a reason": (sets("excused", [{"filename": DEMO, "reason": " ", "problems": ["a"]}]), "excused[0]: "),
    "excuse for a stranger": (
        sets("excused", [{"filename": "x-1-py3-none-any.whl", "reason": "x", "problems": ["a"]}]),
        "excused[0].filename: ",
    ),
    "excuse with a line end": (sets("excused", [{"filename": DEMO, "reason": "x\ny", "problems": ["a"]}]), "excused[0].reason: "),
    "built, and nothing says how": (sets("distributions.0.origin.kind", "built"), "built"),
    "told how it was built, and it was not": (sets("built", [built()]), "built"),
    "built of another sdist": (builds(lambda entry: entry["sdist"].update(url="https://example.org/x")), "built[0].sdist.url: "),
    "built of what is not named": (builds(lambda entry: entry.pop("materials")), "built[0]: the key 'materials' is missing"),
    "materials not sorted": (builds(lambda entry: entry["materials"].reverse()), "built[0].materials[1]: "),
    "a graft that leads out": (
        builds(lambda entry: entry["repair"]["grafted"][0].update(member="../x")),
        "built[0].repair.grafted[0].member: ",
    ),
    "needs not sorted": (builds(lambda entry: entry["repair"]["needs"].reverse()), "built[0].repair.needs[1]: "),
    "needs that nothing says": (builds(lambda entry: entry["repair"].pop("needs")), "built[0].repair: the key 'needs' is missing"),
    "excuse twice": (sets("excused", [{"filename": DEMO, "reason": "x", "problems": ["a"]}] * 2), "excused: "),
    "file without a mode": (sets("placed", [{"path": "a"}]), "placed[0]: the key 'mode' is missing"),
    "file that others write": (sets("placed", [{"path": "a", "mode": "0666"}]), "placed[0].mode: "),
    "file that runs as its owner": (sets("placed", [{"path": "a", "mode": "4755"}]), "placed[0].mode: "),
    "file that leaves": (sets("placed", [{"path": "../a", "mode": "0644"}]), "placed[0].path: "),
    "file placed twice": (
        sets("placed", [{"path": path, "mode": "0644"} for path in ("A", "a")]),
        "placed: 'A' and 'a' differ in case only",
    ),
    "file that does not travel": (sets("placed", [{"path": "a", "mode": "0644"}]), "files: 'files/a' is missing"),
    "command of nothing": (sets("smoke", [[]]), "smoke[0]: it names no command"),
    "command from elsewhere": (sets("smoke", [["/bin/sh"]]), "smoke[0][0]: "),
    "command in words": (sets("smoke", ["demo --version"]), "smoke[0]: it is no list"),
    "command with an escape sequence": (sets("smoke", [["demo", "\x1b[2J"]]), "smoke[0][1]: "),
    "credentials": (sets("distributions.0.origin.url", "https://me:secret@example.org/a"), "distributions[0].origin.url: "),
    "scheme": (sets("distributions.0.origin.url", "javascript://example.org/a"), "distributions[0].origin.url: "),
    "escape sequence": (sets("distributions.0.origin.url", "https://example.org/\x1b[2J"), "distributions[0].origin.url: "),
    "uploaded": (sets("distributions.0.origin.uploaded", "yesterday"), "distributions[0].origin.uploaded: "),
    "bootstrap in words": (sets("distributions.0.bootstrap", "no"), "distributions[0].bootstrap: "),
    "attestation in words": (sets("distributions.0.attested", "yes"), "distributions[0].attested: it is no object"),
    "attestation by nobody": (sets("distributions.0.attested", {"predicates": [PUBLISH]}), "the key 'publisher' is missing"),
    "attestation by a host": (sets("distributions.0.attested", attested(publisher="github.com")), "attested.publisher: "),
    "attestation by an escape sequence": (sets("distributions.0.attested", attested(publisher="a/\x1b[2J")), "attested.publisher: "),
    "attestation of nothing": (sets("distributions.0.attested", attested(predicates=[])), "attested.predicates: "),
    "attestation of something else": (sets("distributions.0.attested", attested(predicates=["evil"])), "attested.predicates[0]: "),
    "attestation twice": (sets("distributions.0.attested", attested(predicates=[PUBLISH, PUBLISH])), "attested.predicates: "),
    "attestation out of order": (sets("distributions.0.attested", attested(predicates=[SLSA, PUBLISH])), "attested.predicates: "),
    "attestation without a document": (sets("distributions.0.attested", attested()), "files: 'attestations/"),
    "document without an attestation": (sets("files.0.path", f"attestations/{DEMO}.json"), "files: 'README.txt' is missing"),
    "version of another wheel": (sets("distributions.0.version", "1.1"), "distributions[0].version: '1.1' is not the version of"),
    "target by the name of another platform": (sets("targets.0.platforms", ["win_amd64"]), "targets[0].name: "),
    "readme missing": (drops("files.0"), "files: 'README.txt' is missing"),
    "lock missing": (drops("files.1"), "files: 'targets/"),
    "foreign file": (sets("files.0.path", "EVIL.txt"), "files: "),
    "file twice": (doubles("files"), "files: "),
    "files not sorted": (reverses("files"), "files[1]: "),
    "path that leaves": (sets("files.0.path", "../README.txt"), "files[0].path: "),
    "path of another type": (sets("files.0.path", None), "files[0].path: it is no string"),
    "control not sorted": (reverses("control"), "control[1]: "),
    "control beyond its bound": (sets("control.1.size", 2**20 + 1), "control[1].size: "),
    "too many files of the reader": (grows_control, "control: it has 259 files"),
    "control member without a place": (sets("control.0.path", "__evil__.py"), "control[0].path: "),
    "the manifest itself": (sets("control.1.path", "manifest.json"), "control[1].path: "),
    "runtime in a folder": (sets("control.2.path", "wheelhouse_runtime/b/a.py"), "control[2].path: "),
    "runtime that is no Python": (sets("control.2.path", "wheelhouse_runtime/a.so"), "control[2].path: "),
    "mode": (sets("transport.mode", "zip"), "transport.mode: "),
    "zstd": (sets("transport.zstd", None), "transport.zstd: "),
    "no frames": (sets("transport.frames", []), "transport.frames: "),
    "frame lost": (drops("transport.frames.0"), "transport.frames: 'README.txt' is missing"),
    "frame of nothing": (sets("transport.frames.0.size", 0), "transport.frames[0].chunks: "),
    "chunk too few": (drops("transport.frames.0.chunks.0"), "transport.frames[0].chunks: there are 0"),
    "chunk too many": (doubles("transport.frames.0.chunks"), "transport.frames[0].chunks: there are 2"),
    "chunk's digest": (sets("transport.frames.0.chunks.0", "x"), "transport.frames[0].chunks[0]: "),
    "frame without entries": (adds_an_empty_frame, "transport.frames[0].entries: there is none"),
    "tar size that nobody asks for": (sets("transport.frames.0.tar_size", 512), "transport.frames[0]: the key 'tar_size' is unknown"),
    "entry twice": (doubles("transport.frames.0.entries"), "twice"),
    "entry missing": (drops("transport.frames.1.entries.0"), f"'wheels/{DEMO}' is missing"),
    "foreign entry": (sets("transport.frames.1.entries.0.0", "wheels/evil-1.0-py3-none-any.whl"), "has no place in the payload"),
    "entry of the pool in mode plain": (sets("transport.frames.1.entries.0.0", "pool/0000"), "has no place in the payload"),
    "entry of another size": (sets("transport.frames.0.entries.0.1", 21), "transport.frames[0].entries[0][1]: "),
    "entry that is no pair": (sets("transport.frames.0.entries.0", ["README.txt"]), "transport.frames[0].entries[0]: "),
    "entry that is an object": (sets("transport.frames.0.entries.0", {"a": 1, "b": 2}), "transport.frames[0].entries[0]: "),
    "entry whose path leaves": (sets("transport.frames.0.entries.0.0", "/etc/passwd"), "transport.frames[0].entries[0][0]: "),
}


@pytest.mark.parametrize("defect", WRONG)
def test_a_defect_is_refused_with_its_address(plain: Draft, defect: str) -> None:
    change, problem = WRONG[defect]
    with pytest.raises(BundleRefused) as caught:
        parsed(plain.changed(change).document)
    assert problem in str(caught.value)
    assert caught.value.hint


DENSE_WRONG: dict[str, tuple[Change, str]] = {
    "pool begins with 1": (drops("transport.frames.1.entries.2"), "'pool/0001' has no place"),
    "pool not in order": (reverses("transport.frames.1.entries"), "'pool/0001' has no place"),
    "pool with a gap": (sets("transport.frames.1.entries.3.0", "pool/0002"), "'pool/0002' has no place"),
    "pool with three digits": (sets("transport.frames.1.entries.3.0", "pool/001"), "'pool/001' has no place"),
    "pool with five digits": (sets("transport.frames.1.entries.3.0", "pool/00001"), "'pool/00001' has no place"),
    "wheel of another size": (sets("transport.frames.1.entries.0.0", f"wheels/{DEMO}"), f"the size of 'wheels/{DEMO}' is"),
    "wheel and skeleton": (sets("transport.frames.1.entries.2.0", f"wheels/{DEMO}"), f"'skeletons/{DEMO}' has no place"),
    "skeleton missing": (drops("transport.frames.1.entries.0"), f"'skeletons/{DEMO}' is missing"),
    "plain mode of dense entries": (sets("transport.mode", "plain"), "has no place"),
}


@pytest.mark.parametrize("defect", DENSE_WRONG)
def test_a_defect_of_dense_mode_is_refused_with_its_address(dense: Draft, defect: str) -> None:
    change, problem = DENSE_WRONG[defect]
    with pytest.raises(BundleRefused) as caught:
        parsed(dense.changed(change).document)
    assert problem in str(caught.value)


# Deltas

DIGEST = "0" * 64
SOURCE = {"filename": "demo-0.9-py3-none-any.whl", "size": 10, "sha256": DIGEST, "pool_size": 20}
BASE = {"name": "acme-web", "version": "2026.10", "digest": DIGEST, "taken": [], "pool": [SOURCE]}


def is_a_delta(document: Document) -> None:
    """Takes the first distribution and the members of an older one from a base."""
    filename = document["distributions"][0]["filename"]
    document["transport"]["base"] = copy.deepcopy(BASE) | {"taken": [filename]}
    frame = document["transport"]["frames"][1]
    [gone] = [entry for entry in frame["entries"] if entry[0] == f"skeletons/{filename}"]
    frame["entries"].remove(gone)


def test_a_delta_is_read(dense: Draft) -> None:
    base = parsed(dense.changed(is_a_delta).document).base
    assert base is not None
    assert (base.name, base.version, base.digest, base.taken, base.pool[0].pool_size) == ("acme-web", "2026.10", DIGEST, (DEMO,), 20)


def test_a_delta_has_the_digest_of_the_whole(dense: Draft) -> None:
    assert content_digest(dense.changed(is_a_delta).document) == content_digest(dense.document)


def is_its_own_base(document: Document) -> None:
    document["transport"]["base"]["digest"] = content_digest(document)


def is_plain(document: Document) -> None:
    document["transport"]["mode"] = "plain"


DELTA_WRONG: dict[str, tuple[Change, str]] = {
    "no base at all": (drops("transport.base"), "transport: the key 'base' is missing"),
    "base null, entry lacking": (sets("transport.base", None), f"'skeletons/{DEMO}' is missing"),
    "base no object": (sets("transport.base", []), "transport.base: it is no object"),
    "unknown key": (sets("transport.base.note", 1), "transport.base: the key 'note' is unknown"),
    "missing key": (drops("transport.base.digest"), "transport.base: the key 'digest' is missing"),
    "digest": (sets("transport.base.digest", "x"), "transport.base.digest: "),
    "its own base": (is_its_own_base, "transport.base.digest: the bundle cannot be its own base"),
    "name with a slash": (sets("transport.base.name", "a/b"), "transport.base.name: "),
    "taken twice": (doubles("transport.base.taken"), "transport.base.taken: "),
    "taken that is no wheel": (sets("transport.base.taken.0", "README.txt"), "transport.base.taken[0]: "),
    "taken that is no distribution": (sets("transport.base.taken.0", "a-1-py3-none-any.whl"), "is no distribution of the bundle"),
    "nothing taken": (sets("transport.base.taken", []), f"'skeletons/{DEMO}' is missing"),
    "taken and carried": (sets("transport.base.taken", [DEMO, PIP]), f"'skeletons/{PIP}' has no place in the payload"),
    "source twice": (doubles("transport.base.pool"), "transport.base.pool: "),
    "source that leaves": (sets("transport.base.pool.0.filename", "../a-1-py3-none-any.whl"), "transport.base.pool[0].filename: "),
    "unknown key of a source": (sets("transport.base.pool.0.note", 1), "transport.base.pool[0]: the key 'note' is unknown"),
    "source's size": (sets("transport.base.pool.0.pool_size", -1), "transport.base.pool[0].pool_size: "),
    "source with another digest": (sets("transport.base.pool.0.filename", DEMO), "is taken from the base with another digest"),
}


@pytest.mark.parametrize("defect", DELTA_WRONG)
def test_a_defect_of_a_delta_is_refused_with_its_address(dense: Draft, defect: str) -> None:
    change, problem = DELTA_WRONG[defect]
    with pytest.raises(BundleRefused) as caught:
        parsed(dense.changed(is_a_delta).changed(change).document)
    assert problem in str(caught.value)


# Bytes that are not canonical, or no JSON


def encodings(data: bytes) -> dict[str, bytes]:
    """The same document, written otherwise, and documents that are none."""
    document = json.loads(data)
    text = data.decode()
    return {
        "indented": json.dumps(document, sort_keys=True, indent=1).encode() + b"\n",
        "spaces": json.dumps(document, sort_keys=True).encode() + b"\n",
        "not sorted": json.dumps(dict(reversed(document.items())), separators=(",", ":")).encode() + b"\n",
        "no newline": data[:-1],
        "two newlines": data + b"\n",
        "byte order mark": b"\xef\xbb\xbf" + data,
        "UTF-16": text.encode("utf-16"),
        "escaped": data.replace(b"acme-web", b"acme\\u002dweb"),
        "not UTF-8": data.replace(b"acme-web", b"acme\xffweb"),
        "duplicate key": data.replace(b'"as_of":', b'"as_of":null,"as_of":'),
        "duplicate key deep within": data.replace(b'"abi":', b'"abi":"cp311","abi":'),
        "float": data.replace(b'"version":1}', b'"version":1.0}'),
        "exponent": data.replace(b'"version":1}', b'"version":1e0}'),
        "NaN": data.replace(b'"version":1}', b'"version":NaN}'),
        "infinity": data.replace(b'"version":1}', b'"version":-Infinity}'),
        "huge number": data.replace(b'"version":1}', b'"version":' + b"9" * 1_000_000 + b"}"),
        "minus zero": re.sub(rb'\["README.txt",[0-9]+\]', b'["README.txt",-0]', data),
        "deep lists": b"[" * 200_000,
        "deep objects": b'{"a":' * 200_000,
        "deep lists within": data.replace(b'"as_of":"2026-11-19T12:00:00Z"', b'"as_of":' + b"[" * 100_000 + b"]" * 100_000),
        "a list": b"[]\n",
        "a string": b'"wheelhouse-bundle"\n',
        "null": b"null\n",
        "empty": b"",
        "NUL": b"\0",
        "surrogate": data.replace(b"acme-web", b"\\ud800"),
        "decomposed": data.replace(b"files.example.org", "e\u0301.example.org".encode()),
    }


@pytest.mark.parametrize("name", encodings(canonical_json({"acme-web": 1})))
def test_a_document_that_is_not_canonical_is_refused(plain: Draft, name: str) -> None:
    good = canonical_json(plain.document)
    data = encodings(good)[name]
    assert data != good
    with pytest.raises(BundleRefused):
        parse_manifest(data)


def test_every_truncation_is_refused(plain: Draft) -> None:
    data = canonical_json(plain.document)
    for length in range(len(data)):
        with pytest.raises(BundleRefused):
            parse_manifest(data[:length])


def test_every_flipped_bit_is_refused_or_means_something_else(plain: Draft) -> None:
    data = canonical_json(plain.document)
    good = parse_manifest(data)
    for position in range(len(data)):
        wrong = bytearray(data)
        wrong[position] ^= 1 << position % 8
        try:
            found = parse_manifest(bytes(wrong))
        except BundleRefused:
            continue
        assert found != good


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.data())
def test_any_value_anywhere_is_parsed_or_refused(plain: Draft, data: st.DataObject) -> None:
    document = copy.deepcopy(plain.document)
    place: Any = document
    while True:
        keys = list(range(len(place))) if isinstance(place, list) else sorted(place)
        key = data.draw(st.sampled_from(keys))
        if isinstance(place[key], (list, dict)) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(JSON)
        break
    for encoded in (json.dumps(document), json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"):
        try:
            manifest = parse_manifest(encoded.encode("utf-8", "surrogatepass"))
        except BundleRefused:
            continue
        assert canonical_json(manifest.document) == encoded.encode()


@given(st.binary(max_size=100))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    with pytest.raises(BundleRefused):
        parse_manifest(data)


def test_a_manifest_of_many_distributions_parses_in_time(plain: Draft) -> None:
    """Ten thousand: nothing here is quadratic."""

    def grow(document: Document) -> None:
        wheel, entries = document["distributions"][0], document["transport"]["frames"][1]["entries"]
        for number in range(10_000):
            filename = f"demo-1.{number:05}-py3-none-any.whl"
            document["distributions"].append({**wheel, "filename": filename, "version": f"1.{number}"})
            entries.append([f"wheels/{filename}", wheel["size"]])
        document["distributions"].sort(key=lambda each: each["filename"])

    manifest = parsed(plain.changed(grow).document)
    assert len(manifest.distributions) == 10_002
