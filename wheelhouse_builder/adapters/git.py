"""git: repositories looked into and checked out, without questions, hooks or configuration of this host."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wheelhouse_builder.adapters.process import Finished, Runner
from wheelhouse_builder.errors import EnvironmentFailure, SpecError

_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SUBMODULE = "160000 "
"""How git lists one: with a mode that no file has."""
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "advice.detachedHead=false")


@dataclass(frozen=True, kw_only=True, slots=True)
class Git:
    """The program, which sees nothing of this host but credentials in ~/.netrc and keys of ssh. Submodules are not fetched."""

    runner: Runner

    def check_out(self, url: str, revision: str, folder: Path) -> str:
        """Fill the new ``folder`` with ``revision``, a branch, tag or commit, by default the repository's own; return the commit.

        Raises SpecError when the repository or the revision is not to be had, EnvironmentFailure when there is no git.
        """
        cloned = self._run("clone", "--quiet", "--no-checkout", "--template=", "--", url, str(folder))
        if cloned.returncode != 0:
            raise SpecError(f"{url} cannot be cloned: {_last_line(cloned)}", hint="is the URL right, and may this host read it?")
        commit = next(self._commits(folder, revision), "")
        if not commit:
            raise SpecError(f"{url} has no branch, tag or commit {revision}", hint=f"`git ls-remote {url}` lists what there is")
        checked_out = self._run("-C", str(folder), "checkout", "--quiet", "--detach", commit)
        if checked_out.returncode != 0:
            raise EnvironmentFailure(f"{url}: {commit} cannot be checked out: {_last_line(checked_out)}", hint="is there room on the disk?")
        return commit

    def submodules(self, folder: Path, subdirectory: str = "") -> list[str]:
        """Where in ``folder``, or below ``subdirectory`` of it, the commit that is checked out wants other repositories."""
        below = ("--", subdirectory) if subdirectory else ()
        listed = self._run("-C", str(folder), "ls-tree", "-r", "-z", "HEAD", *below)
        if listed.returncode != 0:
            raise EnvironmentFailure(f"{folder}: git cannot list what is there: {_last_line(listed)}", hint="is this git sound?")
        return [entry.partition("\t")[2] for entry in listed.stdout.split("\0") if entry.startswith(_SUBMODULE)]

    def files(self, folder: Path) -> list[str] | None:
        """Paths in ``folder`` that git knows or would know: not what is ignored. None where there is no repository, or no git.

        Raises SpecError for a submodule that is not there.
        """
        if shutil.which("git") is None:
            return None
        listed = self._run("-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = {name for name in listed.stdout.split("\0") if name}
        for name in sorted(names):
            if (folder / name).is_dir() and not name.endswith("/") and not (folder / name).is_symlink():
                names |= {f"{name}/{inside}" for inside in self._submodule(folder / name)}
        return sorted(names) if listed.returncode == 0 and names else None

    def _submodule(self, folder: Path) -> list[str]:
        if not (folder / ".git").exists():
            raise SpecError(f"{folder} is a submodule that was not fetched", hint="run `git submodule update --init --recursive`")
        return self.files(folder) or []

    def is_dirty(self, folder: Path) -> bool:
        """Whether something in ``folder`` differs from the commit that is checked out there."""
        if shutil.which("git") is None:
            return False
        said = self._run("-C", str(folder), "status", "--porcelain", "--", ".")
        return said.returncode == 0 and bool(said.stdout.strip())

    def _commits(self, folder: Path, revision: str) -> Iterator[str]:
        """The commit that is meant, for each way to mean one."""
        names = (f"refs/remotes/origin/{revision}", f"refs/tags/{revision}", revision) if revision else ("HEAD",)
        for name in names[-1:] if _COMMIT.fullmatch(revision) else names:  # no branch that is called like a commit
            found = self._run("-C", str(folder), "rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
            if found.returncode == 0:
                yield found.stdout.split()[-1]
        # One that no branch leads to, as those of pull requests.
        fetched = self._run("-C", str(folder), "fetch", "--quiet", "origin", "--", revision)
        if revision and fetched.returncode == 0:
            yield self._run("-C", str(folder), "rev-parse", "FETCH_HEAD^{commit}").stdout.strip()

    def _run(self, *arguments: str) -> Finished:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        try:
            return self.runner.run(["git", *settings, *arguments], env=_ENVIRONMENT)
        except FileNotFoundError as error:
            raise EnvironmentFailure("there is no git on this host", hint="apt install git, or what installs it here") from error


def _last_line(ended: Finished) -> str:
    return (ended.stderr.strip() or ended.stdout.strip() or "without a word").splitlines()[-1]
