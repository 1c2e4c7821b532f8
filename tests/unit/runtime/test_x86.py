"""The filter for machine code is undone by the library and by our own code alike."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.frames import compiled_module
from wheelhouse_builder.pack.x86 import filtered
from wheelhouse_builder.runtime import x86
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.headers import Header
from wheelhouse_builder.runtime.skeleton import FILTERED, MEMORY_8, STORED, VERBATIM, Member, Skeleton, content, decode, deflate, encode

Restore = Callable[[Iterable[bytes]], Iterator[bytes]]

opcodes = st.lists(st.sampled_from([b"\xe8", b"\xe9", b"\x00", b"\xff", b"\x01", b"\x7f"]), max_size=60).map(b"".join)


@pytest.fixture(params=["with lzma", "without lzma"])
def restore(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Restore:
    if request.param == "without lzma":
        monkeypatch.setattr(x86, "_lzma", None)
    return x86.restored


def nobody(_: bytes) -> None:
    raise AssertionError("nothing here is a RECORD")


def pieces(data: bytes, seed: int) -> Iterator[bytes]:
    """``data``, cut at places that look random."""
    sizes, at = random.Random(seed), 0
    while at < len(data):
        size = sizes.choice([1, 2, 3, 4, 5, 9, 1000, 70_000])
        yield data[at : at + size]
        at += size


def test_real_machine_code_comes_back(restore: Restore) -> None:
    code = compiled_module(1_500_000)
    made = b"".join(filtered(pieces(code, 1)))
    assert made != code
    assert b"".join(restore(pieces(made, 2))) == code


@given(opcodes, st.integers(0, 9))
def test_both_undo_it_and_both_agree_about_what_no_filter_made(data: bytes, seed: int) -> None:
    library = x86._lzma
    assert library is not None
    for ours in (x86._restored_in_python, lambda chunks: x86._restored_by(library, chunks)):
        assert b"".join(ours(pieces(b"".join(filtered([data])), seed))) == data
    assert b"".join(x86._restored_in_python(pieces(data, seed))) == b"".join(x86._restored_by(library, pieces(data, seed)))


def test_a_member_that_stands_filtered_is_restored_before_it_is_deflated() -> None:
    code = compiled_module(200_000)
    made = list(filtered([code]))
    assert b"".join(content(FILTERED + STORED, made, nobody)) == b"".join(deflate(FILTERED + STORED, [code])) == code
    assert b"".join(deflate(FILTERED + MEMORY_8 + 6, [code])) == b"".join(deflate(MEMORY_8 + 6, [code]))


def test_nothing_that_is_carried_verbatim_stands_filtered() -> None:
    with pytest.raises(BundleRefused, match="method"):
        decode(encode(Skeleton((Member(0, 1, FILTERED + VERBATIM),), (Header(0, 0, 0, 0, 0, 0, 0, 0, 0, b""),))))
