"""Refresh ``wheelhouse_builder/data/pythons.json``: the newest patch level of each CPython, and the newest PyPy, that uv can download.

Versions that uv does not offer any more stay as they are; alphas and betas do not count. Run it with the project's own Python:
``python scripts/refresh_data.py``.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import uv
from packaging.version import Version

DATA = Path(__file__).parents[1] / "wheelhouse_builder" / "data" / "pythons.json"


def main() -> None:
    """Ask uv, merge, write, tell what changed."""
    known = json.loads(DATA.read_text(encoding="utf-8"))
    offered = [entry for entry in ask_uv() if not Version(entry["version"]).is_prerelease and entry["variant"] == "default"]
    fresh = {"cpython": known["cpython"] | newest_cpython(offered), "pypy": known["pypy"] | newest_pypy(offered)}
    for implementation, versions in fresh.items():
        for minor in sorted(versions, key=Version):
            if versions[minor] != known[implementation].get(minor):
                print(f"{implementation} {minor}: {known[implementation].get(minor, 'new')} → {versions[minor]}")
    DATA.write_text(render(fresh), encoding="utf-8")


def ask_uv() -> list[dict[str, Any]]:
    """Every Python that uv can download, for any platform."""
    command = [
        uv.find_uv_bin(),
        "python",
        "list",
        "--no-config",
        "--only-downloads",
        "--all-versions",
        "--all-platforms",
        "--output-format",
        "json",
    ]
    done = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    return list(json.loads(done.stdout))


def newest_cpython(offered: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Minor version → newest patch level."""
    versions = sorted(Version(entry["version"]) for entry in offered if entry["implementation"] == "cpython")
    return {f"{version.major}.{version.minor}": str(version) for version in versions}


def newest_pypy(offered: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Minor version of the language → its newest patch level, and the PyPy that has it, which only the URL tells."""
    found = [
        (Version(own[1]), Version(entry["version"]))
        for entry in offered
        if entry["implementation"] == "pypy" and (own := re.search(r"-v(\d+\.\d+\.\d+)-", entry["url"]))
    ]
    return {f"{python.major}.{python.minor}": [str(python), str(own)] for own, python in sorted(found)}


def render(pythons: Mapping[str, Mapping[str, Any]]) -> str:
    """JSON with one line for each version, oldest first."""
    blocks = []
    for implementation, versions in pythons.items():
        lines = ",\n".join(f"    {json.dumps(minor)}: {json.dumps(versions[minor])}" for minor in sorted(versions, key=Version))
        blocks.append(f"  {json.dumps(implementation)}: {{\n{lines}\n  }}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


if __name__ == "__main__":
    main()
