from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.support import frames
from tests.support.frames import SMALL, compress
from wheelhouse_builder.runtime import zstd, zstd_pure
from wheelhouse_builder.runtime.errors import BundleRefused, EnvironmentFailure
from wheelhouse_builder.runtime.zstd import Decoder, choose_decoder
from wheelhouse_builder.runtime.zstd_frame import Frame

CONTENTS = frames.contents()


def program() -> Decoder:
    path = zstd._installed_program()
    assert path, "these tests need the zstd program: tests/prepare.sh installs it"
    return Decoder(path, zstd.program_engine(path))


DECODERS: dict[str, Callable[[], Decoder]] = {
    "zstandard": lambda: Decoder("zstandard", zstd.module_engine(zstandard)),
    "the program": program,
    "pure Python": lambda: Decoder("pure Python", zstd_pure.decode),
}
"""The engines that every host of these tests has; test_zstd_wheel.py tries backports.zstd and pyzstd."""


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    return DECODERS[request.param]()


# Every decoder


@pytest.mark.parametrize("name", CONTENTS)
def test_good_frames_come_back(decoder: Decoder, name: str) -> None:
    content = CONTENTS[name]
    pieces = list(decoder.decompress(cut(compress(content, level=3), 10_007), len(content)))
    assert b"".join(pieces) == content
    assert max(map(len, pieces), default=0) <= zstd.PIECE


def test_the_largest_window_is_taken(decoder: Decoder) -> None:
    frame = frames.windowed(frames.block(SMALL), log=27)
    assert b"".join(decoder.decompress([frame], len(SMALL))) == SMALL


def test_chunks_may_be_of_any_size(decoder: Decoder) -> None:
    frame = compress(SMALL)
    for size in (1, 2, 3, len(frame)):
        assert b"".join(decoder.decompress([b"", *cut(frame, size), b""], len(SMALL))) == SMALL


@pytest.mark.parametrize("make", frames.DEFECTS, ids=lambda make: make.__name__.replace("_", " "))
def test_a_malformed_frame_is_refused(decoder: Decoder, make: Callable[[], bytes]) -> None:
    with pytest.raises(BundleRefused) as refusal:
        b"".join(decoder.decompress([make()], len(SMALL)))
    assert refusal.value.hint


def test_a_flipped_bit_is_refused_or_changes_nothing(decoder: Decoder) -> None:
    content = CONTENTS["source"][:4000]
    frame = compress(content)
    for position in random.Random(1).sample(range(len(frame) * 8), 60):
        damaged = bytearray(frame)
        damaged[position // 8] ^= 1 << position % 8
        assert outcome(decoder, bytes(damaged), len(content)) in (None, content)


def test_a_failure_to_read_the_chunks_is_not_hidden(decoder: Decoder) -> None:
    def chunks() -> Iterator[bytes]:
        yield compress(CONTENTS["random"])[:20_000]
        raise BundleRefused("chunk 7 has another digest")

    with pytest.raises(BundleRefused, match="chunk 7 has another digest"):
        b"".join(decoder.decompress(chunks(), len(CONTENTS["random"])))


def test_a_reader_may_stop_in_the_middle(decoder: Decoder) -> None:
    content, threads = CONTENTS["a compiled module"], threading.active_count()
    pieces = decoder.decompress(cut(compress(content, level=1), 4096), len(content))
    assert content.startswith(next(pieces))
    pieces.close()
    assert threading.active_count() == threads


@given(data=st.data())
def test_all_decoders_accept_and_refuse_the_same(data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(sorted(CONTENTS.values())))[:300]
    frame = compress(content, level=data.draw(st.sampled_from([1, 19])))
    start = data.draw(st.integers(0, len(frame)))
    damaged = frame[:start] + data.draw(st.binary(max_size=3)) + frame[start + data.draw(st.integers(0, 3)) :]
    found = {outcome(DECODERS[name](), damaged, len(content)) for name in ("zstandard", "pure Python")}
    assert len(found) == 1


def outcome(decoder: Decoder, frame: bytes, size: int) -> bytes | None:
    """The content, or None if the frame was refused."""
    try:
        return b"".join(decoder.decompress([frame], size))
    except BundleRefused:
        return None


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


# Strictness of the face itself


def test_a_decoder_that_yields_too_much_is_stopped() -> None:
    def generous(frame: Frame) -> Generator[bytes, None, None]:
        yield from frame.pieces()
        yield bytes(1000)

    with pytest.raises(BundleRefused, match="more than"):
        b"".join(Decoder("generous", generous).decompress([compress(SMALL)], len(SMALL)))


def test_a_decoder_that_does_not_read_to_the_end_is_refused() -> None:
    def hasty(_: Frame) -> Generator[bytes, None, None]:
        yield SMALL

    with pytest.raises(BundleRefused, match="stopped before its end"):
        b"".join(Decoder("hasty", hasty).decompress([compress(SMALL)], len(SMALL)))


def test_too_little_memory_is_this_hosts_fault() -> None:
    def hungry(frame: Frame) -> Generator[bytes, None, None]:
        for _ in frame.pieces():
            raise MemoryError
        yield b""

    with pytest.raises(EnvironmentFailure, match="memory"):
        b"".join(Decoder("hungry", hungry).decompress([compress(SMALL)], len(SMALL)))


# The choice


def test_an_installed_module_goes_before_the_program(tmp_path: Path) -> None:
    assert choose_decoder(b"", str(tmp_path)).name == ("compression.zstd" if sys.version_info >= (3, 14) else "zstandard")


def test_the_program_goes_before_pure_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zstd, "MODULES", ())
    assert choose_decoder(b"", str(tmp_path)).name == zstd._installed_program()


def test_pure_python_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zstd, "MODULES", ())
    monkeypatch.setattr(zstd, "PROGRAM_DIRECTORIES", ())
    assert choose_decoder(b"", str(tmp_path)).name == "pure Python"


@pytest.mark.parametrize("script", ["exit 0", "exit 1", "cat", "kill -9 $$", f"cat > /dev/null; printf '{zstd.PROOF.decode()}'"])
def test_a_program_that_does_not_decode_or_does_not_check_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    (tmp_path / "zstd").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (tmp_path / "zstd").chmod(0o755)
    monkeypatch.setattr(zstd, "MODULES", ())
    monkeypatch.setattr(zstd, "PROGRAM_DIRECTORIES", (str(tmp_path),))
    assert zstd._installed_program() == str(tmp_path / "zstd")
    assert choose_decoder(b"", str(tmp_path)).name == "pure Python"


def test_a_program_that_anybody_could_replace_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zstd").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "zstd").chmod(0o777)
    monkeypatch.setattr(zstd, "PROGRAM_DIRECTORIES", (str(tmp_path),))
    assert zstd._installed_program() is None


def test_a_zstd_on_path_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zstd").write_text("#!/bin/sh\ntouch ran\n", encoding="utf-8")
    (tmp_path / "zstd").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zstd, "MODULES", ())
    choose_decoder(b"", str(tmp_path))
    assert not (tmp_path / "ran").exists()


POISON = """
import sys
sys.path.insert(0, sys.argv[1])
from runtime import zstd
print(zstd.choose_decoder(b"", sys.argv[2]).name)
"""


@pytest.mark.parametrize("name", ["pyzstd", "zstandard", "backports"])
def test_a_module_from_pythonpath_is_not_even_imported(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    mark = tmp_path / "imported"
    (tmp_path / name / "__init__.py").write_text(f"open({str(mark)!r}, 'w').close()\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", POISON, str(Path(zstd.__file__).parent.parent), str(tmp_path)],
        env={"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert done.stdout.strip() != name
    assert not mark.exists()
