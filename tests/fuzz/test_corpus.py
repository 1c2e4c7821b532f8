"""The corpus and mutants of it, on every run: a parser that breaks on one of them breaks here and not on a user's host."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.parsers import PARSERS
from tests.fuzz.seeds import CORPUS

SECONDS = 0.4
"""For the mutants of one parser."""


def inputs(parser: str) -> list[Path]:
    return sorted((CORPUS / parser).iterdir())


@pytest.mark.parametrize("parser", PARSERS)
def test_each_parser_holds_its_promises_on_its_corpus(parser: str) -> None:
    assert inputs(parser)
    for path in inputs(parser):
        PARSERS[parser](path.read_bytes())


def test_each_corpus_has_its_parser() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(PARSERS)


@pytest.mark.parametrize("parser", PARSERS)
def test_each_parser_holds_its_promises_on_mutants(parser: str) -> None:
    ends = time.monotonic() + SECONDS
    for mutant in mutants([path.read_bytes() for path in inputs(parser)], random.Random(parser)):
        try:
            PARSERS[parser](mutant)
        except Exception as error:
            error.add_note(f"on the input {mutant!r}")
            raise
        if time.monotonic() > ends:
            break


def mutants(originals: list[bytes], dice: random.Random) -> Iterator[bytes]:
    """Endlessly: an original with one to four places changed, taken out, doubled, or filled from another one."""
    while True:
        mutant = bytearray(dice.choice(originals))
        for _ in range(dice.randint(1, 4)):
            start = dice.randrange(len(mutant) + 1)
            other = dice.choice(originals)
            piece = dice.choice(
                [dice.randbytes(dice.randint(1, 4)), b"", b"\xff" * 4, mutant[start : start + dice.randint(1, 64)], other[start:]]
            )
            mutant[start : start + dice.choice([0, len(piece), dice.randint(0, 64)])] = piece
        yield bytes(mutant)
