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
from packaging.version import InvalidVersion, Version

from wheelhouse_builder.errors import NoWheelError, SpecError
from wheelhouse_builder.model.distribution import LockedSdist, LockedWheel
from wheelhouse_builder.model.lock import TOOL, Closure, Lacking, Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.choose import choose

HINT = "delete the file, and `wheelhouse lock` makes it anew"
HEADER = "# What {target} installs. Written by `wheelhouse lock`; review and commit it. PEP 751.\n"


def lock_filename(target: Target, *, keep: int | None = None) -> str:
    """``pylock.<target>.toml``, as PEP 751 wants it: the name in the middle holds no dot.

    That of a catalogue, which holds several releases of a project, is called otherwise: no tool could install it.
    """
    return f"{'pylock' if keep is None else 'catalogue'}.{target.name}.toml"


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
        overrides = tuple(Requirement(text) for text in ours.get("overrides", ()))
        bootstrap = _read_bootstrap(ours, target)
        choice = choose(pylock, target, side_by_side="closures" in ours)
        closures, lacking = _read_closures(ours, choice.wheels), tuple(map(_read_lacking, ours.get("lacking", ())))
        sdists = tuple(_with_build(sdist, ours.get("builds", {})) for sdist in choice.sdists)
    except (
        OSError,
        UnicodeDecodeError,
        tomllib.TOMLDecodeError,
        PylockValidationError,
        InvalidRequirement,
        InvalidVersion,
        KeyError,
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
        sdists=sdists,
        bootstrap=bootstrap,
        requirements=requirements,
        inputs=str(ours.get("inputs", "")),
        overrides=overrides,
        closures=closures,
        lacking=lacking,
    )


def _to_dict(lock: Lock) -> dict[str, Any]:
    ours: dict[str, Any] = {
        "inputs": lock.inputs,
        "target": lock.target.name,
        "requirements": sorted(map(str, lock.requirements)),
        "bootstrap": pylock_of(lock.bootstrap).to_dict()["packages"],
    }
    if lock.overrides:
        ours["overrides"] = sorted(map(str, lock.overrides))
    if lock.closures is not None:
        ours["closures"] = _closures(lock)
        ours["lacking"] = [_lacking(each) for each in lock.lacking]
    if lock.sdists:
        ours["builds"] = {sdist.project: _build(sdist) for sdist in lock.sdists}
    return {**lock.pylock.to_dict(), "created-by": TOOL, "tool": {**(lock.pylock.tool or {}), TOOL: ours}}


def _closures(lock: Lock) -> dict[str, list[str]]:
    """Releases: a target has one wheel of each."""
    releases = {wheel.filename: _release(wheel) for wheel in lock.wheels}
    return {str(closure.requirement): [releases[filename] for filename in closure.wheels] for closure in lock.closures or ()}


def _read_closures(ours: Mapping[str, Any], wheels: Iterable[LockedWheel]) -> tuple[Closure, ...] | None:
    if "closures" not in ours:
        return None
    filenames = {_release(wheel): wheel.filename for wheel in wheels}
    return tuple(
        Closure(requirement=Requirement(text), wheels=tuple(filenames[release] for release in releases))
        for text, releases in ours["closures"].items()
    )


def _release(wheel: LockedWheel) -> str:
    return f"{wheel.project}=={wheel.version}"


def _lacking(lacking: Lacking) -> dict[str, str]:
    nearest = {"nearest": str(lacking.nearest)} if lacking.nearest else {}
    return {"requirement": str(lacking.requirement), "reason": lacking.reason, **nearest}


def _read_lacking(entry: Mapping[str, str]) -> Lacking:
    nearest = Version(entry["nearest"]) if "nearest" in entry else None
    return Lacking(requirement=Requirement(entry["requirement"]), reason=entry["reason"], nearest=nearest)


def _build(sdist: LockedSdist) -> dict[str, Any]:
    return {"inputs": sdist.build_inputs, "requirements": pylock_of(sdist.build_requirements).to_dict()["packages"]}


def _with_build(sdist: LockedSdist, builds: Mapping[str, Any]) -> LockedSdist:
    """``sdist`` with what the lock says of its build: nothing in one that another tool wrote."""
    build = builds.get(sdist.project, {})
    document = {"lock-version": "1.0", "created-by": TOOL, "packages": build.get("requirements", [])}
    wheels = tuple(locked for package in Pylock.from_dict(document).packages for locked in _wheels(package))
    return replace(sdist, build_requirements=wheels, build_inputs=str(build.get("inputs", "")))


def _wheels(package: Package) -> Iterator[LockedWheel]:
    """What was chosen for the host that builds: no target of ours, so there is nothing to choose again."""
    for file in package.wheels or ():
        if file.url is None or package.version is None or "sha256" not in file.hashes:
            raise PylockValidationError(f"build requirement {package.name} has no version, URL or SHA-256")
        yield LockedWheel(
            project=package.name,
            version=package.version,
            filename=file.filename,
            url=file.url,
            sha256=file.hashes["sha256"],
            size=file.size,
            uploaded=file.upload_time,
        )


def pylock_of(wheels: Iterable[LockedWheel]) -> Pylock:
    """Write ``wheels`` as PEP 751 does."""
    return Pylock(lock_version=Version("1.0"), created_by=TOOL, packages=list(map(_package, wheels)))


def _package(wheel: LockedWheel) -> Package:
    file = PackageWheel(name=wheel.filename, url=wheel.url, size=wheel.size, upload_time=wheel.uploaded, hashes={"sha256": wheel.sha256})
    return Package(name=wheel.project, version=wheel.version, wheels=[file])


def _read_bootstrap(ours: Mapping[str, Any], target: Target) -> tuple[LockedWheel, ...]:
    document = {"lock-version": "1.0", "created-by": TOOL, "packages": ours.get("bootstrap", [])}
    return choose(Pylock.from_dict(document), target).wheels
