"""RECORD without the digests that follow from the members before it (FORMAT.md, section 6, Skeletons).

A wheel's RECORD gives the SHA-256 of each member, which no compressor makes smaller, and which whoever has the members knows.
"""

import base64
import re
from typing import Callable, Match, Optional

from .errors import BundleRefused

LIMIT = 64 << 20
"""Bytes of a RECORD that may stand so: it is held in memory."""

DigestOf = Callable[[bytes], Optional[bytes]]
"""The SHA-256 of the content of the member with this name; None if there is none before RECORD."""

_BLANK = b"=" * 43
_CUT = re.compile(rb"^(.*,sha256=)={43},", re.MULTILINE)
_WHOLE = re.compile(rb"^(.*,sha256=)([A-Za-z0-9_-]{43}),", re.MULTILINE)
_FIELD = b",sha256="


def completed(text: bytes, digest_of: DigestOf) -> bytes:
    """The RECORD whose digests were cut out of ``text``. Raises BundleRefused."""

    def line(found: "Match[bytes]") -> bytes:
        digest = digest_of(found.group(1)[: -len(_FIELD)])
        if digest is None:
            raise BundleRefused("A wheel's RECORD lacks a digest that does not follow from the members before it.")
        return found.group(1) + _encoded(digest) + b","

    return _CUT.sub(line, text)


def cut(text: bytes, digest_of: DigestOf) -> bytes:
    """The RECORD ``text`` without the digests that follow, and as long."""

    def line(found: "Match[bytes]") -> bytes:
        digest = digest_of(found.group(1)[: -len(_FIELD)])
        follows = digest is not None and found.group(2) == _encoded(digest)
        return found.group(1) + (_BLANK if follows else found.group(2)) + b","

    return _WHOLE.sub(line, text)


def _encoded(digest: bytes) -> bytes:
    """As RECORD has it: base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=")
