"""System packages of the distribution that this host, or a root, runs: asked for, never installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelhouse_builder.adapters.process import Runner

_DPKG = ("--showformat", "${db:Status-Abbrev} ${Package}=${Version} ${Provides}\\n", "--show")
_RPM = ("-q", "--whatprovides")
_INSTALL = {"dpkg": "apt install", "rpm": "dnf install"}
_FAMILIES = {"debian": "dpkg", "ubuntu": "dpkg", "fedora": "rpm", "rhel": "rpm", "centos": "rpm"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The answer for a list of packages."""

    versions: tuple[str, ...]
    """Of those that are there: ``name=version``, sorted."""
    missing: tuple[str, ...]
    install: str
    """The command that would install what is missing; empty where nothing is, or nobody knows."""


def distributions(root: Path = Path("/")) -> tuple[str, ...]:
    """What the system at ``root`` is, and what it is like, as its os-release says: ``("ubuntu", "debian")``."""
    try:
        lines = (root / "etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    said = dict(line.partition("=")[::2] for line in lines if "=" in line)
    return tuple(name for key in ("ID", "ID_LIKE") for name in said.get(key, "").strip("\"'").split())


def look_for(wanted: Mapping[str, Sequence[str]], runner: Runner, root: Path = Path("/")) -> Found:
    """Whether the packages that are ``wanted``, by distribution, are there. A distribution that is not named is asked for none."""
    system = next((name for name in distributions(root) if name in wanted), None)
    names = tuple(wanted[system]) if system else ()
    tool = _FAMILIES.get(system or "")
    if not names or tool is None:
        return Found(versions=(), missing=(), install="")
    versions = _KNOWS[tool](names, runner, root)
    missing = tuple(name for name in names if name not in versions)
    install = " ".join((_INSTALL[tool], *missing)) if missing else ""
    return Found(versions=tuple(sorted(set(versions.values()))), missing=missing, install=install)


def _dpkg(names: Sequence[str], runner: Runner, root: Path) -> Mapping[str, str]:
    """Of ``names`` those that are installed, or provided by something that is: ``package=version``."""
    own: dict[str, str] = {}
    provided: dict[str, str] = {}
    for line in _asked("dpkg-query", _DPKG, runner, root):
        status, package, *more = line.split(maxsplit=2)
        if status == "ii":
            own[package.partition("=")[0]] = package
            provided |= {virtual.split()[0]: package for virtual in "".join(more).split(",") if virtual.strip()}
    known = provided | own
    return {name: known[name] for name in names if name in known}


def _rpm(names: Sequence[str], runner: Runner, root: Path) -> Mapping[str, str]:
    return {name: lines[0] for name in names if (lines := _asked("rpm", (*_RPM, name), runner, root))}


def _asked(program: str, rest: Sequence[str], runner: Runner, root: Path) -> list[str]:
    """What the package manager says of the system at ``root``; nothing where it fails, or there is none."""
    place = ("--root", str(root)) if root != Path("/") else ()
    try:
        said = runner.run([program, *place, *rest])
    except FileNotFoundError:
        return []
    return said.stdout.splitlines() if said.returncode == 0 else []


_KNOWS = {"dpkg": _dpkg, "rpm": _rpm}
