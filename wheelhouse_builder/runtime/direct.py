"""The engine that needs no pip: the members of the wheels go from the payload straight to their places. No wheel is deflated or written.

Each frame is decompressed once, on all cores; then the wheels that have all of their content are placed, each core's share by a process
of its own. Checks 6 and 8 are made as ever; in place of check 7, which is about the wheel's file, stands that every byte of the pool and of
the skeletons hangs on the signature by way of the chunks. Where wheels travel as they are, or in a base, or are to be exact, they are
unpacked first.
"""

import os
import threading
from contextlib import closing
from functools import partial
from typing import BinaryIO, Container, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from .compiling import compile_placed
from .cores import Stopped, in_threads, shares, side_by_side
from .engine import Installation, Job, WheelRecord, installed_distributions
from .errors import BundleRefused, InstallError
from .layout import POOL, SKELETONS, skeleton_entry, wheel_entry
from .manifest import PLAIN, ManifestDistribution
from .measure import measure
from .notable import notable_names
from .payload import decoder_for, frames_with, pool_places, read_entries
from .placing import Placed, Site, Twice, place, require_same
from .pooled import PooledArchive
from .progress import Step
from .scripts import LAUNCHERS, Interpreter, find_launchers
from .skeleton import Skeleton, decode
from .stock import HELD, Stock
from .unpack import distributions_for, extract
from .wheel import archive_problems
from .ziparchive import ZipArchive, ZipRefused

FILE_COST = 1 << 16
"""Bytes in whose time one more file is written."""
WORTH_A_PROCESS = 8 << 20
"""Bytes below which wheels are placed sooner than another process is there."""


class _Done(NamedTuple):
    """What was placed."""

    distributions: Tuple[ManifestDistribution, ...]
    rewritten: Tuple[str, ...]
    placed: Dict[str, Tuple[Placed, WheelRecord]]
    """By the wheel's file name."""


def install_directly(job: Job) -> Installation:
    """Place what the target needs, compile it, and write each RECORD. Raises as every :data:`~.engine.Engine` does."""
    straight = _place_members(job)
    done = straight or _place_wheels(job)
    compile_placed(job, {filename: placed for filename, (placed, _) in done.placed.items()})
    records = {filename: record for filename, (_, record) in done.placed.items()}
    return Installation(done.distributions, done.rewritten, records, unmeasured=straight is not None)


def _site(job: Job, launchers: Optional[Dict[str, bytes]]) -> Site:
    version = job.host.markers["python_version"].split(".")
    return Site(job.paths, Interpreter(job.executable, (int(version[0]), int(version[1])), launchers), set(), [])


# From the pool


def _place_members(job: Job) -> Optional[_Done]:
    """Place members of wheels as they come out of the payload; None where wheels have to be unpacked first."""
    manifest = job.bundle.manifest
    if manifest.mode == PLAIN or manifest.base is not None or job.exact:
        return None
    stock = Stock(pool_places(manifest), job.scratch)
    try:
        return _Frames(job, stock).place()
    finally:
        stock.keep(())


class _Found(NamedTuple):
    """What became of one wheel, or is said when a share is done."""

    filename: str
    placed: Optional[Tuple[Placed, WheelRecord]] = None
    problems: Tuple[str, ...] = ()
    twice: Tuple[Twice, ...] = ()


class _Frames:
    """One run over the frames, and over the wheels as their content comes."""

    def __init__(self, job: Job, stock: Stock) -> None:
        self._job = job
        self._stock = stock
        self._manifest = job.bundle.manifest
        self._decoder = decoder_for(job.bundle, job.scratch)
        self._all = {each.filename: each for each in distributions_for(self._manifest, [job.target])}
        self._distributions = installed_distributions(tuple(self._all.values()), job.target)
        self._skeletons: Dict[str, Skeleton] = {}
        self._needs: Dict[str, Set[str]] = {}
        self._read_already: Set[int] = set()
        self._stop = threading.Event()

    def place(self) -> Optional[_Done]:
        """Read and place everything; None where a wheel travels whole. Raises BundleRefused with the problems of all."""
        for index in frames_with(self._manifest, map(skeleton_entry, self._all)):
            self._read(index)
        if self._skeletons.keys() != self._all.keys():
            return None
        self._needs = {each.filename: self._stock.touched(self._skeletons[each.filename]) for each in self._distributions}
        launchers = self._launchers() if os.name == "nt" else None
        with self._job.progress.step("placing", total=sum(each.size for each in self._distributions), unit="B") as step:
            found = [each for group in self._groups() for each in self._placed(group, launchers, step)]
        problems = ["%s: %s" % (each.filename, problem) for each in found for problem in each.problems]
        if problems:
            raise _refusal(problems)
        require_same([each for one in found for each in one.twice])
        placed = {each.filename: each.placed for each in found if each.placed}
        return _Done(self._distributions, (), {each.filename: placed[each.filename] for each in self._distributions})

    def _groups(self) -> List[List[ManifestDistribution]]:
        """Wheels, in the order of the pool, in groups whose content may be held at once."""
        groups: List[List[ManifestDistribution]] = []
        held: Set[str] = set()
        for each in sorted(self._distributions, key=lambda each: (min(self._needs[each.filename], default=""), each.filename)):
            needed = self._needs[each.filename]
            if not groups or self._stock.size_of(held | needed) > HELD:
                groups.append([])
                held = set()
            groups[-1].append(each)
            held |= needed
        return groups

    def _placed(self, group: Sequence[ManifestDistribution], launchers: Optional[Dict[str, bytes]], step: Step) -> Iterator[_Found]:
        """Read what the wheels of ``group`` need, place them, and hold nothing of it any longer that no other needs."""
        needed = {path for each in group for path in self._needs[each.filename]}
        wanted = {path for paths in self._needs.values() for path in paths}
        self._stock.keep(wanted)
        frames = set(frames_with(self._manifest, needed)) - self._read_already
        largest_first = sorted(frames, key=lambda index: -self._manifest.frames[index].tar_size)
        in_threads(lambda index: self._read(index, wanted), largest_first, self._stop)
        for found in side_by_side(partial(self._place_share, launchers), shares(group, self._cost, WORTH_A_PROCESS)):
            step.advance(self._all[found.filename].size if found.filename else 0)
            yield found
        for each in group:
            del self._needs[each.filename]
        self._stock.keep({path for paths in self._needs.values() for path in paths})

    def _cost(self, distribution: ManifestDistribution) -> float:
        """What it takes to place a wheel, in bytes: a file costs as much as many of them."""
        members = self._skeletons[distribution.filename].members
        return sum(member.length for member in members) + FILE_COST * len(members)

    def _place_share(self, launchers: Optional[Dict[str, bytes]], share: Sequence[ManifestDistribution]) -> Iterator[_Found]:
        site = _site(self._job, launchers)
        for each in share:
            yield self._finish(each, site)
        yield _Found("", twice=tuple(site.twice))

    def _read(self, index: int, wanted: Optional[Container[str]] = None) -> None:
        """Decompress one frame: hold its pieces of the pool, if they are ``wanted`` (None: all), and decode its skeletons."""
        self._read_already.add(index)
        with closing(read_entries(self._job.bundle, index, self._decoder)) as entries:
            for path, _, contents in entries:
                if path.startswith(POOL) and (wanted is None or path in wanted):
                    self._stock.add(path, self._pieces(contents))
                elif path.startswith(SKELETONS) and path[len(SKELETONS) :] in self._all:
                    self._skeletons[path[len(SKELETONS) :]] = decode(b"".join(contents))

    def _pieces(self, contents: Iterable[bytes]) -> Iterator[bytes]:
        for piece in contents:
            if self._stop.is_set():
                raise Stopped
            yield piece

    def _finish(self, distribution: ManifestDistribution, site: Site) -> _Found:
        """Prove one wheel and place it."""
        try:
            archive = PooledArchive(self._skeletons[distribution.filename], self._stock.view, distribution.size)
            problems = self._wheel_problems(archive, distribution)
        except ZipRefused as error:
            problems = [str(error)]
        if problems:
            return _Found(distribution.filename, problems=tuple(problems))
        return _Found(distribution.filename, placed=place(archive, distribution, site))

    def _wheel_problems(self, archive: PooledArchive, distribution: ManifestDistribution) -> List[str]:
        """Check 8."""
        excused = next((each.problems for each in self._manifest.excused if each.filename == distribution.filename), ())
        problems = [problem for problem in archive_problems(archive, distribution.filename) if problem not in excused]
        names = (member.name for member in archive.members if not member.is_directory)
        if notable_names(names, distribution.project) != list(distribution.notable):
            problems.append("it installs something else beside its own name than the manifest says.")
        return problems

    def _launchers(self) -> Dict[str, bytes]:
        """What scripts begin with on Windows, from the wheel of pip."""
        skeleton = self._skeletons[self._job.target.pip]
        for index in sorted(set(frames_with(self._manifest, self._stock.touched(skeleton))) - self._read_already):
            self._read(index)
        return _launchers_in(PooledArchive(skeleton, self._stock.view, self._all[self._job.target.pip].size))


# From wheels that were unpacked


def _place_wheels(job: Job) -> _Done:
    """Unpack the wheels, with all checks, and place their members."""
    tree = os.path.join(job.scratch, "tree")
    extracted = extract(job.bundle, tree, job.scratch, [job.target], job.progress, exact=job.exact, bases=job.bases)
    distributions = installed_distributions(extracted.distributions, job.target)

    def path_of(filename: str) -> str:
        return os.path.join(tree, *wheel_entry(filename).split("/"))

    launchers = None
    if os.name == "nt":
        with open(path_of(job.target.pip), "rb") as file:
            launchers = _launchers_in(ZipArchive(file))

    def work(share: Sequence[ManifestDistribution]) -> Iterator[_Found]:
        site = _site(job, launchers)
        for each in share:
            with open(path_of(each.filename), "rb") as file:
                yield _Found(each.filename, placed=place(ZipArchive(file), each, site))
                _require_unchanged(file, each)
        yield _Found("", twice=tuple(site.twice))

    with job.progress.step("placing", total=None):
        found = list(side_by_side(work, shares(distributions, lambda each: each.size, WORTH_A_PROCESS)))
    require_same([each for one in found for each in one.twice])
    placed = {each.filename: each.placed for each in found if each.placed}
    return _Done(distributions, extracted.rewritten, {each.filename: placed[each.filename] for each in distributions})


def _require_unchanged(file: BinaryIO, distribution: ManifestDistribution) -> None:
    """That what was placed was read from the wheel that was proved."""
    file.seek(0)
    if measure(file).sha256 != distribution.sha256:
        raise InstallError("%s was changed while it was installed." % distribution.filename, hint="Nothing was changed at the destination.")


def _launchers_in(archive: ZipArchive) -> Dict[str, bytes]:
    found = [member for member in archive.members if member.name.startswith(LAUNCHERS) and member.name.endswith(".exe")]
    return find_launchers({member.name: b"".join(archive.contents(member)) for member in found})


def _refusal(problems: Iterable[str]) -> BundleRefused:
    return BundleRefused(
        *sorted(problems),
        hint="Nothing was written. The signature holds, so the bundle was packed like this: ask its sender to pack it again.",
    )
