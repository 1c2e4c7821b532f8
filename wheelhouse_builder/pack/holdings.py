"""What a host says that it holds, in its inventory or request, read as the base of a delta.

It counts what is there as files: of one bundle, for a delta names one, and of directories. Nothing of it is proven, and nothing hangs on
it but whether the delta can be installed there: inside, each wheel that is taken from the base is compared with its signed digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wheelhouse_builder.errors import UsageError
from wheelhouse_builder.runtime.inventory import INVENTORY, REQUEST, VERSION
from wheelhouse_builder.runtime.manifest import canonical_json

Held = tuple[str, str]
"""File name and SHA-256 of a distribution."""

_DIGEST = re.compile(r"(?:sha256:)?(?P<digits>[0-9a-f]{64})")
_HINT = "`wheelhouse request` writes it, and so does `python3 FILE.whb request` inside"


class Holdings(NamedTuple):
    """One bundle, and what lies beside it in directories; only the latter where there is no bundle."""

    name: str
    version: str
    digest: str
    held: frozenset[Held]


def read_holdings(data: bytes, where: str, name: str = "") -> Holdings | None:
    """What the document ``data`` says; None when it is none of a host. ``name`` is that of the bundle that is to be made.

    Raises UsageError for one that is damaged, or says that nothing is there.
    """
    document = _document(data)
    if document is None:
        return None
    problems = [f"{where}: {problem}" for problem in _problems(document)]
    if problems:
        raise UsageError(*problems, hint=_HINT)
    wheels = frozenset((each["filename"], each["sha256"]) for each in document["distributions"] if each["wheel"])
    found = [_bundle(each, document["distributions"]) for each in document["bundles"] if each["complete"]]
    if found:
        best = max(found, key=lambda each: (each.name == name, len(each.held), each.version, each.digest))
        return best._replace(held=best.held | wheels)
    if not wheels:
        raise UsageError(
            f"{where}: this host holds nothing as files, and of what is installed no wheel can be made again",
            hint="bundle without --base; or name inside, for `request`, the bundles and wheels that are kept there",
        )
    digest = hashlib.sha256(canonical_json([list(each) for each in sorted(wheels)])).hexdigest()
    return Holdings("wheels", digest[:12], digest, wheels)


def _bundle(bundle: Mapping[str, Any], distributions: Sequence[Mapping[str, Any]]) -> Holdings:
    held = frozenset((each["filename"], each["sha256"]) for each in distributions if bundle["digest"] in each["bundles"])
    return Holdings(bundle["name"], bundle["version"], bundle["digest"].partition(":")[2], held)


def _document(data: bytes) -> dict[str, Any] | None:
    """The document, if it says that it is one of a host."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("wheelhouse") in (INVENTORY, REQUEST) else None


def _problems(document: Mapping[str, Any]) -> Iterator[str]:
    if document.get("version") != VERSION:
        yield f"version: must be {VERSION}, the one that this wheelhouse knows, not {document.get('version')!r}"
        return
    for key, fields in (("bundles", _BUNDLE), ("distributions", _DISTRIBUTION)):
        listed = document.get(key)
        if not isinstance(listed, list):
            yield f"{key}: must be a list"
            continue
        for number, each in enumerate(listed):
            yield from (f"{key}[{number}].{field}: is missing, or no {kind}" for field, kind in _lacking(each, fields))


def _lacking(value: object, fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    found = value if isinstance(value, dict) else {}
    yield from ((field, kind) for field, kind in fields.items() if not _IS[kind](found.get(field)))


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


_IS: Mapping[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str),
    "digest": _is_digest,
    "yes or no": lambda value: isinstance(value, bool),
    "list of digests": lambda value: isinstance(value, list) and all(map(_is_digest, value)),
}
_BUNDLE = {"name": "text", "version": "text", "digest": "digest", "complete": "yes or no"}
_DISTRIBUTION = {"filename": "text", "sha256": "digest", "bundles": "list of digests", "wheel": "yes or no"}
