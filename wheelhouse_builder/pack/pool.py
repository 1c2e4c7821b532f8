"""The pool: each content once, and what resembles side by side, for zstd to see it.

Contents are grouped, a group becomes one piece of the pool in one zstd frame. What several projects share, and the projects that
are too small for a frame of their own, come first; then each project has its group. So frames are compressed and decompressed
in parallel, and a target leaves out the projects that it does not need.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from wheelhouse_builder.pack.members import Content

Group = tuple[Content, ...]
ENOUGH = 1 << 28
"""Bytes after which a group is split: twice zstd's window, which sees no further back, and one thread's work for a while."""
SHARED = ""
"""Stands for a project's name where a content belongs to several."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Contents in their final order, each once."""

    groups: tuple[Group, ...]
    """The pieces of the pool. None is empty."""
    starts: dict[bytes, int]
    """By digest: the byte of the pool at which a content begins."""

    @property
    def filtered(self) -> frozenset[bytes]:
        """The digests of the contents that stand there filtered."""
        return frozenset(content.digest for group in self.groups for content in group if content.filtered)


def lay_out(contents: Iterable[tuple[str, Content]], *, share_below: int) -> Pool:
    """The pool of ``contents``, each told with its project; a project with fewer than ``share_below`` bytes has no group of its own.

    Of contents with one digest the first counts, so their order must be fixed; nothing else depends on it.
    """
    found: dict[bytes, Content] = {}
    projects: dict[bytes, set[str]] = defaultdict(set)
    for project, content in contents:
        if content.size:
            known = found.setdefault(content.digest, content)
            if known.x86 and not content.x86:
                found[content.digest] = replace(known, x86=False)  # a member that is carried verbatim is made of the same bytes
            projects[content.digest].add(project)
    groups = _grouped(found, projects, share_below)
    return Pool(groups=groups, starts=_starts(groups))


def size_of(group: Iterable[Content]) -> int:
    """The bytes of all its contents."""
    return sum(content.size for content in group)


def _grouped(found: dict[bytes, Content], projects: dict[bytes, set[str]], share_below: int) -> tuple[Group, ...]:
    by_project: dict[str, list[Content]] = defaultdict(list)
    for digest, content in found.items():
        owners = projects[digest]
        by_project[next(iter(owners)) if len(owners) == 1 else SHARED].append(content)
    shared = by_project.pop(SHARED, [])
    groups = []
    for _, own in sorted(by_project.items()):
        if size_of(own) < share_below:
            shared += own
        else:
            groups.append(own)
    return tuple(piece for group in (shared, *groups) for piece in _split(sorted(group, key=_resemblance)))


def _split(group: Iterable[Content]) -> Iterator[Group]:
    """The group in runs of about :data:`ENOUGH` bytes; a content is never cut."""
    run: list[Content] = []
    size = 0
    for content in group:
        if run and size + content.size > ENOUGH:
            yield tuple(run)
            run, size = [], 0
        run.append(content)
        size += content.size
    if run:
        yield tuple(run)


def _resemblance(content: Content) -> tuple[bool, str, bytes]:
    """A sort key that puts like beside like: machine code first, then by place: so the same file of several wheels, and its neighbours."""
    return (not content.compiled, content.path, content.digest)


def _starts(groups: Iterable[Group]) -> dict[bytes, int]:
    starts, end = {}, 0
    for group in groups:
        for content in group:
            starts[content.digest] = end
            end += content.size
    return starts
