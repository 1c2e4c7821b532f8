"""Wheels that were built: lines for readers, entries for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wheelhouse_builder.build import Made


def made_told(made: Iterable[Made]) -> Iterator[str]:
    """One line for each wheel that was built, after an empty line; nothing where none was."""
    lines: dict[str, list[str]] = {}
    for each in made:
        lines.setdefault("\n".join(_lines(each)), []).append(each.target)
    if lines:
        yield ""
        yield "  built"
    for text, targets in lines.items():
        first, *rest = text.splitlines()
        yield f"    {first}"
        yield from (f"      {line}" for line in (f"for {', '.join(targets)}", *rest))


def made_document(made: Iterable[Made]) -> list[dict[str, Any]]:
    """One entry for each wheel and target."""
    return [
        {
            "target": each.target,
            "project": each.wheel.project,
            "version": str(each.wheel.version),
            "filename": each.wheel.filename,
            "sha256": each.wheel.sha256,
            "recipe": build.recipe,
            "toolchain": build.toolchain,
            "tools": list(build.tools),
            "grafted": [graft.library for graft in build.grafted],
            "needs": [f"{need.symbol}@{need.version}" for need in build.needs],
            "built_before": each.again,
            "tested": each.proved or None,
        }
        for each in made
        if (build := each.wheel.build) is not None
    ]


def _lines(made: Made) -> Iterator[str]:
    build = made.wheel.build
    if build is None:
        return
    yield made.wheel.filename
    yield f"by recipe {build.recipe}, {build.toolchain} toolchain ({', '.join(build.tools)}){', earlier' if made.again else ''}"
    if build.grafted:
        yield f"carries {', '.join(sorted({graft.library for graft in build.grafted}))}"
    if build.needs:
        yield f"needs {', '.join(f'{need.symbol}@{need.version}' for need in build.needs)}"
    yield f"tested with {made.proved}" if made.proved else "not tested"
