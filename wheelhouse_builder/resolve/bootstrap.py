"""What a target needs before it can install anything: pip for its Python and, where the standard library has no zstd, a decoder."""

from __future__ import annotations

from dataclasses import replace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from wheelhouse_builder.errors import NoWheelError
from wheelhouse_builder.model.distribution import LockedWheel
from wheelhouse_builder.model.facts import MinorVersion
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.engine import Engine, Question
from wheelhouse_builder.resolve.shelf import Shelf
from wheelhouse_builder.resolve.solve import Solved, solve

ZSTD_IN_STDLIB = (3, 14)
"""PEP 784."""
DECODERS: tuple[tuple[MinorVersion, str], ...] = (((3, 9), "backports.zstd"), ((3, 6), "pyzstd<0.16"))
"""The first Python of each decoder, newest first. pyzstd 0.16 began to need other projects; before that it stands alone."""


def bootstrap(question: Question, chosen: tuple[LockedWheel, ...], engine: Engine, shelf: Shelf) -> tuple[LockedWheel, ...]:
    """Find pip and the decoder for the target of ``question``, from what is ``chosen`` already where it is there.

    A target that no decoder was made for gets none; it decompresses in pure Python. Raises NoWheelError when there is no pip.
    """
    wanted = {canonicalize_name(Requirement(text).name): text for text in ("pip", *decoder_for(question.target))}
    found = {wheel.project: wheel for wheel in chosen if wheel.project in wanted}
    lacking = tuple(text for project, text in wanted.items() if project not in found)
    answer = _ask(question, lacking, engine, shelf) or _ask(question, lacking[:1], engine, shelf)
    found |= {wheel.project: wheel for wheel in answer}
    if "pip" not in found:
        raise no_pip(question.target)
    return tuple(found[project] for project in sorted(found))


def no_pip(target: Target) -> NoWheelError:
    """Why there can be no bundle for ``target``."""
    return NoWheelError(f"pip: no wheel for {target}", hint="the index must hold pip: the bundle carries it, to install the others")


def decoder_for(target: Target) -> tuple[str, ...]:
    """The decoder that ``target`` needs, as a requirement; none where there is none for it, or none is needed."""
    major, minor = map(int, str(target.markers["python_version"]).split("."))
    if (major, minor) >= ZSTD_IN_STDLIB or not target.interpreter.startswith("cp"):
        return ()  # the wheels for PyPy hold no compiled module that could travel alone
    return tuple(text for first, text in DECODERS if first <= (major, minor))[:1]


def _ask(question: Question, texts: tuple[str, ...], engine: Engine, shelf: Shelf) -> tuple[LockedWheel, ...]:
    if not texts:
        return ()
    alone = replace(question, requirements=texts, constraints=(), overrides=(), dependencies=False, preferred=None)
    answer = solve(alone, engine, shelf, bounds=tuple(map(Requirement, texts)))
    return answer.choice.wheels if isinstance(answer, Solved) else ()
