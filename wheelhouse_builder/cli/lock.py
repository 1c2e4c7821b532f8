"""``wheelhouse lock``: what each target will install, as files to review and commit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from packaging.utils import canonicalize_name

from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.lacking import lacking_document, lacking_told
from wheelhouse_builder.cli.options import AsJson, Quiet, SpecPath, Verbose, spec_at
from wheelhouse_builder.cli.yanked import yanked_document, yanked_told
from wheelhouse_builder.errors import UsageError
from wheelhouse_builder.model.changes import Release
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.pipeline import NewLock, check_locks, make_locks
from wheelhouse_builder.spec import read_spec

EXAMPLES = """
wheelhouse lock
wheelhouse lock --upgrade
wheelhouse lock -P fastapi -P starlette
wheelhouse lock services/web/wheelhouse.yaml --check
"""


def command(
    spec: SpecPath = Path(),
    *,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Forget the versions of earlier locks and take the newest that fit.")] = False,
    upgrade_project: Annotated[
        list[str] | None, typer.Option("-P", "--upgrade-project", metavar="PROJECT", help="The same for this project; may be repeated.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail and tell the difference if the locks are not what the spec asks.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write pylock.TARGET.toml beside the spec, for each target.

    Of a catalogue it is catalogue.TARGET.toml. Each target is resolved as that target: its own markers, its own tags. Review and commit
    these files: a bundle is made of exactly what they name. Versions that earlier locks chose stay where they still fit. What changes is
    told project by project, with the day on which the new files were uploaded.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    path = spec_at(spec)
    found = read_spec(path)
    if check:
        if upgrade or upgrade_project:
            raise UsageError("--check changes nothing, so there is nothing to upgrade", hint="leave one of them out")
        locks = check_locks(found, store=Store(), reporter=console)
    else:
        projects = frozenset(map(canonicalize_name, upgrade_project or ()))
        locks = make_locks(found, store=Store(), reporter=console, upgrade=upgrade, upgraded=projects)
    document = {
        "command": "lock",
        "spec": str(path),
        "checked": check,
        "locks": [_document(lock) for lock in locks],
        "yanked": yanked_document(new.lock for new in locks),
        "lacking": lacking_document(new.lock for new in locks),
    }
    lines = [
        *(line for lock in locks for line in _told(lock)),
        *yanked_told(new.lock for new in locks),
        *lacking_told(new.lock for new in locks),
    ]
    console.result(document, "\n".join(lines))


def _document(new: NewLock) -> dict[str, Any]:
    changes = new.changes
    return {
        "target": new.lock.target.name,
        "path": str(new.path),
        "projects": len(new.lock.wheels) + len(new.lock.sdists),
        "first": new.previous is None,
        "added": [_release(release) for release in changes.added],
        "removed": [_release(release) for release in changes.removed],
        "changed": [_change(old, now) for old, now in changes.changed],
        "refiled": [_release(release) for release in changes.refiled],
    }


def _change(old: Release, new: Release) -> dict[str, Any]:
    return {"project": new.project, "from": old.version, "to": new.version, "uploaded": _time(new.uploaded)}


def _release(release: Release) -> dict[str, Any]:
    return {"project": release.project, "version": release.version, "uploaded": _time(release.uploaded)}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _told(new: NewLock) -> Iterator[str]:
    """One line for each target, and one for each project that is not what it was before."""
    first = new.previous is None
    yield f"{new.path.name}: {_held(new.lock)}, {'new' if first else new.changes}"
    if not first:
        yield from (f"  {line}" for line in new.changes.lines())


def _held(lock: Lock) -> str:
    """How much it is; a catalogue holds several releases of a project."""
    count = len(lock.wheels) + len(lock.sdists)
    return f"{count} {'project' if lock.closures is None else 'release'}{'' if count == 1 else 's'}"
