from __future__ import annotations

import hashlib
import random
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.bindings import _rust
from hypothesis import given
from hypothesis import strategies as st

from tests.support import frames
from tests.support.frames import CHECKSUM_FLAG, SMALL, block, compress, stored
from tests.support.pythons import cpythons
from wheelhouse_builder.runtime import zstd_pure
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.zstd_frame import Frame
from wheelhouse_builder.runtime.zstd_pure import decode

CONTENTS = frames.contents()


def decompress(data: bytes, size: int) -> bytes:
    return b"".join(decode(Frame([data], size)))


@pytest.mark.parametrize("level", [-5, 1, 3, 9, 19, 22])
@pytest.mark.parametrize("name", CONTENTS)
def test_what_zstd_compressed_comes_back(name: str, level: int) -> None:
    content = CONTENTS[name][: 150_000 if level in (-5, 9, 22) else None]
    assert decompress(compress(content, level=level), len(content)) == content


@pytest.mark.parametrize("name", ["source", "far repetitions", "words"])
@pytest.mark.parametrize("window_log", [10, 15, 27])
def test_small_and_long_windows_are_honoured(name: str, window_log: int) -> None:
    content = CONTENTS[name][:700_000]
    frame = compress(content, level=3, window_log=window_log, long=window_log == 27)
    assert decompress(frame, len(content)) == content


def test_megabytes_of_a_true_extension_module_come_back() -> None:
    module = Path(_rust.__file__).read_bytes()[:4_000_000]
    content = module + CONTENTS["source"] + module[:500_000]
    assert decompress(compress(content, level=12, window_log=27, long=True), len(content)) == content


def test_a_frame_may_be_compressed_by_several_threads() -> None:
    content = CONTENTS["source"]
    frame = zstandard.ZstdCompressor(level=3, threads=2, write_checksum=True).compress(content)
    assert decompress(frame, len(content)) == content


def test_history_beyond_the_window_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zstd_pure, "SLACK", 1 << 15)
    content = CONTENTS["random"] * 40
    frame = compress(content, level=1, window_log=16)
    with measured_memory() as peak:
        assert sum(len(piece) for piece in decode(Frame([frame], len(content)))) == 1_600_000
    assert peak() < 1 << 20


@contextmanager
def measured_memory() -> Iterator[Callable[[], int]]:
    """Gives a function that tells the most bytes that were in use meanwhile."""
    tracemalloc.start()
    found: list[int] = []
    try:
        yield lambda: found[0]
        found.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def test_a_block_of_repeated_bytes_is_one_byte_long() -> None:
    content = b"w" * len(SMALL)
    frame = stored(content)[:6] + block(b"w", kind=1, size=len(content)) + compress(content)[-4:]
    assert decompress(frame, len(content)) == content


def test_empty_raw_blocks_may_stand_between() -> None:
    frame = stored(SMALL)[:6] + block(b"", last=False) * 3 + block(SMALL, last=False) + block(b"") + compress(SMALL)[-4:]
    assert decompress(frame, len(SMALL)) == SMALL


def test_a_bomb_takes_no_memory() -> None:
    bomb = frames.that_unpacks_to_gigabytes()
    with measured_memory() as peak, pytest.raises(BundleRefused, match="further than its block"):
        decompress(bomb, len(SMALL))
    assert peak() < 40 << 20


def test_a_frame_without_single_segment_has_its_own_window() -> None:
    content = CONTENTS["words"][:5000]
    frame = compress(content, window_log=10)
    assert not frame[4] & frames.SINGLE_SEGMENT
    assert decompress(frame, len(content)) == content
    assert frame[4] & CHECKSUM_FLAG


@given(content=st.binary(max_size=2000) | st.text(max_size=500).map(str.encode), level=st.sampled_from([-3, 1, 5, 13, 19]))
def test_any_content_comes_back(content: bytes, level: int) -> None:
    assert decompress(compress(content, level=level), len(content)) == content


@given(parts=st.lists(st.sampled_from([b"wheel", b"house", b"\0\0\0\0", b"abcabc", b"\xff\x00", b"manylinux"]), max_size=400))
def test_any_repetition_comes_back(parts: list[bytes]) -> None:
    content = b"".join(parts)
    assert decompress(compress(content), len(content)) == content


@pytest.mark.parametrize("name", ["source", "words", "skewed bytes", "numbers", "a compiled module"])
def test_a_flipped_bit_never_yields_other_bytes(name: str) -> None:
    content = CONTENTS[name][100_000:106_000]
    frame = compress(content)
    dice = random.Random(name)
    for position in dice.sample(range(len(frame) * 8), 250):
        damaged = bytearray(frame)
        damaged[position // 8] ^= 1 << position % 8
        assert_refused_or_exact(bytes(damaged), content)


@given(data=st.data())
def test_damage_of_any_kind_never_yields_other_bytes(data: st.DataObject) -> None:
    content = CONTENTS["words"][:700]
    frame = compress(content)
    start = data.draw(st.integers(0, len(frame)))
    damaged = frame[:start] + data.draw(st.binary(max_size=8)) + frame[start + data.draw(st.integers(0, 8)) :]
    assert_refused_or_exact(damaged, content)


def test_every_truncation_is_refused() -> None:
    frame = compress(CONTENTS["source"][:2000])
    for length in range(len(frame)):
        with pytest.raises(BundleRefused, match="cut off"):
            decompress(frame[:length], 2000)


@given(body=st.binary(min_size=2, max_size=60))
def test_noise_in_a_compressed_block_is_refused(body: bytes) -> None:
    frame = stored(SMALL)[:6] + block(body, kind=2) + compress(SMALL)[-4:]
    assert_refused_or_exact(frame, SMALL)


def assert_refused_or_exact(frame: bytes, content: bytes) -> None:
    try:
        found = decompress(frame, len(content))
    except BundleRefused:
        return
    assert found == content


SCRIPT = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from runtime.zstd_frame import Frame
from runtime.zstd_pure import decode
data = open(sys.argv[2], "rb").read()
print(hashlib.sha256(b"".join(decode(Frame([data], int(sys.argv[3]))))).hexdigest())
"""


@pytest.mark.parametrize("version", cpythons())
def test_each_python_decodes_the_same(version: str, tmp_path: Path) -> None:
    content = b"".join(part[:100_000] for part in CONTENTS.values())
    (tmp_path / "frame").write_bytes(compress(content))
    package = Path(zstd_pure.__file__).parent
    done = subprocess.run(
        [cpythons()[version], "-I", "-B", "-c", SCRIPT, str(package.parent), str(tmp_path / "frame"), str(len(content))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert done.stdout.strip() == hashlib.sha256(content).hexdigest()
