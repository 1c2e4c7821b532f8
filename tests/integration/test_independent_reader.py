"""The proof of FORMAT.md: a reader that was written from it alone says of every bundle what the runtime says."""

from __future__ import annotations

import base64
import collections
import copy
import hashlib
import inspect
import io
import itertools
import json
import lzma
import random
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests import independent_reader
from tests.fuzz import test_corpus
from tests.independent_reader import Refused, armor
from tests.support import attested, bundles, frames
from tests.support.bundles import FOREIGN, OURS, Draft, Key, draft, write_trust
from tests.support.contents import make_contents
from tests.support.handmade import bundle_for
from tests.support.index import LocalIndex
from tests.support.keys import EcdsaKey, MldsaKey, SecurityKey, trusted_keys
from tests.support.lies import LIES
from tests.support.pythons import cpythons
from tests.support.wheels import make_wheel
from tests.support.workplace import publish_acme, workplace
from tests.unit.runtime import test_bundle, test_manifest
from wheelhouse_builder.pack import pack
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.commands import run_unpack, run_verify
from wheelhouse_builder.runtime.errors import WheelhouseError
from wheelhouse_builder.runtime.host import this_host
from wheelhouse_builder.runtime.manifest import canonical_json

ACCEPTED, REFUSED = "accepted", "refused"


class Readers:
    """The two readers, which trust the same key."""

    def __init__(self, scratch: Path, trust: Path) -> None:
        self._scratch = scratch
        self._trust = trust

    def verdict(self, data: bytes, *, deep: bool = True) -> str:
        """What both say of the file ``data``; fails if they do not agree."""
        path = self._scratch / "bundle.whb"
        path.write_bytes(data)
        return self.verdict_of(path, deep=deep)

    def verdict_of(self, path: Path, *, deep: bool = True) -> str:
        """The same for a file that is there already."""
        runtime, reader = self._of_runtime(path, deep=deep), self._of_reader(path, deep=deep)
        assert runtime.split(":")[0] == reader.split(":")[0], f"runtime: {runtime}\nreader: {reader}"
        return runtime.split(":")[0]

    def wheels(self, path: Path) -> dict[str, bytes]:
        """The wheels of the good bundle at ``path``; fails if the two do not get the same ones."""
        run_unpack(str(path), str(self._scratch / "ours"), str(self._trust), targets=["all"])
        _, files = independent_reader.verify(path, trusted_keys(self._trust.read_text()))
        return same_wheels(self._scratch / "ours", files)

    def _of_runtime(self, path: Path, *, deep: bool) -> str:
        try:
            run_verify(str(path), str(self._trust), deep=deep)
        except WheelhouseError as error:
            return f"{REFUSED}: {error}"
        return ACCEPTED

    def _of_reader(self, path: Path, *, deep: bool) -> str:
        try:
            independent_reader.verify(path, trusted_keys(self._trust.read_text()), deep=deep)
        except Refused as refusal:
            return f"{REFUSED}: {refusal}"
        return ACCEPTED


def same_wheels(directory: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """By name, what stands in ``directory/wheels`` and in ``files``, which must be the same."""
    ours = {wheel.name: wheel.read_bytes() for wheel in directory.glob("wheels/*")}
    assert ours == {path.removeprefix("wheels/"): data for path, data in files.items() if path.startswith("wheels/")}
    return ours


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Draft]:
    return {mode: draft(tmp_path_factory.mktemp(mode), mode=mode) for mode in ("plain", "dense")}


@pytest.fixture
def readers(tmp_path: Path) -> Readers:
    return Readers(tmp_path, write_trust(tmp_path, OURS))


# Its own promises


def test_it_has_at_most_300_lines_of_code_and_shares_none_with_the_project() -> None:
    source = inspect.getsource(independent_reader)
    assert len(lines_of_code(source)) <= 300
    imports = re.findall(r"^\s*(?:import|from) +([\w.]+)", source, re.MULTILINE)
    assert "jsonschema" in imports
    assert not {"wheelhouse_builder", "tests"} & {name.partition(".")[0] for name in imports}


def lines_of_code(source: str) -> set[int]:
    """The lines that hold more than a comment or a docstring."""
    found: set[int] = set()
    before = tokenize.NEWLINE
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        docstring = token.type == tokenize.STRING and before in {tokenize.NEWLINE, tokenize.INDENT}
        if token.type not in silent and not docstring:
            found |= set(range(token.start[0], token.end[0] + 1))
        before = token.type if token.type not in {tokenize.COMMENT, tokenize.NL} else before
    return found


# Handmade bundles


@pytest.mark.parametrize("mode", ["plain", "dense"])
@pytest.mark.parametrize("deep", [False, True])
def test_both_accept_a_good_bundle(readers: Readers, drafts: dict[str, Draft], mode: str, *, deep: bool) -> None:
    assert readers.verdict(drafts[mode].signed(OURS), deep=deep) == ACCEPTED
    assert readers.verdict(drafts[mode].signed(OURS, FOREIGN), deep=deep) == ACCEPTED


def attested_bundle(directory: Path, document: bytes, **changed: object) -> bytes:
    """A bundle with a wheel of which ``document`` is said to attest who published it."""
    verdict = {"publisher": attested.PUBLISHER, "predicates": [attested.PUBLISH], **changed}
    pip = make_wheel(directory, "pip", "26.3")
    return bundle_for(this_host(), [attested.PATH], pip, attested={attested.FILENAME: (verdict, document)}).signed(OURS)


def test_both_read_what_was_attested(readers: Readers, tmp_path: Path) -> None:
    assert readers.verdict(attested_bundle(tmp_path, attested.DOCUMENT)) == ACCEPTED
    assert readers.verdict(attested_bundle(tmp_path, attested.DOCUMENT, publisher="github.com/acme/demo")) == REFUSED
    for name, document in attested.MALFORMED.items():
        assert readers.verdict(attested_bundle(tmp_path, document)) == REFUSED, name


def test_both_refuse_what_people_read_if_it_says_something_else(readers: Readers, tmp_path: Path) -> None:
    parts = [make_wheel(tmp_path, "demo", "1.0")], make_wheel(tmp_path, "pip", "26.3")
    honest = bundle_for(this_host(), *parts)
    assert readers.verdict(honest.signed(OURS)) == ACCEPTED
    readers.wheels(tmp_path / "bundle.whb")
    for lie in LIES.values():
        path = next(each["path"] for each in honest.document["files"] if each["path"].endswith(lie.file))
        told = (tmp_path / "ours" / path).read_bytes().replace(lie.old, lie.new)
        assert readers.verdict(bundle_for(this_host(), *parts, retold={path: told}).signed(OURS)) == REFUSED, lie


def signed_defects() -> Iterator[tuple[str, Callable[[Draft], bytes]]]:
    """Every way in which tests.support.bundles and the runtime's own tests spoil a bundle as a whole."""
    arguments = {"key": OURS, "other": FOREIGN}
    for name, function in inspect.getmembers(bundles, inspect.isfunction):
        parameters = [*inspect.signature(function).parameters]
        if parameters[:1] == ["draft"] and set(parameters[1:]) <= set(arguments):
            yield name, partial(function, **{name: arguments[name] for name in parameters[1:]})
    yield from test_bundle.DEFECTS.items()
    yield from test_bundle.FORGED.items()


@pytest.mark.parametrize("mode", ["plain", "dense"])
@pytest.mark.parametrize(("name", "defect"), list(signed_defects()))
def test_both_refuse_a_bundle_with_a_defect(
    readers: Readers, drafts: dict[str, Draft], mode: str, name: str, defect: Callable[[Draft], bytes]
) -> None:
    assert readers.verdict(defect(drafts[mode])) == REFUSED, name


@pytest.mark.parametrize("name", test_manifest.WRONG)
def test_both_refuse_a_manifest_with_a_wrong_value(readers: Readers, drafts: dict[str, Draft], name: str) -> None:
    change, _ = test_manifest.WRONG[name]
    assert readers.verdict(drafts["plain"].changed(change).signed(OURS)) == REFUSED


@pytest.mark.parametrize("name", test_manifest.DENSE_WRONG)
def test_both_refuse_a_manifest_with_a_wrong_value_in_mode_dense(readers: Readers, drafts: dict[str, Draft], name: str) -> None:
    change, _ = test_manifest.DENSE_WRONG[name]
    assert readers.verdict(drafts["dense"].changed(change).signed(OURS)) == REFUSED


def test_both_refuse_each_other_encoding_of_the_manifest(readers: Readers, drafts: dict[str, Draft]) -> None:
    made = drafts["plain"]
    for manifest in test_manifest.encodings(canonical_json(made.document)).values():
        assert readers.verdict(bundles.with_signed_manifest(made, manifest, OURS)) == REFUSED


def test_both_refuse_each_flipped_bit(readers: Readers, drafts: dict[str, Draft]) -> None:
    data = bytearray(drafts["dense"].signed(OURS))
    for position in range(0, len(data), 41):
        data[position] ^= 1 << position % 8
        assert readers.verdict(bytes(data), deep=False) == REFUSED, position
        data[position] ^= 1 << position % 8


def test_both_refuse_each_truncation(readers: Readers, drafts: dict[str, Draft]) -> None:
    data = drafts["plain"].signed(OURS)
    for length in [*range(0, len(data), 61), len(data) - 1]:
        assert readers.verdict(data[:length], deep=False) == REFUSED
        assert readers.verdict(data[length or 1 :], deep=False) == REFUSED


@pytest.mark.parametrize("key", [OURS, EcdsaKey(4), SecurityKey(5), MldsaKey(6)], ids=lambda key: type(key).__name__)
def test_both_say_the_same_of_each_type_of_key_and_of_each_part_of_its_signature(
    tmp_path: Path, drafts: dict[str, Draft], key: Key
) -> None:
    made, readers, dice = drafts["plain"], Readers(tmp_path, write_trust(tmp_path, key)), random.Random(0)
    assert readers.verdict(made.signed(key, FOREIGN), deep=False) == ACCEPTED
    for blob in mutants([blob_of(key.armored(canonical_json(made.document)))], dice, 60):
        data = bundles.with_signature(made, armor(blob), name=sshsig.member_name(key.public_key))
        assert readers.verdict(data, deep=False) == REFUSED
        assert readers.verdict(bundles.with_signature(made, armor(blob), name=name_of(blob)), deep=False) == REFUSED


def blob_of(armored: bytes) -> bytes:
    return base64.b64decode(b"".join(armored.splitlines()[1:-1]))


def name_of(blob: bytes) -> str:
    """The member name that goes with the key in a signature, if there is one."""
    return sshsig.member_name(blob[14 : 14 + int.from_bytes(blob[10:14], "big")])


def mutants(originals: list[bytes], dice: random.Random, count: int) -> Iterator[bytes]:
    return (mutant for mutant in itertools.islice(test_corpus.mutants(originals, dice), count) if mutant not in originals)


VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1,
    2**63 - 1,
    2**63,
    0.5,
    "",
    " ",
    "a",
    "A-b",
    "a/b",
    "..",
    "con",
    "é",
    "e\u0301",
    "\u2028",
    "\x7f",
    [],
    {},
    [[]],
]
"""What may stand in place of any value of a manifest."""


def test_both_say_the_same_of_a_manifest_with_any_value_in_any_place(readers: Readers, drafts: dict[str, Draft]) -> None:
    dice = random.Random(8)
    found = collections.Counter(readers.verdict(with_another_value(drafts["dense"], dice), deep=False) for _ in range(300))
    assert found[ACCEPTED] > 2
    assert found[REFUSED] > 200


def with_another_value(made: Draft, dice: random.Random) -> bytes:
    """Signed all the same: another value, a piece of another one, or an item more or less."""
    document = copy.deepcopy(made.document)
    holder, key = dice.choice([place for place in places(document) if place[0] is not document or dice.random() < 0.1])
    old = holder[key]
    match old, dice.randrange(3):
        case [_, *_], 0:
            old.append(dice.choice([old[0], *VALUES]))
        case [_, *_], 1:
            del old[dice.randrange(len(old))]
        case str(), 0 | 1:
            holder[key] = old.replace(*dice.choice([("-", "_"), (".", "."), ("1", "2"), ("0", "00"), ("/", "//"), ("e", "E")]))
        case _:
            holder[key] = dice.choice(VALUES)
    manifest = (json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()
    return bundles.with_signed_manifest(made, manifest, OURS)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place of a JSON document, as what holds it and its key or index."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def with_frame(made: Draft, number: int, compressed: bytes) -> Draft:
    """The draft with another frame, truly described but for what it stands for."""
    document = copy.deepcopy(made.document)
    frames = document["transport"]["frames"]
    start = sum(frame["size"] for frame in frames[:number])
    payload = made.payload[:start] + compressed + made.payload[start + frames[number]["size"] :]
    frames[number] |= {"size": len(compressed), "chunks": [hashlib.sha256(compressed).hexdigest()]}
    return replace(made, document=document, payload=payload)


def frame_of(made: Draft, number: int) -> bytes:
    start = sum(frame["size"] for frame in made.document["transport"]["frames"][:number])
    return made.payload[start : start + made.document["transport"]["frames"][number]["size"]]


@pytest.mark.parametrize("defect", frames.DEFECTS, ids=lambda defect: defect.__name__)
def test_both_refuse_a_malformed_frame_that_is_signed(readers: Readers, drafts: dict[str, Draft], defect: Callable[[], bytes]) -> None:
    assert readers.verdict(with_frame(drafts["plain"], 0, defect()).signed(OURS)) == REFUSED


def test_both_say_the_same_of_mutants_of_a_frame_that_are_signed(readers: Readers, drafts: dict[str, Draft]) -> None:
    for mutant in mutants([frame_of(drafts["plain"], 0)], random.Random(3), 80):
        assert readers.verdict(with_frame(drafts["plain"], 0, mutant).signed(OURS)) == REFUSED


def test_both_refuse_another_archive_that_is_signed(readers: Readers, drafts: dict[str, Draft]) -> None:
    """A tar archive of the signed size whose headers, padding or end are not the computed ones."""
    made = drafts["dense"]
    for number in (0, 1):
        tar = bytearray(zstandard.ZstdDecompressor().decompress(frame_of(made, number)))
        for position in [*range(0, 512, 23), 700, len(tar) - 1500, len(tar) - 1]:
            tar[position] ^= 1
            assert readers.verdict(with_frame(made, number, frames.compress(bytes(tar))).signed(OURS)) == REFUSED, position
            tar[position] ^= 1
        assert readers.verdict(with_frame(made, number, frames.compress(bytes(tar))).signed(OURS)) == ACCEPTED


def with_decoders(made: Draft, archive: bytes) -> Draft:
    """The draft with ``archive`` as its decoders' archive."""
    document = copy.deepcopy(made.document)
    wheel = "backports_zstd-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
    origin = document["distributions"][0]["origin"]
    document["targets"][0]["decoder"] = wheel
    document["decoders"] = [{"filename": wheel, **bundles.size_and_digest(b"a wheel"), "origin": origin, "attested": None}]
    control = {**made.control, "decoders.tar.xz": archive}
    document["transport"]["compressed"] = bundles.compressed(control)
    return replace(made, document=document, control=control)


def test_both_say_the_same_of_the_decoders_that_are_carried(readers: Readers, drafts: dict[str, Draft]) -> None:
    tar = bytes(10240)
    good = with_decoders(drafts["dense"], lzma.compress(tar))
    assert readers.verdict(good.signed(OURS)) == ACCEPTED
    for archive in (lzma.compress(b"evil"), b"", tar):
        assert readers.verdict(replace(good, control={**good.control, "decoders.tar.xz": archive}).signed(OURS)) == REFUSED
    assert readers.verdict(replace(good, control=drafts["dense"].control).signed(OURS)) == REFUSED
    unasked = good.changed(lambda document: document.update(decoders=[], targets=drafts["dense"].document["targets"]))
    assert readers.verdict(unasked.signed(OURS)) == REFUSED


# Real bundles

TRUST = "key.allowed_signers"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with acme-dense.whb and acme-plain.whb, for four targets, a delta against them, and the key that signed them."""
    root = tmp_path_factory.mktemp("packed")
    with LocalIndex(publish_acme(root / "index")) as index:
        place = workplace(root / "work", index)
        place.run("lock")
        place.run("bundle", "-o", "acme-dense.whb")
        place.run("bundle", "--plain", "-o", "acme-plain.whb")
        make_wheel(root / "index", "on-unix", "1.1", requires=["old-thing; python_version < '3.13'"])
        place.run("lock", "--upgrade")
        place.run("bundle", "--base", "acme-dense.whb", "-o", "delta.whb")
        yield place.folder


@pytest.mark.parametrize("mode", ["dense", "plain"])
def test_both_get_the_same_wheels_of_a_real_bundle(packed: Path, tmp_path: Path, mode: str) -> None:
    readers = Readers(tmp_path, packed / TRUST)
    assert readers.verdict_of(packed / f"acme-{mode}.whb") == ACCEPTED
    assert len(readers.wheels(packed / f"acme-{mode}.whb")) > 8


def test_both_get_the_same_wheels_where_machine_code_stands_filtered(tmp_path: Path) -> None:
    store, bundle = tmp_path / "store", tmp_path / "max.whb"
    wheels = [make_wheel(store, f"calls-{kind}", "1.0", files={"calls.so": frames.machine_code()}, compression=kind) for kind in (0, 8)]
    pack(make_contents(store, *wheels), bundle, signers=[OURS], effort="max")
    readers = Readers(tmp_path, write_trust(tmp_path, OURS))
    assert readers.verdict_of(bundle) == ACCEPTED
    assert readers.wheels(bundle) == {path.name: path.read_bytes() for path in store.glob("*.whl")}


def test_both_get_the_same_wheels_of_a_delta(packed: Path, tmp_path: Path) -> None:
    base, delta, trust = packed / "acme-dense.whb", packed / "delta.whb", packed / TRUST
    readers, keys = Readers(tmp_path, trust), trusted_keys(trust.read_text())
    assert readers.verdict_of(delta, deep=False) == ACCEPTED
    assert readers.verdict_of(delta) == REFUSED, "without its base"
    old = readers.wheels(base)
    run_unpack(str(delta), str(tmp_path / "by runtime"), str(trust), bases=[str(base)], targets=["all"])
    _, files = independent_reader.verify(delta, keys, tmp_path / "ours/wheels")
    assert same_wheels(tmp_path / "by runtime", files) != old


def test_both_say_the_same_of_mutants_of_a_real_bundle(packed: Path, tmp_path: Path) -> None:
    readers = Readers(tmp_path, packed / TRUST)
    for mutant in mutants([(packed / "acme-dense.whb").read_bytes()], random.Random(5), 60):
        assert readers.verdict(mutant, deep=False) == REFUSED


# Other readers

LISTERS = {
    "GNU tar": ("tar", "--zstd", "-tf"),
    "bsdtar": ("bsdtar", "-tf"),
    "zstd": ("zstd", "-q", "-t"),
    "zipfile": (sys.executable, "-m", "zipfile", "-l"),
}


@pytest.mark.parametrize("lister", LISTERS)
@pytest.mark.parametrize("mode", ["dense", "plain"])
def test_every_tool_for_its_kind_of_file_accepts_a_good_bundle(
    packed: Path, tmp_path: Path, drafts: dict[str, Draft], mode: str, lister: str
) -> None:
    (tmp_path / "made.whb").write_bytes(drafts[mode].signed(OURS, FOREIGN))
    for path, root in ((packed / f"acme-{mode}.whb", "acme-1.0/"), (tmp_path / "made.whb", bundles.ROOT)):
        done = subprocess.run([*LISTERS[lister], path], capture_output=True, check=False, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        if lister != "zstd":
            assert ("manifest.json" if lister == "zipfile" else f"{root}README.txt") in done.stdout


@pytest.mark.parametrize("version", cpythons())
def test_every_cpython_runs_a_good_bundle_and_verifies_it(packed: Path, version: str) -> None:
    for mode in ("dense", "plain"):
        command: list[str | Path] = [
            cpythons()[version],
            packed / f"acme-{mode}.whb",
            "verify",
            "--deep",
            "--trust",
            packed / TRUST,
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["verified"]
