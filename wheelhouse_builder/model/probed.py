"""Probed hosts: the document that ``wheelhouse probe`` wrote on one, read strictly into a target."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.tags import Tag

from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.platform import Platform, parse_platform
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.runtime.inventory import REQUEST
from wheelhouse_builder.runtime.probe import FORMAT

MARKERS = (
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
)
"""All of PEP 508's."""
KEYS = ("wheelhouse-probe", "python", "tags", "markers", "libc", "macos", "windows", "pip", "openssh", "zstd", "disk")
HINT = "probe the host again: `wheelhouse probe --script` prints the file that does it, with any Python from 2.7 on"

_TAG = re.compile(r"(?P<interpreter>[a-z]+\d[a-z0-9_]*)-(?P<abi>[A-Za-z0-9_]+)-(?P<platform>[A-Za-z0-9_]+)")
_COMPILED_FOR = re.compile(r"(?:cp|pp)([23])_?(\d+)")


def read_probe(path: Path) -> Target:
    """The host that the file at ``path`` describes, as a target that is called after its Python and the file: ``cp39-web01``.

    Raises SpecError with every problem and its address.
    """
    if isinstance(parse_platform(path.stem), Platform):
        raise SpecError(f"{path}: a host cannot be called like a platform", hint="call the file after the host, as web01.json")
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:  # a UnicodeDecodeError is a ValueError, and so is what json raises
        raise SpecError(f"{path}: not what `wheelhouse probe` writes: {error}", hint=HINT) from error
    return probed_target(document, name=path.stem, where=str(path))


def probed_target(document: object, *, name: str, where: str) -> Target:
    """The host of a document that was read, which may be a request that holds it; ``where`` is its address in problems."""
    if isinstance(document, dict) and document.get("wheelhouse") == REQUEST:
        document = document.get("probe")
    problems = [f"{where}: {problem}" for problem in _problems(document)]
    if problems or not isinstance(document, dict):
        raise SpecError(*problems, hint=HINT)
    tags = tuple(Tag(*text.split("-")) for text in document["tags"])
    best = tags[0]
    python = best.abi if best.interpreter.startswith("cp") else best.interpreter
    return Target(
        name=f"{python}-{re.sub(r'[^A-Za-z0-9_]', '_', name)}",
        interpreter=best.interpreter,
        abi=best.abi,
        platforms=_platforms(tags),
        markers={key: document["markers"][key] for key in MARKERS},
        tags=tags,
    )


def _platforms(tags: tuple[Tag, ...]) -> tuple[str, ...]:
    """Every platform of the tags; those that promise a C library stand before ``linux_x86_64``, so that the first is the floor."""
    platforms = dict.fromkeys(tag.platform for tag in tags if tag.platform != "any")
    return tuple(sorted(platforms, key=lambda platform: platform.startswith("linux_")))


def _problems(document: object) -> Iterator[str]:
    if not isinstance(document, dict):
        yield "not what `wheelhouse probe` writes"
    elif document.get("wheelhouse-probe") != FORMAT:
        yield f"wheelhouse-probe: must be {FORMAT}, the format that this wheelhouse knows, not {document.get('wheelhouse-probe')!r}"
    else:
        yield from (f"{key}: unknown" for key in sorted(map(str, document.keys() - set(KEYS))))
        yield from (f"{key}: is missing" for key in KEYS if key not in document)
        yield from _marker_problems(document.get("markers"))
        yield from _tag_problems(document.get("tags"), document.get("markers"))


def _marker_problems(markers: Any) -> Iterator[str]:
    if not isinstance(markers, dict):
        yield "markers: must be a mapping of PEP 508's environment markers"
        return
    yield from (f"markers.{key}: unknown" for key in sorted(map(str, markers.keys() - set(MARKERS))))
    yield from (f"markers.{key}: must be a string" for key in MARKERS if not isinstance(markers.get(key), str))


def _tag_problems(tags: Any, markers: Any) -> Iterator[str]:
    if not isinstance(tags, list) or not tags:
        yield "tags: must be a list of wheel tags, best first"
        return
    bad = [f"tags[{number}]: {tag!r} is not a wheel tag" for number, tag in enumerate(tags) if not _is_tag(tag)]
    yield from bad
    if bad:
        return
    if len(set(tags)) != len(tags):
        yield "tags: one stands there twice"
    interpreter, _, platform = tags[0].split("-")
    version = _COMPILED_FOR.fullmatch(interpreter)
    if version is None or platform == "any":
        yield f"tags[0]: {tags[0]} is not the tag of compiled code for CPython or PyPy"
    elif isinstance(markers, Mapping) and markers.get("python_version") != f"{version[1]}.{version[2]}":
        yield f"tags[0]: {tags[0]} is for another Python than markers.python_version says, {markers.get('python_version')!r}"


def _is_tag(tag: object) -> bool:
    return isinstance(tag, str) and _TAG.fullmatch(tag) is not None
