"""Named sources, found: each one's bytes in the store, and what its wheel will require.

An sdist at a URL is pinned by its digest, a repository by its commit, a folder by the digest of its files. An earlier lock's commit stays,
and so does an archive; a folder is always taken as it is now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from email.parser import HeaderParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from packaging.pylock import Package, PackageArchive, PackageDirectory, PackageVcs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelhouse_builder.adapters.git import Git
from wheelhouse_builder.adapters.index import shown
from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.adapters.sources import Downloads, bring, bring_any
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import DistributionError, SpecError, WheelhouseError
from wheelhouse_builder.model.distribution import LockedSdist, LockedWheel, Tree
from wheelhouse_builder.recipe import building_python
from wheelhouse_builder.reporter import Reporter
from wheelhouse_builder.resolve.metadata import PYTHON, Asked, ask_metadata
from wheelhouse_builder.resolve.named import Named
from wheelhouse_builder.resolve.requirements import Line
from wheelhouse_builder.sdist import SUFFIXES, SdistFacts, own_metadata, promise_of, read_backend, read_sdist
from wheelhouse_builder.tree import SUFFIX, pack_tree

TOOL = "wheelhouse"
CHECK_OUT = "check it out with all that belongs to it and name that folder, or name an sdist of it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A named source as it was found."""

    sdist: LockedSdist
    """Without what building it requires."""
    facts: SdistFacts


@dataclass(frozen=True, kw_only=True, slots=True)
class Finder:
    """Finds named sources; ``solve`` answers which wheels a build backend consists of and needs."""

    store: Store
    client: Downloads
    runner: Runner
    reporter: Reporter
    solve: Callable[[str, tuple[Requirement, ...]], tuple[LockedWheel, ...]]
    known: Mapping[NormalizedName, LockedSdist]
    """What earlier locks hold."""

    def find(self, lines: Iterable[Line]) -> dict[NormalizedName, Source]:
        """The sources that ``lines`` name, by project. Raises one WheelhouseError that tells all that cannot be had, each with its line."""
        found: dict[NormalizedName, tuple[Line, Source]] = {}
        errors: list[WheelhouseError] = []
        for line in (line for line in lines if line.source):
            project = canonicalize_name(line.requirement.name)
            try:
                if project not in found:
                    found[project] = line, self._find(project, line)
                _refuse_two(found[project][0], line)
            except WheelhouseError as error:
                errors.append(type(error)(*(f"{line.where}: {project}: {problem}" for problem in error.problems), hint=error.hint))
        if errors:
            raise type(errors[0])(*(problem for error in errors for problem in error.problems), hint=errors[0].hint)
        return {project: source for project, (_, source) in found.items()}

    def _find(self, project: NormalizedName, line: Line) -> Source:
        named, known = line.source, self.known.get(project)
        assert named is not None  # noqa: S101 # find() asks for no others
        if named.archive:
            return self._archive(project, named, line.hashes, known)
        if named.folder:
            return self._folder(project, named, named.folder, known)
        return self._repository(project, named, known)

    def _archive(self, project: NormalizedName, named: Named, hashes: tuple[str, ...], known: LockedSdist | None) -> Source:
        url, filename = shown(named.archive), unquote(urlsplit(named.archive).path.rpartition("/")[2])
        kept = known.sha256 if known and known.url == url else None
        wanted = next((digest.removeprefix("sha256:") for digest in hashes if digest.startswith("sha256:")), kept)
        if wanted:
            path, sha256 = bring(named.archive, filename, wanted, store=self.store, client=self.client), wanted
        else:
            path, sha256 = bring_any(named.archive, filename, store=self.store, client=self.client)
        return self._source(path, LockedSdist(**_none_yet(project), filename=filename, url=url, sha256=sha256), known)

    def _folder(self, project: NormalizedName, named: Named, folder: Path, known: LockedSdist | None) -> Source:
        git = Git(runner=self.runner)
        if git.is_dirty(folder):
            self.reporter.note(f"{named.text}: taken as it is, with changes that are not committed")
        path, sha256 = self._stored(pack_tree(folder, git.files(folder)))
        return self._source(path, _of_tree(project, named.tree(), sha256), known)

    def _repository(self, project: NormalizedName, named: Named, known: LockedSdist | None) -> Source:
        tree = known.tree if known and known.tree and replace(known.tree, commit="") == named.tree() else None
        if known and tree and (path := self.store.find_sound(known.sha256)):
            return self._source(path, known, known)
        with _scratch() as scratch:
            clone = Path(scratch) / "clone"
            git = Git(runner=self.runner)
            commit = git.check_out(named.repository, tree.commit if tree else named.revision, clone)
            path, sha256 = self._stored(_packed(git, clone, named.repository, named.subdirectory))
            sdist = _of_tree(project, named.tree(commit), sha256)
            return self._source(path, sdist, known, None if named.subdirectory else clone / ".git")

    def _stored(self, data: bytes) -> tuple[Path, str]:
        sha256 = hashlib.sha256(data).hexdigest()
        return self.store.add(sha256, [data]), sha256

    def _source(self, path: Path, sdist: LockedSdist, known: LockedSdist | None, repository: Path | None = None) -> Source:
        """``sdist`` with what its wheel will be called and require: as is known of the same bytes, or the archive says, or its backend."""
        if known and (known.sha256, known.tree) == (sdist.sha256, sdist.tree):
            sdist = replace(known, build_requirements=(), build_inputs="")
        else:
            own = own_metadata(path, sdist.filename)
            sdist = _with_metadata(sdist, own or self._ask(path, sdist.filename, repository), dynamic=not own)
        return Source(sdist=sdist, facts=read_sdist(path, sdist.filename, sdist.metadata))

    def _ask(self, path: Path, filename: str, repository: Path | None) -> str:
        backend = read_backend(path, filename)
        wheels = self.solve(filename, backend.requires) if backend.requires else ()
        brought = [(each.filename, bring(each.url, each.filename, each.sha256, store=self.store, client=self.client)) for each in wheels]
        asked = Asked(path=path, filename=filename, backend=backend, requirements=tuple(brought), repository=repository)
        return ask_metadata(asked, self.runner)


BUILDER = building_python(PYTHON)
"""Which Python asks a build backend."""


def restore(sdists: Iterable[LockedSdist], folder: Path, store: Store, runner: Runner) -> None:
    """Make the archives of trees that ``store`` lacks once more; ``folder`` is that of the spec. Folders are looked at in any case.

    Raises SpecError for a folder that is not what was locked, or a repository that has another tree or none.
    """
    git = Git(runner=runner)
    for sdist in {sdist.sha256: sdist for sdist in sdists if sdist.tree}.values():
        tree = sdist.tree
        if tree is None or (tree.commit and store.find_sound(sdist.sha256)):
            continue
        if not tree.commit:
            place = folder / tree.place
            _restore_one(sdist, pack_tree(place, git.files(place)), store)
            continue
        with _scratch() as scratch:
            clone = Path(scratch) / "clone"
            git.check_out(tree.place, tree.commit, clone)
            _restore_one(sdist, _packed(git, clone, tree.place, tree.subdirectory), store)


def _restore_one(sdist: LockedSdist, data: bytes, store: Store) -> None:
    if hashlib.sha256(data).hexdigest() != sdist.sha256:
        where = sdist.tree.place if sdist.tree else sdist.url
        raise SpecError(
            f"{sdist.project}: {where} is not what was locked: its files have changed", hint="run `wheelhouse lock`, then try again"
        )
    store.add(sdist.sha256, [data])


def package_of(sdist: LockedSdist) -> Package:
    """A named source as PEP 751 has it; what that has no place for stands in its ``tool`` table."""
    ours: dict[str, str] = {"metadata": sdist.metadata} if sdist.metadata else {}
    if sdist.tree is None:
        archive = PackageArchive(url=sdist.url, hashes={"sha256": sdist.sha256})
        return Package(name=sdist.project, version=sdist.version, archive=archive, tool={TOOL: ours} if ours else None)
    tree, tool = sdist.tree, {TOOL: {"filename": sdist.filename, "sha256": sdist.sha256, **ours}}
    if not tree.commit:
        return Package(name=sdist.project, version=sdist.version, directory=PackageDirectory(path=tree.place), tool=tool)
    vcs = PackageVcs(
        type="git",
        url=tree.place,
        commit_id=tree.commit,
        requested_revision=tree.revision or None,
        subdirectory=tree.subdirectory or None,
    )
    return Package(name=sdist.project, version=sdist.version, vcs=vcs, tool=tool)


def sdist_of(package: Package) -> LockedSdist | None:
    """What :func:`package_of` made the package of; None where another tool wrote it, or it is a wheel."""
    ours = (package.tool or {}).get(TOOL, {})
    if package.version is None:
        return None
    if package.archive and package.archive.url:
        url, sha256 = package.archive.url, package.archive.hashes.get("sha256")
        filename = unquote(urlsplit(url).path.rpartition("/")[2])
        if sha256 is None or not filename.endswith(SUFFIXES):
            return None
        found = LockedSdist(project=package.name, version=package.version, filename=filename, url=url, sha256=sha256, named=True)
        return replace(found, metadata=ours.get("metadata", ""))
    tree = _tree_of(package)
    if tree is None or "sha256" not in ours:
        return None
    return replace(
        _of_tree(package.name, tree, ours["sha256"]),
        version=package.version,
        filename=ours["filename"],
        metadata=ours.get("metadata", ""),
    )


def _tree_of(package: Package) -> Tree | None:
    if package.directory:
        return Tree(place=package.directory.path)
    vcs = package.vcs
    if vcs is None or vcs.url is None or vcs.type != "git":
        return None
    return Tree(place=vcs.url, commit=vcs.commit_id, revision=vcs.requested_revision or "", subdirectory=vcs.subdirectory or "")


def _of_tree(project: NormalizedName, tree: Tree | None, sha256: str) -> LockedSdist:
    """The archive that is made of ``tree``; where that lies is its URL."""
    place = tree.place if tree else ""
    url = f"git+{shown(place)}@{tree.commit}" if tree and tree.commit else f"file:{quote(place)}"
    return LockedSdist(**_none_yet(project), filename=f"{project}{SUFFIX}", url=url, sha256=sha256, tree=tree)


def _none_yet(project: NormalizedName) -> dict[str, Any]:
    """What is the same of all that was just found; the version is not known yet."""
    return {"project": project, "version": Version("0"), "named": True}


def _with_metadata(sdist: LockedSdist, metadata: str, *, dynamic: bool) -> LockedSdist:
    """``sdist`` with its version; of ``dynamic`` metadata, which stand in no file, what decides on what is installed is kept."""
    message = HeaderParser().parsestr(metadata)
    try:
        name, version, promise = canonicalize_name(message["Name"]), Version(message["Version"]), promise_of(metadata)
    except (InvalidVersion, InvalidRequirement, InvalidSpecifier, TypeError) as error:
        raise DistributionError(f"its metadata are malformed: {error}", hint="mend the project, or name another source of it") from error
    if name != sdist.project:
        raise SpecError(f"what lies there is the project {name}", hint=f"write '{name} @ …'")
    kept = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *promise.lines(), ""])
    filename = f"{name}-{version}{SUFFIX}" if sdist.tree else sdist.filename
    return replace(sdist, version=version, filename=filename, metadata=kept if dynamic else "")


def _packed(git: Git, clone: Path, url: str, subdirectory: str) -> bytes:
    """The project in ``subdirectory`` of a repository that was checked out. Raises SpecError when it is not all there."""
    folder = clone / subdirectory
    if not folder.resolve().is_relative_to(clone.resolve()) or not folder.is_dir():
        raise SpecError(f"{url} has no folder {subdirectory}", hint="mend what stands behind subdirectory=")
    if submodules := git.submodules(clone, subdirectory):
        raise SpecError(f"{url} has submodules, which are not fetched: {', '.join(submodules)}", hint=CHECK_OUT)
    return pack_tree(folder)


def _refuse_two(first: Line, second: Line) -> None:
    if first.source and second.source and first.source.text != second.source.text:
        raise SpecError(f"{first.where} names another source of it: {first.source.text}", hint="keep one of them")


def _scratch() -> AbstractContextManager[str]:
    return TemporaryDirectory(prefix="wheelhouse-source-")
