"""Zstd decompression (RFC 8878) in pure Python: the last resort on a host that has no other decoder.

    frame ─▶ block ─▶ literals   (Huffman)          ─┐
                 └──▶ sequences  (three FSE tables) ─┴─▶ execute: literals and matches ─▶ output, checked by XXH64

Bit streams are written backwards: read from the last byte to the first, highest bit first. They are read through a small integer,
``bits``, of which the lowest ``left`` bits are still to come; it is filled again from the bytes before it. Before the stream's first byte
stand FILL zeros, because the last lookups may reach there; whoever reads a stream demands at its end that it was used up to the last bit
and no further. Every loop runs as often as a count says that was checked before.

The loops that run once per symbol or per sequence are written out in one piece: a call costs more than their work.
"""

from typing import Generator, List, NamedTuple, Optional, Tuple

from .xxh64 import Xxh64
from .zstd_frame import COMPRESSED, RAW, Block, Frame, refused

LITERALS_RAW, LITERALS_RLE, LITERALS_COMPRESSED = 0, 1, 2
TABLE_PREDEFINED, TABLE_RLE, TABLE_COMPRESSED = 0, 1, 2

FILL = 32
"""Bytes that are read from a bit stream at a time."""
HUFFMAN_BITS = 11
"""Length of the longest Huffman code that the format allows."""
WEIGHT_ACCURACY = 6
"""Highest accuracy of the FSE table for Huffman weights."""
SEQUENCE_BITS = 31 + 16 + 16 + 9 + 9 + 8
"""Bits that one sequence takes at most: its offset and two lengths, and the way to the next three states."""
SLACK = 1 << 20
"""Bytes of history kept beyond the window, so that it is cut seldom."""


def decode(frame: Frame) -> Generator[bytes, None, None]:
    """What ``frame`` stands for, block by block; the checksum is compared after the last one. Errors: BundleRefused."""
    output = bytearray()
    tables = _Tables()
    checksum = Xxh64()
    for block in frame.blocks():
        produced = _decode_block(block, output, tables, frame.block_limit)
        checksum.update(produced)
        yield produced
        if len(output) > frame.window + max(SLACK, frame.window >> 3):
            del output[: len(output) - frame.window]
    if frame.checksum() != (checksum.digest() & 0xFFFFFFFF).to_bytes(4, "little"):
        raise refused("its checksum is another one than its content's")


def _decode_block(block: Block, output: bytearray, tables: "_Tables", limit: int) -> bytes:
    """Append what ``block`` stands for to ``output``, the history, and return it."""
    start = len(output)
    if block.kind == COMPRESSED:
        literals, end = _read_literals(block.content, tables, limit)
        sequences = _read_sequences(block.content, end, tables)
        _execute(sequences, literals, output, tables, limit)
    elif block.kind == RAW:
        output += block.content
    else:
        output += block.content * block.size
    return bytes(output[start:])


# Bit streams


def _byte(data: bytes, position: int) -> int:
    """The byte at ``position``, which must be there."""
    if position >= len(data):
        raise refused("a block is cut off")
    return data[position]


def _open_stream(stream: bytes) -> Tuple[int, bytes, int]:
    """The first bits of a backward stream, the whole of it behind at least FILL zeros, and the position of what is unread."""
    if not stream or not stream[-1]:
        raise refused("a bit stream has no end mark")
    padded = bytes(_padding(stream)) + stream
    unread = len(padded) - FILL
    return int.from_bytes(padded[unread:], "little"), padded, unread


def _close_stream(stream: bytes, unread_bits: int) -> None:
    """Demand that nothing but the padding of ``stream`` is unread."""
    if unread_bits != 8 * _padding(stream):
        raise refused("a bit stream is not used up to its end")


def _padding(stream: bytes) -> int:
    return FILL + -len(stream) % FILL


class _BitReader:
    """A backward stream, read bit by bit where speed does not matter."""

    def __init__(self, stream: bytes) -> None:
        if not stream or not stream[-1]:
            raise refused("a bit stream has no end mark")
        self._bits = int.from_bytes(stream, "little")
        self.left = self._bits.bit_length() - 1

    def read(self, count: int) -> int:
        """The next ``count`` bits; zeros after the last one, and ``left`` is negative then."""
        self.left -= count
        if self.left >= 0:
            return self._bits >> self.left & ((1 << count) - 1)
        return self._bits << -self.left & ((1 << count) - 1)


# FSE tables (section 4.1)


class _Fse(NamedTuple):
    """An FSE decoding table: for each state its symbol, how many bits lead on, and where to."""

    accuracy: int
    symbols: List[int]
    steps: List[int]
    nexts: List[int]


def _read_fse(data: bytes, start: int, most_accuracy: int, most_symbol: int) -> Tuple[_Fse, int]:
    """The table described at ``start``, and the position after its description."""
    counts, accuracy, end = _read_counts(data, start, most_accuracy, most_symbol)
    return _build_fse(counts, accuracy), end


def _read_counts(data: bytes, start: int, most_accuracy: int, most_symbol: int) -> Tuple[List[int], int, int]:
    """Normalised counts (section 4.1.1), their accuracy, and the position after them. This stream alone is read forwards."""
    bits = int.from_bytes(data[start : start + 512], "little")
    accuracy = (bits & 15) + 5
    if accuracy > most_accuracy:
        raise refused("an FSE table is finer than allowed")
    counts: List[int] = []
    used, remaining = 4, 1 << accuracy
    while remaining > 0:
        value, width = _read_count(bits >> used, remaining)
        used += width
        counts.append(value - 1)
        remaining -= abs(value - 1)
        if value == 1:
            zeros, width = _read_zeros(bits >> used)
            used += width
            counts.extend([0] * zeros)
        if len(counts) > most_symbol + 1:
            raise refused("an FSE table has too many symbols")
    end = start + (used + 7) // 8
    if remaining or end > len(data):
        raise refused("an FSE table's counts do not add up")
    return counts, accuracy, end


def _read_count(bits: int, remaining: int) -> Tuple[int, int]:
    """One value between 0 and ``remaining + 1``, and its width: small ones take one bit less."""
    width = (remaining + 1).bit_length()
    spare = (1 << width) - 2 - remaining
    short = bits & ((1 << width - 1) - 1)
    if short < spare:
        return short, width - 1
    value = bits & ((1 << width) - 1)
    return (value - spare if value >= 1 << width - 1 else value), width


def _read_zeros(bits: int) -> Tuple[int, int]:
    """How many more symbols have the count zero, and how many bits said so: threes go on."""
    zeros, width = 0, 0
    while True:
        more = bits >> width & 3
        zeros, width = zeros + more, width + 2
        if more < 3:
            return zeros, width


def _build_fse(counts: List[int], accuracy: int) -> _Fse:
    """The decoding table of ``counts``, in which -1 stands for "less than one"."""
    size = 1 << accuracy
    steps: List[int] = []
    nexts: List[int] = []
    symbols = _spread(counts, size)
    reached = [max(count, 1) for count in counts]
    for symbol in symbols:
        number = reached[symbol]
        reached[symbol] += 1
        step = accuracy + 1 - number.bit_length()
        steps.append(step)
        nexts.append((number << step) - size)
    return _Fse(accuracy, symbols, steps, nexts)


def _spread(counts: List[int], size: int) -> List[int]:
    """The symbol of each state: rare ones from the end, the others in strides over what is free."""
    symbols = [0] * size
    free = size
    for symbol, count in enumerate(counts):
        if count == -1:
            free -= 1
            symbols[free] = symbol
    position, stride = 0, (size >> 1) + (size >> 3) + 3
    for symbol, count in enumerate(counts):
        for _ in range(count):
            symbols[position] = symbol
            position = (position + stride) & (size - 1)
            while position >= free:
                position = (position + stride) & (size - 1)
    return symbols


# Literals (section 3.1.1.3.1)


class _Huffman(NamedTuple):
    """A Huffman table: for every value of the next ``width`` bits, the symbol that they begin with and its length."""

    width: int
    symbols: bytes
    lengths: bytes


def _read_literals(data: bytes, tables: "_Tables", limit: int) -> Tuple[bytes, int]:
    """The block's literals, and the position after them."""
    first = _byte(data, 0)
    kind, size_format = first & 3, first >> 2 & 3
    if kind in (LITERALS_RAW, LITERALS_RLE):
        header_size = (1, 2, 1, 3)[size_format]
        size = int.from_bytes(data[:header_size], "little") >> (4 if size_format & 1 else 3)
        packed_size = size if kind == LITERALS_RAW else 1
    else:
        header_size = (3, 3, 4, 5)[size_format]
        width = (10, 10, 14, 18)[size_format]
        header = int.from_bytes(data[:header_size], "little") >> 4
        size, packed_size = header & ((1 << width) - 1), header >> width
    end = header_size + packed_size
    if size > limit or end > len(data):
        raise refused("a block's literals are larger than it allows")
    packed = data[header_size:end]
    if kind == LITERALS_RAW:
        return packed, end
    if kind == LITERALS_RLE:
        return packed * size, end
    return _unpack_literals(packed, size, tables, fresh=kind == LITERALS_COMPRESSED, streams=4 if size_format else 1), end


def _unpack_literals(packed: bytes, size: int, tables: "_Tables", *, fresh: bool, streams: int) -> bytes:
    """Huffman-coded literals: with a ``fresh`` table in front or with the last block's, in one or four streams."""
    start = 0
    if fresh:
        weights, start = _read_weights(packed)
        tables.huffman = _build_huffman(weights)
    if tables.huffman is None:
        raise refused("a block uses a Huffman table that was never given")
    if streams == 1:
        return _read_huffman_stream(packed[start:], size, tables.huffman)
    return _read_four_streams(packed[start:], size, tables.huffman)


def _read_four_streams(packed: bytes, size: int, table: _Huffman) -> bytes:
    """Four streams, the sizes of three of which stand in front."""
    quarter = (size + 3) // 4
    if len(packed) < 10 or size < 6:
        raise refused("four streams of literals do not fit their sizes")
    position, literals = 6, b""
    for number in range(3):
        end = position + int.from_bytes(packed[2 * number : 2 * number + 2], "little")
        literals += _read_huffman_stream(packed[position:end], quarter, table)
        position = end
    return literals + _read_huffman_stream(packed[position:], size - 3 * quarter, table)


def _read_huffman_stream(stream: bytes, count: int, table: _Huffman) -> bytes:
    """``count`` symbols, which use up ``stream`` to its last bit."""
    width, symbols, lengths = table
    mask = (1 << width) - 1
    bits, padded, unread = _open_stream(stream)
    left = bits.bit_length() - 1 - width  # the lowest bit of the next lookup
    fill, shift, least = FILL, 8 * FILL, 8 * width
    literals = bytearray()
    append = literals.append
    missing = count
    while missing:
        if left < least and unread:
            bits = (bits & (1 << left + width) - 1) << shift | int.from_bytes(padded[unread - fill : unread], "little")
            unread -= fill
            left += shift
        run = min(missing, left // width + 1)  # so many lookups cannot outrun the bits
        if run <= 0:
            raise refused("a stream of literals is cut off")
        missing -= run
        for _ in range(run):
            index = bits >> left & mask
            append(symbols[index])
            left -= lengths[index]
    _close_stream(stream, 8 * unread + left + width)
    return bytes(literals)


def _read_weights(packed: bytes) -> Tuple[List[int], int]:
    """The Huffman weights (section 4.2.1), the last one left out, and the position after them."""
    first = _byte(packed, 0)
    if first < 128:
        end = 1 + first
        if end > len(packed):
            raise refused("a Huffman table is cut off")
        return _read_fse_weights(packed[:end]), end
    count = first - 127
    end = 1 + (count + 1) // 2
    if end > len(packed):
        raise refused("a Huffman table is cut off")
    nibbles = [half for byte in packed[1:end] for half in (byte >> 4, byte & 15)]
    return nibbles[:count], end


def _read_fse_weights(packed: bytes) -> List[int]:
    """Weights in an FSE stream with two states that take turns."""
    table, start = _read_fse(packed, 1, WEIGHT_ACCURACY, 255)
    stream = _BitReader(packed[start:])
    state, other = stream.read(table.accuracy), stream.read(table.accuracy)
    if stream.left < 0:
        raise refused("a Huffman table is cut off")
    weights: List[int] = []
    while len(weights) < 254:
        weights.append(table.symbols[state])
        following = table.nexts[state] + stream.read(table.steps[state])
        if stream.left < 0:
            weights.append(table.symbols[other])
            return weights
        state, other = other, following
    raise refused("a Huffman table has too many symbols")


def _build_huffman(weights: List[int]) -> _Huffman:
    """The table of ``weights`` and of the last one, which follows from them: together they fill a power of two."""
    total = sum(1 << weight >> 1 for weight in weights)
    width = total.bit_length()
    missing = (1 << width) - total
    if not 0 < width <= HUFFMAN_BITS or missing & (missing - 1):
        raise refused("a Huffman table's weights do not add up")
    weights = [*weights, missing.bit_length()]
    if 1 not in weights:
        raise refused("a Huffman table has no longest code")
    symbols, lengths = bytearray(), bytearray()
    for weight in range(1, width + 1):
        for symbol, its_weight in enumerate(weights):
            if its_weight == weight:
                symbols += bytes((symbol,)) * (1 << weight - 1)
                lengths += bytes((width + 1 - weight,)) * (1 << weight - 1)
    return _Huffman(width, bytes(symbols), bytes(lengths))


# Sequences (section 3.1.1.3.2)

_Step = Tuple[int, int, int, int, int, int]
"""One state of a sequence table: width and mask of the extra bits, the value that they are added to; width and mask of the bits that
lead on, the state that they are added to."""


class _Code(NamedTuple):
    """One of the three codes of a sequence: what its symbols mean, and its predefined table."""

    extra_bits: Tuple[int, ...]
    bases: Tuple[int, ...]
    most_accuracy: int
    predefined_accuracy: int
    predefined_counts: Tuple[int, ...]


class _Table(NamedTuple):
    """A decoding table for one code."""

    accuracy: int
    steps: List[_Step]


def _bases(first: int, extra_bits: Tuple[int, ...]) -> Tuple[int, ...]:
    """The smallest value of each symbol: they follow each other without gaps."""
    bases = [first]
    for bits in extra_bits[:-1]:
        bases.append(bases[-1] + (1 << bits))
    return tuple(bases)


_LITERAL_LENGTH_BITS = (0,) * 16 + (1, 1, 1, 1, 2, 2, 3, 3, 4) + tuple(range(6, 17))
_MATCH_LENGTH_BITS = (0,) * 32 + (1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5) + tuple(range(7, 17))

LITERAL_LENGTH = _Code(
    extra_bits=_LITERAL_LENGTH_BITS,
    bases=_bases(0, _LITERAL_LENGTH_BITS),
    most_accuracy=9,
    predefined_accuracy=6,
    predefined_counts=(4, 3) + (2,) * 6 + (2,) * 5 + (1,) * 3 + (2,) * 9 + (3, 2) + (1,) * 5 + (-1,) * 4,
)
OFFSET = _Code(
    extra_bits=tuple(range(32)),
    bases=tuple(1 << symbol for symbol in range(32)),
    most_accuracy=8,
    predefined_accuracy=5,
    predefined_counts=(1,) * 6 + (2,) * 3 + (1,) * 15 + (-1,) * 5,
)
MATCH_LENGTH = _Code(
    extra_bits=_MATCH_LENGTH_BITS,
    bases=_bases(3, _MATCH_LENGTH_BITS),
    most_accuracy=9,
    predefined_accuracy=6,
    predefined_counts=(1, 4, 3) + (2,) * 6 + (1,) * 37 + (-1,) * 7,
)


class _Tables:
    """What one block leaves to the next: its tables and the last three offsets."""

    def __init__(self) -> None:
        self.huffman: Optional[_Huffman] = None
        self.sequences: Tuple[Optional[_Table], ...] = (None, None, None)
        self.offsets = (1, 4, 8)


Sequence = Tuple[int, int, int]
"""A literal length, a match length, and an offset value, which is the offset plus 3 or, up to 3, one of the last offsets."""


def _read_sequences(data: bytes, start: int, tables: _Tables) -> List[Sequence]:
    """The block's sequences; they take the rest of ``data``."""
    count, position = _read_sequence_count(data, start)
    if not count:
        if position != len(data):
            raise refused("data follows a block without sequences")
        return []
    modes = _byte(data, position)
    if modes & 3:
        raise refused("a block's reserved bits are set")
    position += 1
    found = []
    for code, last, shift in zip((LITERAL_LENGTH, OFFSET, MATCH_LENGTH), tables.sequences, (6, 4, 2)):
        table, position = _read_table(data, position, modes >> shift & 3, code, last)
        found.append(table)
    tables.sequences = tuple(found)
    return _read_sequence_stream(data[position:], count, *found)


def _read_sequence_count(data: bytes, start: int) -> Tuple[int, int]:
    """How many sequences there are, and the position after that number of one to three bytes."""
    first = _byte(data, start)
    if first < 128:
        return first, start + 1
    second = _byte(data, start + 1)
    if first < 255:
        return (first - 128 << 8) + second, start + 2
    return second + (_byte(data, start + 2) << 8) + 0x7F00, start + 3


def _read_table(data: bytes, position: int, mode: int, code: _Code, last: Optional[_Table]) -> Tuple[_Table, int]:
    """The table for one code, and the position after its description."""
    if mode == TABLE_PREDEFINED:
        return _PREDEFINED[code], position
    if mode == TABLE_RLE:
        return _build_table(_Fse(0, [_byte(data, position)], [0], [0]), code), position + 1
    if mode == TABLE_COMPRESSED:
        fse, position = _read_fse(data, position, code.most_accuracy, len(code.bases) - 1)
        return _build_table(fse, code), position
    if last is None:
        raise refused("a block repeats a table that was never given")
    return last, position


def _build_table(fse: _Fse, code: _Code) -> _Table:
    """``fse`` with the meaning of each symbol beside it."""
    if max(fse.symbols) >= len(code.bases):
        raise refused("a sequence table has an unknown symbol")
    steps = []
    for symbol, step, following in zip(fse.symbols, fse.steps, fse.nexts):
        extra = code.extra_bits[symbol]
        steps.append((extra, (1 << extra) - 1, code.bases[symbol], step, (1 << step) - 1, following))
    return _Table(fse.accuracy, steps)


_PREDEFINED = {
    code: _build_table(_build_fse(list(code.predefined_counts), code.predefined_accuracy), code)
    for code in (LITERAL_LENGTH, OFFSET, MATCH_LENGTH)
}


def _read_sequence_stream(stream: bytes, count: int, literal_lengths: _Table, offsets: _Table, match_lengths: _Table) -> List[Sequence]:
    """``count`` sequences, which use up ``stream`` to its last bit."""
    bits, padded, unread = _open_stream(stream)
    left = bits.bit_length() - 1
    ll_steps, of_steps, ml_steps = literal_lengths.steps, offsets.steps, match_lengths.steps
    left -= literal_lengths.accuracy
    ll_entry = ll_steps[bits >> left & len(ll_steps) - 1]
    left -= offsets.accuracy
    of_entry = of_steps[bits >> left & len(of_steps) - 1]
    left -= match_lengths.accuracy
    ml_entry = ml_steps[bits >> left & len(ml_steps) - 1]
    fill, shift, least = FILL, 8 * FILL, SEQUENCE_BITS
    sequences: List[Sequence] = []
    append = sequences.append
    ll_width = of_width = ml_width = 0
    for _ in range(count):
        if left < least:
            if not unread:
                raise refused("a stream of sequences is cut off")
            bits = (bits & (1 << left) - 1) << shift | int.from_bytes(padded[unread - fill : unread], "little")
            unread -= fill
            left += shift
        of_extra, of_mask, of_base, of_width, of_follow, of_next = of_entry
        ml_extra, ml_mask, ml_base, ml_width, ml_follow, ml_next = ml_entry
        ll_extra, ll_mask, ll_base, ll_width, ll_follow, ll_next = ll_entry
        left -= of_extra
        offset = of_base + (bits >> left & of_mask)
        left -= ml_extra
        match_length = ml_base + (bits >> left & ml_mask)
        left -= ll_extra
        append((ll_base + (bits >> left & ll_mask), match_length, offset))
        left -= ll_width
        ll_entry = ll_steps[ll_next + (bits >> left & ll_follow)]
        left -= ml_width
        ml_entry = ml_steps[ml_next + (bits >> left & ml_follow)]
        left -= of_width
        of_entry = of_steps[of_next + (bits >> left & of_follow)]
    # The last sequence leads nowhere: what was read for it beyond the end is given back.
    _close_stream(stream, 8 * unread + left + ll_width + ml_width + of_width)
    return sequences


# Execution (section 3.1.1.4)


def _execute(sequences: List[Sequence], literals: bytes, output: bytearray, tables: _Tables, limit: int) -> None:
    """Append to ``output`` what literals and sequences stand for, at most ``limit`` bytes."""
    first, second, third = tables.offsets
    end, taken = len(output), 0
    last = end + limit
    for literal_length, match_length, offset in sequences:
        if literal_length:
            output += literals[taken : taken + literal_length]
            taken += literal_length
            end += literal_length
        if offset > 3:
            first, second, third = offset - 3, first, second
        else:
            first, second, third = _reuse(offset if literal_length else offset + 1, first, second, third)
        start = end - first
        end += match_length
        if start < 0 or end > last or not first:
            raise refused("a match reaches further than its block or its window")
        if match_length <= first:
            output += output[start : start + match_length]
        else:
            output += (output[start:] * (match_length // first + 1))[:match_length]
    output += literals[taken:]
    if taken > len(literals) or len(output) > last:
        raise refused("a block's sequences and literals do not add up")
    tables.offsets = (first, second, third)


def _reuse(which: int, first: int, second: int, third: int) -> Tuple[int, int, int]:
    """The last three offsets after one of them was used again; 4 stands for the first one less one."""
    if which == 1:
        return first, second, third
    if which == 2:
        return second, first, third
    if which == 3:
        return third, first, second
    return first - 1, first, second
