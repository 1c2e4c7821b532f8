"""Processes: the one place that starts them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "XDG_CACHE_HOME", "NETRC", "SYSTEMROOT",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
"""What a child process may see of our environment. PIP_*, UV_*, PYTHON* and the like are not here, so they change nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A process that ended by itself."""

    returncode: int
    stdout: str
    stderr: str


class Runner(Protocol):
    """Runs a program to its end."""

    def run(self, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Finished:
        """Run ``command`` with our clean environment and ``env`` on top, standard input closed.

        Raises FileNotFoundError when there is no such program.
        """
        ...


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The part of our environment that a child may see, and ``extra``. What this host serves to itself is asked without a proxy."""
    seen = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    near = {key: ",".join(filter(None, (os.environ.get(key), "127.0.0.1"))) for key in ("NO_PROXY", "no_proxy")}
    return {**seen, **near, **(extra or {})}


class Processes:
    """The real :class:`Runner`."""

    def run(self, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Finished:
        """See :class:`Runner`."""
        done = subprocess.run(
            list(command),
            env=clean_environment(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
        return Finished(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)
