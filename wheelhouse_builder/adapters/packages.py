"""System packages of the distribution that this host, or a root, runs: asked for, never installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelhouse_builder.adapters.process import Runner

_ASK = {"dpkg": ("dpkg-query", "--showformat", "${db:Status-Abbrev} ${Package}=${Version}\\n", "--show"), "rpm": ("rpm", "-q")}
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
    versions = {name: found for name in names if (found := _version(name, tool, runner, root))}
    missing = tuple(name for name in names if name not in versions)
    install = " ".join((_INSTALL[tool], *missing)) if missing else ""
    return Found(versions=tuple(sorted(versions.values())), missing=missing, install=install)


def _version(name: str, tool: str, runner: Runner, root: Path) -> str:
    """``name=version`` of a package that is installed; empty if it is not."""
    place = ("--root", str(root)) if root != Path("/") else ()
    program, *rest = _ASK[tool]
    try:
        said = runner.run([program, *place, *rest, name])
    except FileNotFoundError:
        return ""
    lines = said.stdout.splitlines() if said.returncode == 0 else []
    if tool == "rpm":
        return lines[0] if lines else ""
    return next((line.split()[-1] for line in lines if line.startswith("ii")), "")
