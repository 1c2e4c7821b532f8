"""Skeletons give back the very wheel, and malformed ones are refused, never worse."""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.handmade import taken_apart
from tests.support.wheels import make_wheel
from wheelhouse_builder.pack.headers import headers_of
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.headers import NUMBERS, TEXTS, Header
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
)

HEADER = Header(0, 0, 0, 0, 0, 0, 0, 0, 0, b"")
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


def test_what_follows_costs_nothing_to_carry(wheel: bytes) -> None:
    skeleton, _pool = taken_apart(wheel)
    assert {(header.crc, header.size) for header in skeleton.headers} == {(0, 0)}
    told = len(skeleton.members) * (8 + 26) + sum(len(header.name) for header in skeleton.headers)
    assert len(encode(skeleton)) < told + 10


def test_a_verbatim_member_keeps_its_crc_and_its_size(wheel: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        infos = archive.infolist()
    before, members, pool, at = [], [], b"", 0
    for info in infos:
        data = info.header_offset + 30 + len(info.filename)
        before.append(wheel[at:data])
        members.append(Member(len(pool), info.compress_size, VERBATIM))
        pool += wheel[data : data + info.compress_size]
        at = data + info.compress_size
    headers, comment = headers_of(before, wheel[at:])
    headers = tuple(header._replace(crc=info.CRC, size=info.file_size) for header, info in zip(headers, infos, strict=True))
    skeleton = Skeleton(tuple(members), headers, comment)
    assert headers[0].crc == zlib.crc32(b"answer = 42\n" * 500)
    assert rebuilt(decode(encode(skeleton)), pool) == wheel


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
        decode(encode(Skeleton((Member(0, 1, method),), (HEADER,))))


def test_whatever_headers_say_is_told(tmp_path: Path) -> None:
    odd = (3 << 8 | 45, 45, 0x0806, 0, 0x7D9FBF7D, 1, 2**32 - 1)
    headers = (Header(*odd, 0, 0, "ä".encode(), b"\x99\x99\0\0", b"\x98\x99\1\0x", b"a remark"), HEADER._replace(name=b"b"))
    data = rebuilt(decode(encode(Skeleton((Member(0, 3, STORED), Member(1, 0, STORED)), headers, b"a comment"))), b"abc")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        first, second = archive.infolist()
        assert (archive.comment, archive.read(first), archive.testzip()) == (b"a comment", b"abc", None)
    assert (first.filename, first.comment, first.extra) == ("ä", b"a remark", b"\x98\x99\1\0x")
    assert (first.create_system, first.create_version, first.extract_version, first.flag_bits) == (3, 45, 45, 0x0806)
    assert (first.internal_attr, first.external_attr, first.date_time) == (1, 2**32 - 1, (2042, 12, 31, 23, 59, 58))
    assert data[30:33] == "ä".encode() + b"\x99"
    assert (second.filename, second.file_size) == ("b", 0)
    (tmp_path / "odd.zip").write_bytes(data)
    tested = subprocess.run(["unzip", "-tq", tmp_path / "odd.zip"], check=False, capture_output=True) if shutil.which("unzip") else None
    assert tested is None or tested.returncode == 0, tested.stdout


methods = st.sampled_from([method for method in sorted(METHODS) if method < WITHOUT_DIGESTS])
members = st.lists(st.builds(Member, st.integers(0, 2**62), st.integers(0, 2**40), methods), max_size=8).map(tuple)
texts = st.binary(max_size=40)


@given(members, texts, st.data())
def test_every_skeleton_is_encoded_in_one_way(members: tuple[Member, ...], comment: bytes, data: st.DataObject) -> None:
    headers = []
    for member in members:
        numbers = [data.draw(st.integers(0, 2 ** (16 if kind == "H" else 32) - 1)) for kind in NUMBERS]
        header = Header._make([*numbers, *data.draw(st.tuples(*[texts] * TEXTS))])
        headers.append(header if member.method == VERBATIM else header._replace(crc=0, size=0))
    skeleton = Skeleton(members, tuple(headers), comment)
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
    assert decode(encoded + b"\0").comment == b"\0"


def test_a_number_may_not_be_written_longer_than_it_is() -> None:
    assert decode(b"WHSK\x01\x00") == Skeleton((), ())
    with pytest.raises(BundleRefused, match="one way"):
        decode(b"WHSK\x01\x80\x00")


def test_a_claim_of_many_members_costs_no_memory() -> None:
    with pytest.raises(BundleRefused, match="65535 members"):
        decode(b"WHSK\x01\xff\xff\x03")


@pytest.mark.parametrize("length", [0xFFFF, 0x10000])
@pytest.mark.parametrize("where", [*Header._fields[-TEXTS:], "the archive's comment"])
def test_a_text_has_as_many_bytes_as_a_header_can_say(where: str, length: int) -> None:
    header = Header._make(bytes(length) if field == where else told for field, told in HEADER._asdict().items())
    skeleton = Skeleton((Member(0, 0, STORED),), (header,), b"" if where in Header._fields else bytes(length))
    if length == 0xFFFF:
        assert decode(encode(skeleton)) == skeleton
    else:
        with pytest.raises(BundleRefused, match="too long"):
            decode(encode(skeleton))


def test_a_member_that_begins_before_the_pool_is_refused() -> None:
    with pytest.raises(BundleRefused, match="outside"):
        decode(encode(Skeleton((Member(-1, 1, STORED),), (HEADER,))))


@pytest.mark.parametrize("field", ["crc", "size"])
def test_what_follows_is_not_told(field: str) -> None:
    told = Header._make(1 if each == field else told for each, told in HEADER._asdict().items())
    decode(encode(Skeleton((Member(0, 1, VERBATIM),), (told,))))
    with pytest.raises(BundleRefused, match="what follows"):
        decode(encode(Skeleton((Member(0, 1, STORED),), (told,))))


def test_a_wheel_that_would_need_zip64_is_refused() -> None:
    told = HEADER._replace(size=2**32 - 1)
    with pytest.raises(BundleRefused, match="ZIP64"):
        rebuilt(Skeleton((Member(0, 1, VERBATIM),), (told,)), b"x")


def test_a_rebuilt_wheel_may_not_outgrow_its_size(wheel: bytes) -> None:
    skeleton, pool = taken_apart(wheel)
    with pytest.raises(BundleRefused, match="more than the"):
        rebuilt(skeleton, pool, limit=len(wheel) - 1)


def test_a_pool_that_is_too_short_is_refused(wheel: bytes) -> None:
    skeleton, pool = taken_apart(wheel)
    with pytest.raises(BundleRefused, match="pool"):
        rebuilt(skeleton, pool[:-1])
