"""RECORD without the digests that follow, and with them again."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.contents import held
from tests.support.frames import machine_code
from tests.support.wheels import make_wheel
from tests.unit.runtime.test_skeleton import rebuilt
from wheelhouse_builder.pack.members import Anatomy, take_apart
from wheelhouse_builder.pack.x86 import filtered
from wheelhouse_builder.runtime import records
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.pooled import PooledArchive
from wheelhouse_builder.runtime.rewrite import rewrite
from wheelhouse_builder.runtime.skeleton import STORED, WITHOUT_DIGESTS, Member, Skeleton, decode, encode

DIGESTS = {b"a.py": hashlib.sha256(b"a").digest(), b'"b,c.py"': hashlib.sha256(b"b").digest()}
BLANK = b"=" * 43


def line(name: bytes, digest: bytes) -> bytes:
    return name + b",sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=") + b",7\n"


def test_what_follows_is_cut_and_completed() -> None:
    text = b"".join(line(name, digest) for name, digest in DIGESTS.items()) + line(b"a.py", b"x" * 32) + b"d.dist-info/RECORD,,\n"
    without = records.cut(text, DIGESTS.get)
    assert without.count(BLANK) == 2
    assert len(without) == len(text)
    assert records.completed(without, DIGESTS.get) == text


def test_a_digest_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BundleRefused, match="RECORD"):
        records.completed(b"z.py,sha256=" + BLANK + b",7\n", DIGESTS.get)


lines = st.lists(
    st.sampled_from([*DIGESTS, b"z.py"]).flatmap(lambda name: st.sampled_from([*DIGESTS.values()]).map(lambda d: line(name, d)))
)


@given(lines.map(b"".join), st.sampled_from([b"", b"\r\n", b"x,sha256=", b",sha256==,"]))
def test_any_record_comes_back(text: bytes, end: bytes) -> None:
    assert records.completed(records.cut(text + end, DIGESTS.get), DIGESTS.get) == text + end


@pytest.fixture
def anatomy(tmp_path: Path) -> Anatomy:
    files = {"demo/__init__.py": b"answer = 42\n" * 100, "demo/empty.py": b"", "demo/calls.so": machine_code()}
    path = make_wheel(tmp_path, "demo", "1.0", files=files)
    return take_apart(held(path), lambda _: None, thorough=True)


def pooled(anatomy: Anatomy) -> tuple[Skeleton, bytes]:
    """The skeleton and its pool, in which machine code stands filtered."""
    pool, starts = b"", {}
    contents = {part.content.digest: part.content for part in anatomy.parts}
    for digest, content in contents.items():
        starts[digest] = len(pool)
        pool += b"".join(filtered(content.source.pieces()) if content.x86 else content.source.pieces())
    return anatomy.skeleton(starts, {digest for digest, content in contents.items() if content.x86}), pool


def test_a_wheel_is_rebuilt_from_its_members_and_the_rest_of_its_record(anatomy: Anatomy) -> None:
    skeleton, pool = pooled(anatomy)
    assert [bool(member.method & WITHOUT_DIGESTS) for member in skeleton.members].count(True) == 1
    assert pool.count(BLANK) > 3
    assert rebuilt(decode(encode(skeleton)), pool) == anatomy.wheel.path.read_bytes()


def test_where_zlib_is_another_its_record_is_whole_too(anatomy: Anatomy) -> None:
    skeleton, pool = pooled(anatomy)
    rewrite(skeleton, lambda start, length: [pool[start : start + length]], out := io.BytesIO())
    with zipfile.ZipFile(out) as ours, zipfile.ZipFile(anatomy.wheel.path) as theirs:
        assert {name: ours.read(name) for name in ours.namelist()} == {name: theirs.read(name) for name in theirs.namelist()}


def test_an_archive_that_nobody_writes_has_the_same_members(anatomy: Anatomy) -> None:
    skeleton, pool = pooled(anatomy)
    archive = PooledArchive(skeleton, lambda start, length: memoryview(pool)[start : start + length], anatomy.wheel.size)
    with zipfile.ZipFile(anatomy.wheel.path) as theirs:
        assert {each.name: b"".join(archive.contents(each)) for each in archive.members} == {n: theirs.read(n) for n in theirs.namelist()}


def test_one_that_is_too_large_is_refused(anatomy: Anatomy) -> None:
    skeleton, _ = pooled(anatomy)
    for length in (records.LIMIT, records.LIMIT + 1):
        members = (*skeleton.members[:-1], Member(0, length, STORED + WITHOUT_DIGESTS))
        with contextlib.nullcontext() if length == records.LIMIT else pytest.raises(BundleRefused, match="RECORD"):
            decode(encode(skeleton._replace(members=members)))
