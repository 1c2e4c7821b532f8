"""Skeletons give back the very wheel, and malformed ones are refused, never worse."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.handmade import taken_apart
from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.skeleton import (
    FILTERED,
    MEMORY_8,
    MEMORY_9,
    METHODS,
    STORED,
    VERBATIM,
    WITHOUT_DIGESTS,
    Member,
    Skeleton,
    decode,
    deflate,
    encode,
    rebuild,
    without_derived,
)

FILES: dict[str, str | bytes] = {
    "demo/__init__.py": "answer = 42\n" * 500,
    "demo/empty.py": "",
    "demo/noise.bin": random.Random(1).randbytes(70_000),
}


def rebuilt(skeleton: Skeleton, pool: bytes, *, piece: int = 1000, limit: int | None = None) -> bytes:
    def read(start: int, length: int) -> Iterator[bytes]:
        for at in range(start, start + length, piece):
            yield pool[at : min(at + piece, start + length)]

    out = io.BytesIO()
    rebuild(skeleton, read, out, limit)
    return out.getvalue()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_wheel(tmp_path_factory.mktemp("wheels"), "demo", "1.0", files=FILES).read_bytes()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_true_wheel_comes_back_bit_for_bit(tmp_path: Path, compression: int) -> None:
    wheel = make_wheel(tmp_path, "demo", "1.0", files=FILES, compression=compression).read_bytes()
    skeleton, pool = taken_apart(wheel)
    assert rebuilt(decode(encode(skeleton)), pool, limit=len(wheel)) == wheel


def test_derived_fields_cost_nothing_to_carry(wheel: bytes) -> None:
    skeleton, _pool = taken_apart(wheel)
    headers = skeleton.literals[:-1]
    assert {header[14:26] for header in headers} == {bytes(12)}


def test_a_verbatim_member_keeps_its_crc_and_its_size(wheel: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        infos = archive.infolist()
    literals, members, pool, at = [], [], b"", 0
    for info in infos:
        data = info.header_offset + 30 + len(info.filename)
        literals.append(wheel[at:data])
        members.append(Member(len(pool), info.compress_size, VERBATIM))
        pool += wheel[data : data + info.compress_size]
        at = data + info.compress_size
    skeleton = without_derived(Skeleton(derived=False, members=tuple(members), literals=(*literals, wheel[at:])))
    assert skeleton.literals[0][14:18] == zlib.crc32(b"answer = 42\n" * 500).to_bytes(4, "little")
    assert rebuilt(decode(encode(skeleton)), pool) == wheel


def test_a_wheel_that_could_not_be_taken_apart_is_one_literal(wheel: bytes) -> None:
    skeleton = Skeleton(derived=False, members=(), literals=(wheel,))
    assert rebuilt(decode(encode(skeleton)), b"") == wheel


def test_a_wheel_is_rebuilt_behind_what_the_file_holds_already(wheel: bytes) -> None:
    skeleton, pool = taken_apart(wheel)
    out = io.BytesIO(b"before")
    out.seek(6)
    rebuild(skeleton, lambda start, length: [pool[start : start + length]], out)
    assert out.getvalue() == b"before" + wheel


@pytest.mark.parametrize("method", sorted(method for method in METHODS - {STORED, VERBATIM} if method < FILTERED))
@pytest.mark.parametrize("piece", [1, 4096, 1 << 20])
def test_deflate_does_not_depend_on_where_the_pieces_end(method: int, piece: int) -> None:
    data = random.Random(method).choices([b"import ", b"os\n", b"return ", b"\0\1\2", b"self."], k=40_000 if piece > 1 else 2000)
    content = b"".join(data)
    pieces = (content[at : at + piece] for at in range(0, len(content), piece))
    whole = zlib.compressobj(method & 15, zlib.DEFLATED, -15, 9 if method & MEMORY_9 else 8)
    assert b"".join(deflate(method, pieces)) == whole.compress(content) + whole.flush()


@pytest.mark.parametrize("method", [2, 0x0F, MEMORY_8, MEMORY_8 + 10, MEMORY_9, MEMORY_9 + 15, 0x30, 0xFF])
def test_an_unknown_method_is_refused(method: int) -> None:
    with pytest.raises(BundleRefused, match="method"):
        list(deflate(method, [b""]))
    with pytest.raises(BundleRefused, match="method"):
        decode(encode(Skeleton(derived=False, members=(Member(0, 1, method),), literals=(b"", b""))))


methods = st.sampled_from([method for method in sorted(METHODS) if method < WITHOUT_DIGESTS])
members = st.lists(st.builds(Member, st.integers(0, 2**62), st.integers(0, 2**40), methods), max_size=8).map(tuple)


@given(members, st.data())
def test_every_skeleton_is_encoded_in_one_way(members: tuple[Member, ...], data: st.DataObject) -> None:
    literals = data.draw(st.tuples(*[st.binary(max_size=40)] * (len(members) + 1)))
    skeleton = Skeleton(derived=False, members=members, literals=literals)
    assert decode(encode(skeleton)) == skeleton


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x00\x00\x00")
@example(b"\x01\x00\x00")
@example(b"\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
@example(b"\x00" + b"\xff" * 40)
@example(b"\x00\x80\x00\x00")
def test_any_bytes_are_a_skeleton_or_refused(data: bytes) -> None:
    for candidate in (data, b"WHSK\x01" + data):
        try:
            skeleton = decode(candidate)
        except BundleRefused:
            continue
        assert encode(skeleton) == candidate


def test_a_flipped_bit_raises_nothing_but_a_refusal_and_never_outgrows_the_wheel(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "demo", "1.0", files={"demo/__init__.py": "answer = 42\n" * 50, "demo/empty.py": ""}).read_bytes()
    skeleton, pool = taken_apart(wheel)
    encoded = encode(skeleton)
    for bit in range(len(encoded) * 8):
        changed = bytearray(encoded)
        changed[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(BundleRefused):
            assert len(rebuilt(decode(bytes(changed)), pool, piece=1 << 20, limit=len(wheel))) <= len(wheel)


def test_every_truncation_is_refused(wheel: bytes) -> None:
    encoded = encode(taken_apart(wheel)[0])
    for length in range(len(encoded)):
        with pytest.raises(BundleRefused):
            decode(encoded[:length])
    with pytest.raises(BundleRefused, match="follow"):
        decode(encoded + b"\0")


def test_a_number_may_not_be_written_longer_than_it_is() -> None:
    assert decode(b"WHSK\x01\x00\x00\x00") == Skeleton(derived=False, members=(), literals=(b"",))
    with pytest.raises(BundleRefused, match="one way"):
        decode(b"WHSK\x01\x80\x00\x00\x00")


def test_a_claim_of_many_members_costs_no_memory() -> None:
    with pytest.raises(BundleRefused, match="more than it has bytes"):
        decode(b"WHSK\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f")


def test_a_member_that_begins_before_the_pool_is_refused() -> None:
    skeleton = Skeleton(derived=False, members=(Member(-1, 1, STORED),), literals=(b"", b""))
    with pytest.raises(BundleRefused, match="outside"):
        decode(encode(skeleton))


def test_derived_fields_that_are_not_zero_are_refused(wheel: bytes) -> None:
    skeleton, _pool = taken_apart(wheel)
    first = bytearray(skeleton.literals[0])
    first[14] = 1
    with pytest.raises(BundleRefused, match="zeros"):
        decode(encode(skeleton._replace(literals=(bytes(first), *skeleton.literals[1:]))))


@pytest.mark.parametrize(
    ("literal", "change"),
    [
        (0, lambda header: header[:20]),
        (0, lambda header: header + b"x"),
        (0, lambda header: b"PK\5\6" + header[4:]),
        (0, lambda header: header[:6] + b"\x08" + header[7:]),
        (-1, lambda directory: directory[:-1]),
        (-1, lambda directory: directory + b"x"),
        (-1, lambda directory: directory[:30]),
        (-1, lambda directory: b"PK\5\6" + directory[4:]),
        (-1, lambda directory: directory[-22:]),
    ],
    ids=["cut", "followed", "foreign", "descriptor", "end-cut", "end-followed", "entry-cut", "entry-foreign", "entries-missing"],
)
def test_derived_fields_need_plain_headers(wheel: bytes, literal: int, change: object) -> None:
    assert callable(change)
    skeleton, _pool = taken_apart(wheel)
    literals = list(skeleton.literals)
    literals[literal] = change(literals[literal])
    with pytest.raises(BundleRefused):
        without_derived(skeleton._replace(literals=tuple(literals)))


def test_a_rebuilt_wheel_may_not_outgrow_its_size(wheel: bytes) -> None:
    skeleton, pool = taken_apart(wheel)
    with pytest.raises(BundleRefused, match="more than the"):
        rebuilt(skeleton, pool, limit=len(wheel) - 1)


def test_a_pool_that_is_too_short_is_refused(wheel: bytes) -> None:
    skeleton, pool = taken_apart(wheel)
    with pytest.raises(BundleRefused, match="pool"):
        rebuilt(skeleton, pool[:-1])
