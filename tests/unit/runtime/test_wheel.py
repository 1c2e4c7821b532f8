from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import DATA
from tests.support.malformed_wheels import (
    FILENAME,
    INFO,
    MALFORMED,
    Malformed,
    RawMember,
    end_record,
    good_members,
    good_wheel,
    good_zip,
    raw_member,
    raw_zip,
    recorded,
    with_files,
    with_first,
    with_record,
)
from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime.versions import same_version
from wheelhouse_builder.runtime.wheel import name_problem, parse_wheel_filename, wheel_problems, zip_problems

AMBIGUOUS = "short_usize_zip64.zip"
"""PyPI lets it pass; it holds 51 bytes of which readers that believe the other size field see 9, with the same CRC-32."""


def problems_of(data: bytes, filename: str = FILENAME) -> list[str]:
    return wheel_problems(io.BytesIO(data), filename)


# Good wheels


def test_a_wheel_as_build_backends_write_it_is_good(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "Demo.Pkg", "1.0", requires=["other>=1"], entry_points={"demo": "demo_pkg:main"})
    with path.open("rb") as file:
        assert wheel_problems(file, path.name) == []


def test_a_stored_wheel_with_tags_for_two_pythons_is_good(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo", "1.0", tag="py2.py3-none-any", compression=zipfile.ZIP_STORED)
    with path.open("rb") as file:
        assert wheel_problems(file, path.name) == []


def with_zip64_end_records() -> bytes:
    data = good_wheel()
    count, size, offset = struct.unpack("<H2L", data[-12:-2])
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(data) - 22, 1)
    return data[:-22] + end64 + locator + end_record(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def with_directories() -> bytes:
    archive = good_zip()
    directory = replace(raw_member("demo/", b"", method=0), attributes=0o40755 << 16 | 0x10)
    return replace(archive, members=(directory, *archive.members)).build()


def with_sizes_as_zip64(member: RawMember) -> RawMember:
    extra = struct.pack("<2H2Q", 1, 16, member.local.size, member.local.compressed)
    return member.both(size=0xFFFFFFFF, compressed=0xFFFFFFFF, extra=extra)


def with_zip64_in_the_local_header_only(member: RawMember) -> RawMember:
    extra = struct.pack("<2H2Q", 1, 16, member.local.size, member.local.compressed)
    return member.in_local(size=0xFFFFFFFF, compressed=0xFFFFFFFF, extra=extra)


def with_needless_zip64(member: RawMember) -> RawMember:
    return member.in_local(extra=struct.pack("<2H2Q", 1, 16, member.local.size, member.local.compressed))


@pytest.mark.parametrize(
    "build",
    [
        good_wheel,
        with_directories,
        with_zip64_end_records,
        lambda: with_first(with_sizes_as_zip64),
        lambda: with_first(with_zip64_in_the_local_header_only),
        lambda: with_first(with_needless_zip64),
        lambda: with_files({"demo/größe.txt": b"", "demo/日本.txt": b"x"}),
        lambda: with_files({"demo/a,b.txt": b"x"}),
        lambda: with_files({"demo-1.0.data/purelib/other.py": b"", "demo-1.0.data/scripts/run": b"#!python\n"}),
        lambda: with_files({"demo/vendored-2.0.dist-info/METADATA": b""}),
        lambda: replace(good_zip(), comment=b"made by hand").build(),
        lambda: with_record(lambda text: text.replace(INFO + "RECORD,,\n", "")),
        lambda: with_record(lambda text: text.replace(",20\n", ",\n", 1)),
        lambda: with_record(lambda text: text.replace("demo/", "demo\\", 1)),
        lambda: with_record(lambda text: text.replace("\n", "\r\n")),
        lambda: raw_zip(recorded(good_members(**{"RECORD.jws": b"{}"}))).build(),
    ],
    ids=[
        "plain",
        "directories",
        "zip64-end",
        "zip64-sizes",
        "zip64-local-only",
        "zip64-needless",
        "all-scripts",
        "comma",
        "data",
        "vendored-dist-info",
        "comment",
        "record-without-itself",
        "record-without-size",
        "record-with-backslash",
        "record-with-crlf",
        "signed-record",
    ],
)
def test_what_the_specifications_allow_is_let_pass(build: Callable[[], bytes]) -> None:
    assert problems_of(build()) == []


def test_other_spellings_of_name_and_version_are_let_pass() -> None:
    members = {
        "My_Demo.Pkg-1.0.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: My-Demo.Pkg\nVersion: 1.0.0\n",
        "My_Demo.Pkg-1.0.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "My_Demo.Pkg-1.0.0.dist-info/RECORD": b"",
    }
    problems = problems_of(raw_zip(members).build(), "my_demo_pkg-1.0-py3-none-any.whl")
    assert [problem for problem in problems if "RECORD" not in problem] == []


def test_a_file_name_with_fewer_tags_than_the_wheel_is_let_pass(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo", "1.0", tag="py2.py3-none-any")
    assert problems_of(path.read_bytes(), FILENAME) == []


# Malformed wheels


@pytest.mark.parametrize("wheel", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_wheel_is_refused_for_its_defect(wheel: Malformed) -> None:
    problems = problems_of(wheel.build(), wheel.filename)
    assert any(wheel.words in problem for problem in problems), problems


def test_there_are_more_malformed_wheels_than_pypi_has_fixtures() -> None:
    assert len(MALFORMED) > 45


def test_all_problems_of_a_wheel_are_told_at_once() -> None:
    files = {"demo/aux.py": b"", "demo/cafe\u0301.py": b"", INFO + "WHEEL": b"Wheel-Version: 9.0\nTag: py3-none-any\n"}
    problems = "\n".join(problems_of(with_files(files), "demo-1.1-py3-none-any.whl"))
    for words in ("Windows reserves", "NFC", "format is '9.0'", "Root-Is-Purelib", "version is '1.0'", "does not agree"):
        assert words in problems


def test_a_bomb_is_refused_without_inflating_it() -> None:
    archive = with_first(lambda member: member.both(size=0xFFFFFFF0))
    assert any("inflate" in problem for problem in problems_of(archive))


@pytest.mark.parametrize("size", range(0, len(good_wheel()), 7))
def test_a_wheel_cut_off_anywhere_is_refused(size: int) -> None:
    assert problems_of(good_wheel()[:size])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bytes_never_crash_the_check(data: st.DataObject) -> None:
    wheel = bytearray(good_wheel())
    for _ in range(data.draw(st.integers(1, 4))):
        wheel[data.draw(st.integers(0, len(wheel) - 1))] ^= data.draw(st.integers(1, 255))
    assert all(isinstance(problem, str) for problem in problems_of(bytes(wheel)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    assert problems_of(data)


# The fixtures of PyPI


def fixtures(kind: str) -> list[Path]:
    return sorted((DATA / "zip-fixtures" / kind).iterdir())


def test_everything_that_pypi_rejects_is_refused() -> None:
    let_pass = [path.name for path in fixtures("reject") if not zip_problems(io.BytesIO(path.read_bytes()))]
    assert (let_pass, len(fixtures("reject"))) == ([], 24)


def test_nothing_that_pypi_rejects_is_a_wheel() -> None:
    assert all(problems_of(path.read_bytes(), "wheel-1.0-py3-none-any.whl") for path in fixtures("reject"))


def test_what_pypi_accepts_is_a_well_formed_zip_but_for_the_one_that_readers_understand_in_two_ways() -> None:
    refused = {path.name: problems for path in fixtures("accept") if (problems := zip_problems(io.BytesIO(path.read_bytes())))}
    assert refused == {AMBIGUOUS: ["'file': has two values for one size: 9 and 51"]}


def test_what_pypi_accepts_as_a_zip_is_not_a_wheel_by_that() -> None:
    assert all(problems_of(path.read_bytes()) for path in fixtures("accept"))


# Names and versions


@pytest.mark.parametrize("name", ["demo/__init__.py", "demo/", "demo/größe.txt", "demo/.hidden", "demo/auxiliary.py", "demo/con_.py"])
def test_portable_names_pass(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "/", "a//b", "./a", "a/..", "a\\b", "NUL", "a/com1.txt", "a./b", "a /b", "a:b", "a\x00b", "／etc", "a/‥/b"]
)
def test_names_that_are_not_portable_are_refused(name: str) -> None:
    assert name_problem(name) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.0", "1.0.0"),
        ("1.0a1", "1.0.alpha-1"),
        ("1.0-1", "1.0.post1"),
        ("1.0rc1", "1.0c1"),
        ("2020.04.05", "2020.4.5"),
        ("1.0+local_1", "1.0+LOCAL.1"),
        ("v1.0", "1.0"),
        ("0!1.0", "1"),
        ("1.0.dev", "1.0dev0"),
    ],
)
def test_spellings_of_one_version_are_the_same(one: str, other: str) -> None:
    assert same_version(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.0", "1.1"), ("1.0", "1.0.post1"), ("1.0a1", "1.0b1"), ("1.0", "1!1.0"), ("1.0", "1.0+a"), ("x", "y"), ("10", "1")],
)
def test_different_versions_are_not_the_same(one: str, other: str) -> None:
    assert not same_version(one, other)


def test_a_file_name_gives_its_parts() -> None:
    name = parse_wheel_filename("Foo.Bar-1.0-2a-py2.py3-none-any.whl")
    assert name is not None
    assert (name.project, name.version, name.build) == ("foo-bar", "1.0", "2a")
    assert name.tags == {"py2-none-any", "py3-none-any"}
