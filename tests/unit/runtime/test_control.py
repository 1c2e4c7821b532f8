from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelhouse_builder.runtime.control import compressed_part, decode_control, deflated, encode_control, inflated
from wheelhouse_builder.runtime.errors import BundleRefused

MEMBERS = {"__main__.py": b"print(1)\n", "manifest.json": b"{}\n", "signatures/a.sig": b""}
CONTROL = encode_control(MEMBERS)
END = 22


def test_what_was_encoded_is_decoded() -> None:
    assert decode_control(CONTROL) == MEMBERS


def test_an_empty_control_part_is_an_end_record() -> None:
    assert decode_control(encode_control({})) == {}
    assert len(encode_control({})) == END


def test_the_order_of_the_members_given_changes_nothing() -> None:
    assert encode_control(dict(reversed(MEMBERS.items()))) == CONTROL


def test_zipfile_reads_the_same_members_all_stored() -> None:
    with zipfile.ZipFile(io.BytesIO(CONTROL)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == MEMBERS
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.namelist() == sorted(MEMBERS)


def test_every_flipped_bit_is_refused() -> None:
    for position in range(len(CONTROL)):
        for bit in range(8):
            data = bytearray(CONTROL)
            data[position] ^= 1 << bit
            with pytest.raises(BundleRefused):
                decode_control(bytes(data))


MODULE, SOURCE = "wheelhouse_runtime/a.py", b"def answer():\n    return 42\n" * 30
WITH_MODULE = encode_control({**MEMBERS, MODULE: deflated(SOURCE)})


def test_modules_stand_deflated_and_python_reads_them() -> None:
    with zipfile.ZipFile(io.BytesIO(WITH_MODULE)) as archive:
        assert archive.testzip() is None
        assert archive.read(MODULE) == SOURCE
        assert archive.getinfo(MODULE).compress_type == zipfile.ZIP_DEFLATED
    assert len(WITH_MODULE) < len(CONTROL) + len(SOURCE) // 2
    assert inflated(MODULE, decode_control(WITH_MODULE)[MODULE], len(SOURCE)) == SOURCE


def test_a_module_is_written_as_it_stands_or_not_at_all() -> None:
    assert encode_control(decode_control(WITH_MODULE)) == WITH_MODULE
    with pytest.raises(ValueError, match="not deflated"):
        encode_control({MODULE: SOURCE})


def test_every_flipped_bit_around_a_module_is_refused_then_or_when_it_is_inflated() -> None:
    for position in range(len(WITH_MODULE)):
        data = bytearray(WITH_MODULE)
        data[position] ^= 1 << position % 8
        try:
            members = decode_control(bytes(data))
        except BundleRefused:
            continue
        if compressed_part(members) == compressed_part(decode_control(WITH_MODULE)):
            with pytest.raises(BundleRefused, match=MODULE):
                inflated(MODULE, members[MODULE], len(SOURCE))


@pytest.mark.parametrize("size", [0, len(SOURCE) - 1, len(SOURCE) + 1])
def test_a_module_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(BundleRefused, match=r"a\.py has not the"):
        inflated(MODULE, deflated(SOURCE), size)


def test_what_follows_a_deflate_stream_is_refused() -> None:
    member = deflated(SOURCE)
    with pytest.raises(BundleRefused, match=r"a\.py"):
        inflated(MODULE, member[:-8] + b"\0" + member[-8:], len(SOURCE))


def test_every_truncation_at_either_end_is_refused() -> None:
    for length in range(len(CONTROL)):
        for data in (CONTROL[:length], CONTROL[len(CONTROL) - length :]):
            with pytest.raises(BundleRefused):
                decode_control(data)


@pytest.mark.parametrize("extra", [b"\0", b"PK", bytes(END), CONTROL, CONTROL[-END:]])
def test_bytes_before_or_after_are_refused(extra: bytes) -> None:
    for data in (CONTROL + extra, extra + CONTROL):
        with pytest.raises(BundleRefused):
            decode_control(data)


def zip_of(*members: tuple[str, bytes], **options: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            for option, value in options.items():
                setattr(info, option, value)
            archive.writestr(info, data)
    return buffer.getvalue()


def test_zipfile_can_be_made_to_write_our_encoding() -> None:
    assert zip_of(("a", b"1"), ("b", b"2")) == encode_control({"a": b"1", "b": b"2"})


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(zip_of(("a", b"1" * 100), compress_type=zipfile.ZIP_DEFLATED), id="compressed"),
        pytest.param(zip_of((MODULE, b"1" * 100)), id="a module that is stored"),
        pytest.param(zip_of(("b", b"1"), ("a", b"2")), id="not sorted"),
        pytest.param(zip_of(("a", b"1"), external_attr=0o120777 << 16), id="symbolic link"),
        pytest.param(zip_of(("a", b"1"), external_attr=0o100755 << 16), id="executable"),
        pytest.param(zip_of(("a", b"1"), create_system=0), id="made by DOS"),
        pytest.param(zip_of(("a", b"1"), create_version=45), id="made by a newer version"),
        pytest.param(zip_of(("../a", b"1")), id="parent"),
        pytest.param(zip_of(("/a", b"1")), id="absolute"),
        pytest.param(zip_of(("A", b"1"), ("a", b"1")), id="case twins"),
        pytest.param(zip_of(("ä", b"1")), id="not ASCII"),
        pytest.param(zip_of(("nul", b"1")), id="reserved by Windows"),
    ],
)
def test_a_zip_that_is_well_formed_but_not_ours_is_refused(data: bytes) -> None:
    with pytest.raises(BundleRefused):
        decode_control(data)


def with_end(data: bytes, *, count: int | None = None, size: int | None = None, offset: int | None = None) -> bytes:
    fields = list(struct.unpack("<4s4H2IH", data[-END:]))
    for index, value in ((3, count), (4, count), (5, size), (6, offset)):
        fields[index] = fields[index] if value is None else value
    return data[:-END] + struct.pack("<4s4H2IH", *fields)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(with_end(CONTROL, count=65535), id="more members than allowed"),
        pytest.param(with_end(CONTROL, count=2), id="a member hidden"),
        pytest.param(with_end(CONTROL, count=4), id="a member too many"),
        pytest.param(with_end(CONTROL, size=0xFFFFFFFF), id="ZIP64 size"),
        pytest.param(with_end(CONTROL, offset=0xFFFFFFFF), id="ZIP64 offset"),
        pytest.param(with_end(CONTROL, size=0), id="empty directory"),
    ],
)
def test_an_end_record_that_lies_is_refused(data: bytes) -> None:
    with pytest.raises(BundleRefused):
        decode_control(data)


def test_the_error_says_what_to_do_next() -> None:
    with pytest.raises(BundleRefused) as caught:
        decode_control(b"")
    assert caught.value.exit_code == 11
    assert "Copy it again" in caught.value.hint


def test_more_members_than_allowed_are_not_even_written() -> None:
    with pytest.raises(BundleRefused, match="4097 members"):
        encode_control({f"m{number}": b"" for number in range(4097)})


@given(st.binary(max_size=400))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        members = decode_control(data)
    except BundleRefused:
        return
    assert encode_control(members) == data


@given(st.lists(st.tuples(st.integers(0, len(CONTROL) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_any_rewritten_bytes_are_decoded_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(CONTROL)
    for position, value in changes:
        data[position] = value
    try:
        members = decode_control(bytes(data))
    except BundleRefused:
        return
    assert encode_control(members) == bytes(data)


@given(st.dictionaries(st.from_regex(r"[a-m]{1,8}(/[a-m]{1,8})?", fullmatch=True), st.binary(max_size=50), max_size=8))
def test_any_members_survive_the_way_there_and_back(members: dict[str, bytes]) -> None:
    assert decode_control(encode_control(members)) == members
