from __future__ import annotations

import io
import tarfile

import pytest

from wheelhouse_builder.runtime import layout

GIB = 1 << 30


@pytest.mark.parametrize(
    "path", ["README.txt", "wheels/a-1.0-py3-none-any.whl", "a b/c+d!e", "COM0", "console", "com10.txt", "a/.b", "x" * 1024]
)
def test_a_portable_path_has_no_problem(path: str) -> None:
    assert layout.path_problem(path) is None


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "empty part"),
        ("/etc/passwd", "empty part"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("../a", "'..'"),
        ("a/./b", "'.'"),
        ("a./b", "ends in a dot"),
        ("a /b", "ends in a dot or space"),
        ("CON", "Windows"),
        ("a/con.txt", "Windows"),
        ("nul.tar.gz", "Windows"),
        ("lpt1 .txt", "Windows"),
        ("Com9", "Windows"),
        ("conin$", "Windows"),
        ("a\\b", "character"),
        ("c:a", "character"),
        ("a\0b", "character"),
        ("a\nb", "character"),
        ("ä", "character"),
        ("a\x7f", "character"),
        ("x" * 1025, "longer"),
    ],
)
def test_a_path_that_is_not_portable_is_named_with_its_reason(path: str, problem: str) -> None:
    assert problem in (layout.path_problem(path) or "")


@pytest.mark.parametrize("character", '<>:"|?*\\')
def test_what_windows_forbids_in_names_is_a_problem(character: str) -> None:
    assert layout.path_problem(f"a{character}b") is not None


def test_two_paths_that_differ_in_case_only_cannot_stand_in_one_list() -> None:
    assert "case only" in (layout.paths_problem(["a/B", "a/b"]) or "")


def test_the_same_path_twice_is_a_problem_even_as_the_same_object() -> None:
    path = "README.txt"
    assert "twice" in (layout.paths_problem([path, path]) or "")


def test_pieces_of_the_pool_have_at_least_four_digits() -> None:
    assert [layout.pool_entry(n) for n in (0, 42, 12345)] == ["pool/0000", "pool/0042", "pool/12345"]


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("a-1/README.txt", 0),
        ("a-1/README.txt", 513),
        ("x" * 100, 1),
        ("x" * 101, 1),
        ("x" * 979, 1),  # lengths around which the pax record's own length grows by a digit
        ("x" * 988, 1),
        ("x" * 989, 1),
        ("x" * 990, 1),
        ("x" * 1024, 1),
        ("a", 8 * GIB - 1),
        ("a", 8 * GIB),
        ("x" * 101, 9 * GIB),
        ("x" * 101, layout.MAX_SIZE),
    ],
)
def test_tarfile_reads_from_our_header_the_same_path_and_size(path: str, size: int) -> None:
    header = layout.tar_header(path, size)
    with tarfile.open(fileobj=io.BytesIO(header)) as archive:
        member = archive.next()
        assert member is not None
        assert (member.name, member.size, member.mode, member.uid, member.mtime) == (path, size, 0o644, 0, 0)
        assert member.isreg()
        assert archive.offset == len(header) + size + layout.tar_padding(size)
    assert layout.tar_entry_size(path, size) == len(header) + size + layout.tar_padding(size)


def test_contents_are_padded_to_blocks() -> None:
    assert [layout.tar_padding(size) for size in (0, 1, 511, 512, 513)] == [0, 511, 1, 0, 511]
