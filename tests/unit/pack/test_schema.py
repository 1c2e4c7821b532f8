"""The schema beside FORMAT.md and the runtime's own parser say the same of every value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from wheelhouse_builder.runtime import manifest
from wheelhouse_builder.runtime.errors import BundleRefused

SCHEMA: dict[str, Any] = json.loads(files("wheelhouse_builder.pack").joinpath("manifest.schema.json").read_text("utf-8"))
OPEN = {"markers", "provenance", "publisher", "statement"}
"""Objects whose keys are listed in another way, or that are not ours."""


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """All schemas of objects within."""
    if isinstance(schema, dict) and schema.get("type") == "object":
        yield schema
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from objects(each)


def test_objects_have_all_their_keys_and_no_others() -> None:
    found = list(objects({name: schema for name, schema in SCHEMA["$defs"].items() if name not in OPEN}))
    assert len(found) > 20
    for schema in found:
        assert schema["required"] == list(schema["properties"])
        assert schema["additionalProperties"] is False


PARSERS: dict[str, Callable[[Any, str], object]] = {
    "path": manifest._path,
    "part": manifest._part,
    "wheel": manifest._wheel_name,
    "time": manifest._time,
    "name": manifest._name,
    "digest": manifest._digest,
    "number": manifest._number,
    "origin": manifest._origin,
    "attested": manifest._attested,
    "target": manifest._target,
    "command": manifest._command,
}
ODD = [
    "",
    ".",
    "..",
    " ",
    "a",
    "a/b",
    "a//b",
    "/a",
    "a/",
    "a.",
    "a./b",
    "a /b",
    "./a",
    "a/../b",
    "con",
    "CoN.x/y",
    "a/nul",
    "a/COM1 .txt",
    "com0",
    "conin$",
    "conout$.a",
    "coni",
    "console",
    "lpt9 ",
    "aux/a",
    "a\\b",
    "a:b",
    "é",
    "\x7f",
    "a" * 1024,
    "a" * 1025,
    "a-1-b-c-d.whl",
    "a-1-2-b-c-d.whl",
    "a-1-2-b-c-d-e.whl",
    "a-1-b-c.whl",
    "-----.whl",
    "a-1-b-c-d.WHL",
    *(f"{day}T00:00:00Z" for day in ("2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "0004-02-29", "2026-02-30")),
    *(f"{day}T00:00:00Z" for day in ("2026-04-31", "2026-12-31", "2026-13-01", "2026-00-10", "2026-01-00", "2026-01-32", "0000-01-01")),
    *(f"2026-11-19T{hour}Z" for hour in ("23:59:59", "24:00:00", "23:60:00", "23:59:60", "1:00:00", "12:00:0", "12:00")),
    "2026-11-19T12:00:00",
    "2026-11-19t12:00:00z",
    "٢026-11-19T12:00:00Z",
    "0" * 64,
    "A" * 64,
    *(
        "https://a",
        "http://a@b",
        "https://a/@",
        "https://a?@",
        "ftp://a",
        "git+ssh://git@a/b",
        "git+https://a/b@c",
        "file:a b",
        "file:///a",
    ),
    *("file:", "file:/a", "file:a@b", "https://", "git+file:///a", "HTTPS://a", "https://é", "https://a\t"),
    -1,
    0,
    2**63 - 1,
    2**63,
    True,
    None,
]
ORIGIN = {"kind": "index", "url": "https://a", "uploaded": None}
ATTESTED = {"publisher": "a/b", "predicates": ["https://slsa.dev/provenance/v1"]}
MARKERS = dict.fromkeys(manifest.MARKERS)
TAGS = {"name": "a-b", "interpreter": "a", "abi": "a", "platforms": ["b"]}
TARGET = {**TAGS, "markers": MARKERS, "pip": "pip-1-b-c-d.whl", "decoder": None, "overridden": []}


def told(kind: str, value: Any) -> Iterator[Any]:
    """The value where it may stand in what the ``kind`` is."""
    match kind:
        case "origin":
            yield from ({**ORIGIN, key: value} for key in ORIGIN)
        case "attested":
            yield from ({**ATTESTED, "publisher": value}, {**ATTESTED, "predicates": [value]})
        case "target":
            yield from ({**TARGET, key: value} for key in TARGET)
            yield {**TARGET, "platforms": [value]}
            yield {**TARGET, "markers": {**MARKERS, "python_version": value}}
            yield {**TARGET, "overridden": [{"project": value, "requires": "a"}]}
        case "command":
            yield [value]
        case _:
            yield value


@pytest.mark.parametrize("kind", PARSERS)
def test_both_say_the_same_of_odd_values(kind: str) -> None:
    verdicts = {agreed(kind, told_value) for value in ODD for told_value in told(kind, value)}
    assert verdicts == {True, False}


PIECES = st.sampled_from(
    ["/", "-", "_", ".", "..", " ", "a", "B", "9", "@", ":", "//", "con", "Nul", "lpt1", "$", ".whl", "é", "\u2028", "~", "!"]
)


@settings(deadline=None)
@given(st.sampled_from(sorted(PARSERS)), st.lists(PIECES, max_size=12).map("".join))
@example("path", "a\n")
def test_both_say_the_same_of_any_value(kind: str, value: str) -> None:
    for told_value in told(kind, value):
        agreed(kind, told_value)


def agreed(kind: str, value: Any) -> bool:
    """What the schema, with the rule for all strings, and the runtime say."""
    accepted = parses(kind, value)
    assert accepted == (is_plain(value) and validator(kind).is_valid(value)), (kind, value)
    return accepted


def parses(kind: str, value: Any) -> bool:
    try:
        PARSERS[kind](value, kind)
    except BundleRefused:
        return False
    return True


def is_plain(value: Any) -> bool:
    """Whether all strings within are what a manifest may hold."""
    if isinstance(value, str):
        return not manifest._CONTROL_CHARACTER.search(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(is_plain, items))


@cache
def validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMA | {"$ref": f"#/$defs/{kind}"})
