"""Whether this interpreter's zlib deflates as stock zlib does.

Dense bundles rebuild the deflate streams of wheels. zlib-ng and other replacements decompress alike but compress to other bytes, so
under them a rebuilt wheel is not the wheel that was signed. The digest of each rebuilt wheel finds that; this tells why.
"""

import hashlib
import zlib

_CORPUS_SIZE = 64 * 1024
"""Bytes. Below 9 kB the replacements often agree with stock zlib."""
_STOCK = "bf30691fbffb85cce8c6ed66856dde21d24241fc99012d4f3749dfc259f82a02"
"""SHA-256 of what stock zlib makes of the corpus at level 6."""


def zlib_is_stock() -> bool:
    """Compress a fixed text at level 6 and compare the result with stock zlib's."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15, 8)
    compressed = compressor.compress(_corpus()) + compressor.flush()
    return hashlib.sha256(compressed).hexdigest() == _STOCK


def _corpus() -> bytes:
    """A text of words in an order that looks random and is the same everywhere."""
    words = [b"%x " % (number * number * 7919) for number in range(512)]
    text, length, state = [], 0, 1
    while length < _CORPUS_SIZE:
        state = (state * 1103515245 + 12345) % 2**31  # the linear congruence of the C standard's example
        word = words[(state >> 16) % len(words)]
        text.append(word)
        length += len(word)
    return b"".join(text)
