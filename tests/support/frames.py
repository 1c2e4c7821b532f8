"""Zstd frames: true ones of many kinds of content, and malformed ones, each made by a function that is named after its defect."""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Callable
from pathlib import Path

import zstandard

CHECKSUM_FLAG, SINGLE_SEGMENT, RESERVED, DICTIONARY = 0x04, 0x20, 0x08, 0x03


def contents() -> dict[str, bytes]:
    """Name → content: what wheels hold, and what compressors stumble over."""
    dice = random.Random(8878)
    words = [bytes(dice.choices(b"etaoin shrdlu", k=dice.randint(2, 9))) for _ in range(200)]
    return {
        "nothing": b"",
        "one byte": b"w",
        "random": dice.randbytes(40_000),
        "one byte again and again": b"\0" * 700_000,
        "a short period": b"wheelhouse" * 30_000,
        "words": b" ".join(dice.choices(words, k=30_000)),
        "skewed bytes": bytes(min(255, int(dice.expovariate(0.1))) for _ in range(200_000)),
        "a compiled module": compiled_module(700_000),
        "source": standard_library_source(600_000),
        "far repetitions": (far := dice.randbytes(300_000)) + b"-" + far + b"+" + far[:1000],
        "numbers": b"".join(number.to_bytes(4, "little") for number in range(0, 300_000, 7)),
    }


def compiled_module(most: int) -> bytes:
    """The beginning of a true extension module, as wheels hold it."""
    (path, *_) = sorted(Path(zstandard.__file__).parent.glob("backend_c*"))
    return path.read_bytes()[:most]


def machine_code() -> bytes:
    """Calls of a few functions from everywhere, in an ELF file for x86_64."""
    dice, code = random.Random(3), bytearray(b"\x7fELF" + bytes(14) + b"\x3e\0" + bytes(44))
    functions = [dice.randrange(1 << 16) for _ in range(20)]
    for _ in range(12_000):
        code += dice.choice([b"\x90", b"\x48\x89\xc3", b"\x5d"])
        code += b"\xe8" + (dice.choice(functions) - len(code) - 5).to_bytes(4, "little", signed=True)
    return bytes(code)


def standard_library_source(most: int) -> bytes:
    """True Python source."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return b"".join(path.read_bytes() for path in paths)[:most]


def compress(content: bytes, *, level: int = 19, checksum: bool = True, window_log: int | None = None, long: bool = False) -> bytes:
    """One frame as the packer writes it: content size, checksum."""
    chosen = {} if window_log is None else {"window_log": window_log}
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=len(content), write_checksum=checksum, enable_ldm=long, **chosen
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(content)


def stored(content: bytes, *, flags: int = CHECKSUM_FLAG | SINGLE_SEGMENT, window: bytes = b"", dictionary: bytes = b"") -> bytes:
    """A frame of one raw block, its header made by hand; ``content`` is shorter than 256 bytes."""
    header = bytes([flags]) + window + dictionary + (bytes([len(content)]) if flags & SINGLE_SEGMENT else b"")
    checksum = compress(content)[-4:] if flags & CHECKSUM_FLAG else b""
    return zstandard.FRAME_HEADER + header + block(content) + checksum


def block(content: bytes, *, kind: int = 0, size: int | None = None, last: bool = True) -> bytes:
    """One block, its header made by hand."""
    return ((len(content) if size is None else size) << 3 | kind << 1 | last).to_bytes(3, "little") + content


SMALL = b"wheelhouse " * 20


def windowed(blocks: bytes, *, log: int, eighths: int = 0) -> bytes:
    """A frame that promises SMALL, with a window of 2 ** ``log`` bytes and ``eighths`` of that on top."""
    header = bytes([CHECKSUM_FLAG | 0x80, log - 10 << 3 | eighths]) + len(SMALL).to_bytes(4, "little")
    return zstandard.FRAME_HEADER + header + blocks + compress(SMALL)[-4:]


def without_a_checksum() -> bytes:
    return compress(SMALL, checksum=False)


def without_a_content_size() -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress(SMALL)


def with_a_wrong_content_size() -> bytes:
    return compress(SMALL + b"!")


def with_a_dictionary() -> bytes:
    return stored(SMALL, flags=CHECKSUM_FLAG | SINGLE_SEGMENT | 1, dictionary=b"\x07")


def with_a_reserved_header_bit() -> bytes:
    return stored(SMALL, flags=CHECKSUM_FLAG | SINGLE_SEGMENT | RESERVED)


def with_too_large_a_window() -> bytes:
    return windowed(block(SMALL), log=28)


def with_a_window_just_too_large() -> bytes:
    return windowed(block(SMALL), log=27, eighths=1)


def behind_a_skippable_frame() -> bytes:
    return b"\x57\x2a\x4d\x18\x01\x00\x00\x00x" + compress(SMALL)


def before_a_skippable_frame() -> bytes:
    return compress(SMALL) + b"\x57\x2a\x4d\x18\x00\x00\x00\x00"


def with_a_byte_behind() -> bytes:
    return compress(SMALL) + b"\0"


def twice() -> bytes:
    return compress(SMALL) * 2


def with_nothing_in_it() -> bytes:
    return b""


def without_the_last_byte() -> bytes:
    return compress(SMALL)[:-1]


def without_its_checksum_bytes() -> bytes:
    return compress(SMALL)[:-4]


def with_another_checksum() -> bytes:
    return compress(SMALL)[:-4] + b"\0\0\0\0"


def with_a_block_of_the_reserved_type() -> bytes:
    return stored(b"")[:6] + block(b"", kind=3) + compress(b"")[-4:]


def with_a_block_larger_than_its_window() -> bytes:
    return stored(SMALL)[:6] + block(SMALL + b"!") + compress(SMALL)[-4:]


def with_repeated_bytes_beyond_its_window() -> bytes:
    return stored(SMALL)[:6] + block(b"w", kind=1, size=len(SMALL) + 1) + compress(SMALL)[-4:]


def with_an_empty_compressed_block() -> bytes:
    return stored(SMALL)[:6] + block(b"", kind=2, last=False) + block(SMALL) + compress(SMALL)[-4:]


def with_more_than_it_promises() -> bytes:
    return stored(SMALL)[:6] + block(SMALL, last=False) + block(b"!") + compress(SMALL + b"!")[-4:]


def with_less_than_it_promises() -> bytes:
    return stored(SMALL)[:6] + block(SMALL[:-1]) + compress(SMALL[:-1])[-4:]


def with_a_match_before_its_beginning() -> bytes:
    # literals: one raw byte; one sequence of RLE codes: literal length 1, offset code 3 (8 and three bits), match length 3
    compressed = bytes([1 << 3]) + b"w" + bytes([1, 0b01_01_01_00, 1, 3, 0]) + b"\x08"
    return stored(SMALL)[:6] + block(compressed, kind=2) + compress(SMALL)[-4:]


def with_a_table_that_was_never_given() -> bytes:
    compressed = bytes([1 << 3]) + b"w" + bytes([1, 0b11_11_11_00]) + b"\x01"
    return stored(SMALL)[:6] + block(compressed, kind=2) + compress(SMALL)[-4:]


def with_a_huffman_table_that_was_never_given() -> bytes:
    compressed = (3 | 4 << 4 | 2 << 14).to_bytes(3, "little") + b"\x01\x01\x00"
    return stored(SMALL)[:6] + block(compressed, kind=2) + compress(SMALL)[-4:]


def that_unpacks_to_gigabytes() -> bytes:
    # 33,000 sequences of which each repeats 131,074 bytes: length code 52 with sixteen bits set, all in RLE tables
    count = 33_000
    sequences = bytes([255]) + (count - 0x7F00).to_bytes(2, "little") + bytes([0b01_01_01_00, 0, 0, 52])
    compressed = bytes([1 << 3]) + b"w" + sequences + b"\xff" * 66_000 + b"\x01"
    return windowed(block(compressed, kind=2), log=20)


DEFECTS: tuple[Callable[[], bytes], ...] = (
    without_a_checksum,
    without_a_content_size,
    with_a_wrong_content_size,
    with_a_dictionary,
    with_a_reserved_header_bit,
    with_too_large_a_window,
    with_a_window_just_too_large,
    behind_a_skippable_frame,
    before_a_skippable_frame,
    with_a_byte_behind,
    twice,
    with_nothing_in_it,
    without_the_last_byte,
    without_its_checksum_bytes,
    with_another_checksum,
    with_a_block_of_the_reserved_type,
    with_a_block_larger_than_its_window,
    with_repeated_bytes_beyond_its_window,
    with_an_empty_compressed_block,
    with_more_than_it_promises,
    with_less_than_it_promises,
    with_a_match_before_its_beginning,
    with_a_table_that_was_never_given,
    with_a_huffman_table_that_was_never_given,
    that_unpacks_to_gigabytes,
)
"""Frames that promise SMALL and must be refused."""
