from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.frames import compress
from wheelhouse_builder.runtime.xxh64 import Xxh64

KNOWN = {b"": 0xEF46DB3751D8E999, b"a": 0xD24EC4F1A98C6E5B, b"abc": 0x44BC2CF5AD770999}


def digest(*parts: bytes) -> int:
    state = Xxh64()
    for part in parts:
        state.update(part)
    return state.digest()


@pytest.mark.parametrize("data", KNOWN)
def test_known_digests(data: bytes) -> None:
    assert digest(data) == KNOWN[data]


@pytest.mark.parametrize("size", [*range(70), 1000, 100_003])
def test_every_length_has_the_digest_that_zstd_writes(size: int) -> None:
    data = bytes(number * 37 & 255 for number in range(size))
    assert (digest(data) & 0xFFFFFFFF).to_bytes(4, "little") == compress(data, level=1)[-4:]


@given(parts=st.lists(st.binary(max_size=80)))
def test_parts_have_the_digest_of_the_whole(parts: list[bytes]) -> None:
    assert digest(*parts) == digest(b"".join(parts))
