"""uv and pip-tools on the real index: both give sets that can be installed, and where they differ, the wheels themselves say why.

A resolver chooses which project may have its newest release when not all can; two resolvers choose differently, and both may be right. So
a difference is right if one of these is the reason, read from the wheels' own metadata:

- a project is older in one set, because something in that set does not allow the newer release, or the newer release does not allow
  something in that set: one resolver kept the one new, the other the other;
- the newer release is a pre-release, and what requires it names one, as ``<2dev`` does: pip heeds that (PEP 440), uv only in the user's own
  requirements; or no final release can be had together with the others: uv then takes a pre-release, pip goes back to older projects;
- a project is in one set only, because something asks for it there that is not, or not in this release, in the other set.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from packaging.metadata import parse_email
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import NoWheelError, ResolutionError
from wheelhouse_builder.fetch import fetch
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.rehearse import rehearse
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import Requirements, resolve
from wheelhouse_builder.spec import RESOLVERS

TARGETS = (
    "cp312-manylinux_2_28_x86_64",
    "cp312-win_amd64",
    "cp310-macosx_14_0_arm64",
    "cp313-manylinux_2_28_aarch64",
    "cp310-manylinux_2_17_x86_64",
    "cp39-win_amd64",
    "cp311-musllinux_1_2_x86_64",
    "cp314-macosx_11_0_x86_64",
)

SETS = {
    "uvicorn": ("uvicorn[standard]", "click"),
    "pytest": ("pytest", "pytest-cov", "hypothesis"),
    "keyring": ("keyring", "twine"),
    "ipython": ("ipython",),
    "jupyter-client": ("jupyter-client", "ipykernel"),
    "django": ("django", "djangorestframework", "psycopg[binary]"),
    "flask": ("flask[async]", "gunicorn", "flask-sqlalchemy"),
    "fastapi": ("fastapi[standard]",),
    "celery": ("celery[redis]", "flower"),
    "aws": ("boto3", "aiobotocore"),
    "google": ("google-cloud-bigquery", "google-cloud-storage<3"),
    "bigquery-2": ("google-cloud-bigquery<3",),
    "azure": ("azure-identity", "azure-storage-blob[aio]"),
    "ansible": ("ansible-core", "paramiko"),
    "sphinx": ("sphinx", "myst-parser", "furo"),
    "mkdocs": ("mkdocs-material",),
    "black": ("black[d]", "isort", "mypy", "pylint"),
    "httpx": ("httpx[http2,cli,brotli]", "respx"),
    "poetry": ("poetry",),
    "scrapy": ("scrapy",),
    "sqlalchemy": ("sqlalchemy[asyncio]", "alembic", "asyncpg"),
    "textual": ("textual[syntax]", "rich"),
}
SMALL = {"uvicorn": SETS["uvicorn"], "keyring": SETS["keyring"], "bigquery-2": SETS["bigquery-2"]}


@dataclass(frozen=True)
class Release:
    """One wheel of a set, as it describes itself."""

    version: Version
    requires: tuple[Requirement, ...]


Releases = Mapping[NormalizedName, Release]


def releases(lock: Lock, wheels: Mapping[str, Wheel]) -> Releases:
    return {wheel.project: Release(wheel.version, requires_of(wheels[wheel.filename].path)) for wheel in lock.wheels}


def requires_of(path: Path) -> tuple[Requirement, ...]:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1)
        return tuple(map(Requirement, parse_email(archive.read(name))[0].get("requires_dist", ())))


def differences(one: Releases, other: Releases) -> Iterator[tuple[str, str | None]]:
    """What differs between two sets, and why; None where no reason is found."""
    for project in sorted(one.keys() | other.keys()):
        here, there = one.get(project), other.get(project)
        if here is None or there is None:
            owner, lacking = (one, other) if here else (other, one)
            yield f"{project} is in one set only", asked_for(project, owner, lacking)
        elif here.version != there.version:
            older, newer = (one, other) if here.version < there.version else (other, one)
            why = held_back(project, newer[project].version, older) or unfit(newer[project], older) or pre_release(newer[project])
            yield f"{project} {here.version} / {there.version}", why


def asked_for(project: NormalizedName, owner: Releases, lacking: Releases) -> str | None:
    for name, release in owner.items():
        asks = any(canonicalize_name(requirement.name) == project for requirement in release.requires)
        if asks and (name not in lacking or lacking[name].version != release.version):
            return f"{name} {release.version} asks for it"
    return None


def held_back(project: NormalizedName, newer: Version, older: Releases) -> str | None:
    for name, release in older.items():
        for requirement in release.requires:
            if canonicalize_name(requirement.name) == project and not requirement.specifier.contains(newer, prereleases=True):
                return f"{name} {release.version} wants {requirement}"
            if canonicalize_name(requirement.name) == project and newer.is_prerelease and requirement.specifier.prereleases:
                return f"{name} {release.version} names a pre-release in {requirement}"
    return None


def unfit(newer: Release, older: Releases) -> str | None:
    """What the newer release asks for that stands in another version in the set that lacks it."""
    for requirement in newer.requires:
        there = older.get(canonicalize_name(requirement.name))
        if (
            there is not None
            and "extra" not in str(requirement.marker)
            and not requirement.specifier.contains(there.version, prereleases=True)
        ):
            return f"{newer.version} wants {requirement}, there it is {there.version}"
    return None


def pre_release(newer: Release) -> str | None:
    return f"{newer.version} is a pre-release" if newer.version.is_prerelease else None


def both(texts: tuple[str, ...], targets: tuple[str, ...], folder: Path) -> Iterator[tuple[str, str]]:
    """Resolve, fetch and rehearse with both engines; yield each target with what differs. Fails where nothing explains a difference."""
    asked = Requirements.from_texts(*texts)
    with IndexClient() as client:
        for target in map(Target.parse, targets):
            found = [lock_or_error(replace(asked, resolver=resolver), target, client, folder) for resolver in RESOLVERS]
            locks = [lock for lock in found if isinstance(lock, Lock)]
            if len(locks) < len(RESOLVERS):
                assert not locks, f"{texts} for {target}: {found}"
                yield target.name, f"neither has a solution: {found[0]}"
                continue
            wheels = fetch(
                [wheel for lock in locks for wheel in (*lock.wheels, *lock.bootstrap)], Store(folder), client=client, reporter=Silent()
            )
            rehearse(locks, wheels)
            told = list(differences(*(releases(lock, wheels) for lock in locks)))
            assert all(reason for _, reason in told), f"{texts} for {target}: {told}"
            yield target.name, "; ".join(f"{what}: {why}" for what, why in told) or f"the same {len(locks[0].wheels)}"


def lock_or_error(requirements: Requirements, target: Target, client: IndexClient, folder: Path) -> Lock | str:
    try:
        return resolve(requirements, [target], pages=client, cache=folder, runner=Processes())[0]
    except (NoWheelError, ResolutionError) as error:
        return error.problems[0].splitlines()[0]


@pytest.mark.network
def test_uv_and_piptools_agree_or_the_wheels_say_why(tmp_path: Path) -> None:
    for texts in SMALL.values():
        assert len(list(both(texts, TARGETS[:3], tmp_path))) == 3


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_each_set_on_each_target(name: str, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(both(SETS[name], TARGETS, tmp_path_factory.getbasetemp() / "shared-store"))
    with capsys.disabled():
        sys.stdout.write("\n".join(["", name, *(f"  {target}: {result}" for target, result in rows), ""]))
    assert len(rows) == len(TARGETS)
