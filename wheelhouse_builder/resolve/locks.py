"""Locks as files: PEP 751 documents beside the spec, to be reviewed and committed.

What PEP 751 has no place for stands under ``[tool.wheelhouse]``: the digest of the question, the requirements, the bootstrap wheels.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w
from packaging.pylock import Package, PackageWheel, Pylock, PylockValidationError
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from wheelhouse_builder.errors import NoWheelError, SpecError
from wheelhouse_builder.model.distribution import LockedSdist, LockedWheel
from wheelhouse_builder.model.lock import Closure, Lacking, Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.choose import choose

HINT = "delete the file, and `wheelhouse lock` makes it anew"
HEADER = "# What {target} installs. Written by `wheelhouse lock`; review and commit it. PEP 751.\n"
TOOL = "wheelhouse"


def lock_filename(target: Target) -> str:
    """``pylock.<target>.toml``, as PEP 751 wants it: the name in the middle holds no dot."""
    return f"pylock.{target.name}.toml"


def write_lock(lock: Lock, path: Path) -> None:
    """Write ``lock`` to ``path``, in one step: whoever reads meanwhile, and whatever interrupts, finds the old one or the new one."""
    text = HEADER.format(target=lock.target) + tomli_w.dumps(_to_dict(lock))
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with draft.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_lock(path: Path, target: Target) -> Lock:
    """Read the lock of ``target`` at ``path``; another tool may have written it.

    Raises SpecError for a file that is not a lock, NoWheelError for one that holds projects without a wheel for ``target``.
    """
    try:
        pylock = Pylock.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
        ours = (pylock.tool or {}).get(TOOL, {})
        requirements = tuple(Requirement(text) for text in ours.get("requirements", ()))
        bootstrap = _read_bootstrap(ours, target)
    except (
        OSError,
        UnicodeDecodeError,
        tomllib.TOMLDecodeError,
        PylockValidationError,
        InvalidRequirement,
        TypeError,
        AttributeError,
    ) as error:
        raise SpecError(f"{path}: not a lock: {error}", hint=HINT) from error
    if choice.wheelless:
        raise NoWheelError(*(f"{path}: {found.project} {found.version} has no wheel for {target}" for found in choice.wheelless), hint=HINT)
    return Lock(
        target=target,
        pylock=pylock,
        wheels=choice.wheels,
        bootstrap=bootstrap,
        requirements=requirements,
        inputs=str(ours.get("inputs", "")),
    )

        sdists=sdists,

def _to_dict(lock: Lock) -> dict[str, Any]:
    ours: dict[str, Any] = {
        "inputs": lock.inputs,
        "target": lock.target.name,
        "requirements": sorted(map(str, lock.requirements)),
        "bootstrap": _pylock(lock.bootstrap).to_dict()["packages"],
    }
    return {**lock.pylock.to_dict(), "created-by": TOOL, "tool": {**(lock.pylock.tool or {}), TOOL: ours}}


def _pylock(wheels: tuple[LockedWheel, ...]) -> Pylock:
    """Write ``wheels`` as PEP 751 does."""
    packages = [
        Package(
            name=wheel.project,
            version=wheel.version,
            wheels=[PackageWheel(url=wheel.url, size=wheel.size, upload_time=wheel.uploaded, hashes={"sha256": wheel.sha256})],
        )
        for wheel in wheels
    ]
    return Pylock(lock_version=Version("1.0"), created_by=TOOL, packages=packages)


def _read_bootstrap(ours: Mapping[str, Any], target: Target) -> tuple[LockedWheel, ...]:
    document = {"lock-version": "1.0", "created-by": TOOL, "packages": ours.get("bootstrap", [])}
    return choose(Pylock.from_dict(document), target).wheels
