"""What was read of the compiled code in wheels, remembered by their digests: a wheel is read once, whatever targets it is audited for."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wheelhouse_builder.adapters.findings import Findings
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.repair import code, contents, elf, macho, pe, values
from wheelhouse_builder.repair.code import Code, Versioned
from wheelhouse_builder.repair.contents import Contents
from wheelhouse_builder.repair.values import Problem
from wheelhouse_builder.runtime import native

_MODULES = (native, code, contents, elf, macho, pe, values)
_TOOLS = ("pyelftools", "pefile", "macholib")
"""Who reads: when one of these changes, all wheels are read again."""


def findings(root: Path) -> Findings:
    """Those about compiled code, in the store at ``root``."""
    return Findings(root=root, what="code", by=_reader())


def contents_of(wheel: Wheel, known: Findings) -> Contents:
    """What is compiled in ``wheel``, which is read only if nobody has. Raises EnvironmentFailure."""
    found = _remembered(known.find(wheel.sha256), wheel.path)
    if found is None:
        found = Contents.of(wheel.path)
        known.keep(wheel.sha256, _document(found))
    return found


@cache
def _reader() -> str:
    sources = "".join(map(inspect.getsource, _MODULES))
    return hashlib.sha256("\n".join([sources, *(f"{tool} {version(tool)}" for tool in _TOOLS)]).encode()).hexdigest()


def _document(found: Contents) -> Mapping[str, object]:
    read = {member: {**asdict(each), "machines": sorted(each.machines)} for member, each in found.code.items()}
    return {"code": read, "unreadable": list(map(asdict, found.unreadable))}


def _remembered(document: Any, wheel: Path) -> Contents | None:
    """What :func:`_document` made the document of; None where it did not."""
    try:
        return Contents(
            wheel=wheel,
            code={member: _code(**entry) for member, entry in document["code"].items()},
            unreadable=tuple(Problem(**entry) for entry in document["unreadable"]),
        )
    except (KeyError, TypeError, AttributeError):
        return None


def _code(
    machines: list[str],
    libraries: list[str],
    rpaths: list[str],
    versions: list[dict[str, str]],
    system: list[int] | None,
    **texts: str,
) -> Code:
    return Code(
        machines=frozenset(machines),
        libraries=tuple(libraries),
        rpaths=tuple(rpaths),
        versions=tuple(Versioned(**each) for each in versions),
        system=(system[0], system[1]) if system else None,
        **texts,
    )
