"""Sources that the user names himself: folders, git repositories and sdists at a URL."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from wheelhouse_builder.adapters.index import shown
from wheelhouse_builder.model.distribution import Tree
from wheelhouse_builder.sdist import SUFFIXES
from wheelhouse_builder.spec import PROJECT_FILES

_UNNAMED = re.compile(r"(?P<path>(?:file:|[./~])[^\[;\s]*)\s*(?P<rest>(?:\[[^\]]*\])?\s*(?:;.*)?)")
_GIT = re.compile(r"git\+(?P<url>(?:https?|ssh|file)://[^/#]*/[^#]*?)(?:@(?P<revision>[^/@:#][^@:#]*))?(?:#(?P<fragment>.*))?")
_OTHERS = re.compile(r"(?:git|hg|svn|bzr)\+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """One source. Just one of its first three says what it is."""

    archive: str = ""
    """The URL of an sdist."""
    folder: Path | None = None
    """Absolute."""
    repository: str = ""
    """The URL of a git repository."""
    revision: str = ""
    subdirectory: str = ""
    text: str
    """How a lock names it: a folder's path is relative to that of the spec, so that it is the same in each checkout."""

    def tree(self, commit: str = "") -> Tree | None:
        """The tree that is meant, at this commit; None of what is no tree."""
        if self.archive:
            return None
        return Tree(place=self.repository or self.text, commit=commit, revision=self.revision, subdirectory=self.subdirectory)


def read_named(url: str, base: Path, top: Path) -> Named | str:
    """What ``url`` names: a path is relative to ``base``, and told relative to ``top``. A string says why it cannot be had."""
    place, _, fragment = url.partition("#")
    if match := _GIT.fullmatch(url):
        parts = urlsplit(match["url"])
        if parts.password or (parts.username and parts.scheme != "ssh"):
            return f"git+{shown(match['url'])} stands here with credentials: put them into ~/.netrc, where no lock shows them"
        subdirectory = next(iter(parse_qs(match["fragment"] or "").get("subdirectory", [])), "")
        return Named(repository=match["url"], revision=match["revision"] or "", subdirectory=subdirectory, text=url)
    if _OTHERS.match(place):
        return f"{place} is a repository that cannot be read: right would be git+https://…@main, or git+ssh:// or git+file://"
    parts = urlsplit(place)
    if parts.path.endswith(SUFFIXES) and parts.scheme in ("https", "http", "file"):
        if "subdirectory=" in fragment:
            return f"{url}: of an archive the project must be at the top: name the repository instead"
        return Named(archive=place, text=shown(place))
    if parts.scheme not in ("", "file"):
        return f"{place} is not a wheel, an sdist ({' or '.join(SUFFIXES)}) or a git repository (git+https://…)"
    return _folder(Path(unquote(parts.path)) if parts.scheme else Path(place).expanduser(), base, top)


def _folder(path: Path, base: Path, top: Path) -> Named | str:
    folder = Path(os.path.normpath((base / path).absolute()))
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if not any((folder / name).is_file() for name in PROJECT_FILES):
        return f"{folder} holds no project: neither {' nor '.join(PROJECT_FILES)} is there"
    return Named(folder=folder, text=Path(os.path.relpath(folder, top.absolute())).as_posix())


def with_name(text: str, base: Path, top: Path) -> str | None:
    """A line that is nothing but the path of a folder, with the name that its pyproject.toml says before it; None: it is no such line.

    Raises ValueError for one that names no project.
    """
    match = _UNNAMED.fullmatch(text)
    if match is None or match["path"].endswith((".whl", *SUFFIXES)):
        return None
    named = read_named(match["path"], base, top)
    if isinstance(named, str):
        raise ValueError(named)  # noqa: TRY004 # a reason, not a wrong type
    name = _static_name(named.folder / "pyproject.toml") if named.folder else None
    if name is None:
        return None
    extras, _, marker = match["rest"].partition(";")
    return f"{name}{extras.strip()} @ {match['path']}" + (f" ; {marker}" if marker else "")


def _static_name(path: Path) -> str | None:
    """The project's name; None where it is not told. Raises ValueError for a file that cannot be read."""
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"]) if path.exists() else None
    except (LookupError, TypeError):
        return None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
