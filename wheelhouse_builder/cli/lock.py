"""``wheelhouse lock``: what each target will install, as files to review and commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, Quiet, SpecPath, Verbose, spec_at
from wheelhouse_builder.pipeline import NewLock, make_locks
from wheelhouse_builder.spec import read_spec

EXAMPLES = """
wheelhouse lock
wheelhouse lock --upgrade
wheelhouse lock services/web/wheelhouse.yaml
"""


def command(
    spec: SpecPath = Path(),
    *,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Forget the versions of earlier locks and take the newest that fit.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write pylock.TARGET.toml beside the spec, for each target.

    Each target is resolved as that target: its own markers, its own tags. Review and commit these files: a bundle is made of exactly
    what they name. Versions that earlier locks chose stay where they still fit.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    path = spec_at(spec)
    locks = make_locks(read_spec(path), store=Store(), reporter=console, upgrade=upgrade)
    document = {"command": "lock", "spec": str(path), "locks": [_document(lock) for lock in locks]}
    console.result(document, "\n".join(line for lock in locks for line in _told(lock)))


def _document(new: NewLock) -> dict[str, Any]:
    return {
        "target": new.lock.target.name,
        "path": str(new.path),
        "projects": len(new.lock.wheels),
        "first": new.first,
        "added": [{"project": name, "version": version} for name, version in new.changes.added],
        "removed": [{"project": name, "version": version} for name, version in new.changes.removed],
        "changed": [{"project": name, "from": old, "to": version} for name, old, version in new.changes.changed],
    }


def _told(new: NewLock) -> Iterator[str]:
    """One line for each target, and one for each project whose version is another one than before."""
    changed = new.changes
    counts = [(len(changed.added), "added"), (len(changed.removed), "removed"), (len(changed.changed), "changed")]
    news = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing changed"
    yield f"{new.path.name}: {len(new.lock.wheels)} projects, {'new' if new.first else news}"
    if not new.first:
        yield from (f"  + {name} {version}" for name, version in changed.added)
        yield from (f"  - {name} {version}" for name, version in changed.removed)
        yield from (f"  ~ {name} {old} → {version}" for name, old, version in changed.changed)
