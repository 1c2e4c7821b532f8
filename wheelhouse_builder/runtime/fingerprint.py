"""Whether this interpreter's zlib deflates as stock zlib does.

Dense bundles rebuild the deflate streams of wheels. zlib-ng and other replacements decompress alike but compress to other bytes, so
under them a rebuilt wheel is not the wheel that was signed. The digest of each rebuilt wheel finds that; this tells why.
"""

import functools
import hashlib

from .skeleton import MEMORY_8, MEMORY_9, deflate

_CORPUS_SIZE = 64 * 1024
"""Bytes. Below 9 kB the replacements often agree with stock zlib."""
_STOCK = "663ccd5e4921034c8f9dae0eebebda32b7ab3967f9f447a5ed818f107acc6af7"
"""SHA-256 of what stock zlib makes of the corpus by each of the methods."""
_METHODS = (MEMORY_8 + 1, MEMORY_8 + 6, MEMORY_9 + 6)
"""One for each of zlib's two ways to look for matches, and the other size of its tables."""


@functools.lru_cache(maxsize=None)
def zlib_is_stock() -> bool:
    """Deflate a fixed text in a few of the ways that a skeleton may ask for, and compare the results with stock zlib's."""
    digest = hashlib.sha256()
    for method in _METHODS:
        for piece in deflate(method, [_corpus()]):
            digest.update(piece)
    return digest.hexdigest() == _STOCK


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
