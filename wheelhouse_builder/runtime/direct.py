"""The engine that needs no pip: the members of the wheels go from the payload straight to their places. No wheel is deflated or written.

Each frame is decompressed once, by one of several threads, which then places the wheels that have all of their content. Checks 6 and 8 are
made as ever; in place of check 7, which is about the wheel's file, stands that every byte of the pool and of the skeletons hangs on the
signature by way of the chunks. Where wheels travel as they are, or in a base, or are to be exact, they are unpacked first.
"""

import hashlib
import os
import threading
from contextlib import closing
from typing import BinaryIO, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from .compiling import compile_placed
from .cores import Stopped, cores, in_threads
from .engine import Installation, Job, WheelRecord, installed_distributions
from .errors import BundleRefused, InstallError
from .layout import POOL, SKELETONS, skeleton_entry, wheel_entry
from .manifest import PLAIN, ManifestDistribution
from .notable import notable_names
from .payload import PIECE, decoder_for, frames_with, pool_places, read_entries
from .pip_engine import require_fit
from .placing import Placed, Site, place, require_same
from .pooled import PooledArchive
from .progress import Step
from .scripts import LAUNCHERS, Interpreter, find_launchers
from .skeleton import Skeleton, decode
from .stock import Stock
from .unpack import distributions_for, extract
from .wheel import archive_problems
from .ziparchive import ZipArchive, ZipRefused


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
    require_fit(job)
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
        self._users: Dict[str, int] = {}
        self._waiting: List[ManifestDistribution] = []
        self._placed: Dict[str, Tuple[Placed, WheelRecord]] = {}
        self._problems: List[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def place(self) -> Optional[_Done]:
        """Read and place everything; None where a wheel travels whole. Raises BundleRefused with the problems of all."""
        read = set(frames_with(self._manifest, map(skeleton_entry, self._all)))
        for index in sorted(read):
            self._read(index)
        if self._skeletons.keys() != self._all.keys():
            return None
        self._plan()
        launchers = self._launchers(read) if os.name == "nt" else None
        site = _site(self._job, launchers)
        frames = set(frames_with(self._manifest, self._users)) - read
        largest_first = sorted(frames, key=lambda index: -self._manifest.frames[index].tar_size)
        with self._job.progress.step("placing", total=sum(each.size for each in self._distributions), unit="B") as step:
            in_threads(lambda index: self._work(index, site, step), [*largest_first, *[None] * cores()], self._stop)
        if self._problems:
            raise _refusal(self._problems)
        require_same(site)
        return _Done(self._distributions, (), {each.filename: self._placed[each.filename] for each in self._distributions})

    def _plan(self) -> None:
        """Who needs what; what nobody needs is dropped."""
        for each in self._distributions:
            self._needs[each.filename] = self._stock.touched(self._skeletons[each.filename])
            for path in self._needs[each.filename]:
                self._users[path] = self._users.get(path, 0) + 1
        self._waiting = sorted(self._distributions, key=lambda each: -each.size)
        self._stock.keep(self._users)

    def _read(self, index: int, wanted: Optional[Iterable[str]] = None) -> None:
        """Decompress one frame: hold its pieces of the pool, if they are ``wanted`` (None: all), and decode its skeletons."""
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

    def _work(self, index: Optional[int], site: Site, step: Step) -> None:
        """Read a frame, then place whatever has all of its content."""
        if index is not None:
            self._read(index, self._users)
        while not self._stop.is_set():
            distribution = self._next()
            if distribution is None:
                break
            self._finish(distribution, site)
            step.advance(distribution.size)

    def _next(self) -> Optional[ManifestDistribution]:
        with self._lock:
            ready = next((each for each in self._waiting if self._stock.holds(self._needs[each.filename])), None)
            if ready is not None:
                self._waiting.remove(ready)
            return ready

    def _finish(self, distribution: ManifestDistribution, site: Site) -> None:
        """Prove one wheel and place it."""
        try:
            archive = PooledArchive(self._skeletons[distribution.filename], self._stock.view, distribution.size)
            problems = self._wheel_problems(archive, distribution)
        except ZipRefused as error:
            problems = [str(error)]
        if problems:
            self._problems += ["%s: %s" % (distribution.filename, problem) for problem in problems]
        else:
            self._placed[distribution.filename] = place(archive, distribution, site)
        with self._lock:
            for path in self._needs[distribution.filename]:
                self._users[path] -= 1
                if not self._users[path]:
                    self._stock.drop(path)

    def _wheel_problems(self, archive: PooledArchive, distribution: ManifestDistribution) -> List[str]:
        """Check 8."""
        excused = next((each.problems for each in self._manifest.excused if each.filename == distribution.filename), ())
        problems = [problem for problem in archive_problems(archive, distribution.filename) if problem not in excused]
        names = (member.name for member in archive.members if not member.is_directory)
        if notable_names(names, distribution.project) != list(distribution.notable):
            problems.append("it installs something else beside its own name than the manifest says.")
        return problems

    def _launchers(self, read: Set[int]) -> Dict[str, bytes]:
        """What scripts begin with on Windows, from the wheel of pip."""
        skeleton = self._skeletons[self._job.target.pip]
        for index in sorted(set(frames_with(self._manifest, self._stock.touched(skeleton))) - read):
            self._read(index)
            read.add(index)
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
    site, placed = _site(job, launchers), {}

    def work(distribution: ManifestDistribution) -> None:
        with open(path_of(distribution.filename), "rb") as file:
            found = place(ZipArchive(file), distribution, site)
            _require_unchanged(file, distribution)
        placed[distribution.filename] = found

    with job.progress.step("placing", total=None):
        in_threads(work, sorted(distributions, key=lambda each: -each.size), threading.Event())
    require_same(site)
    return _Done(distributions, extracted.rewritten, {each.filename: placed[each.filename] for each in distributions})


def _require_unchanged(file: BinaryIO, distribution: ManifestDistribution) -> None:
    """That what was placed was read from the wheel that was proved."""
    digest = hashlib.sha256()
    file.seek(0)
    for piece in iter(lambda: file.read(PIECE), b""):
        digest.update(piece)
    if digest.hexdigest() != distribution.sha256:
        raise InstallError("%s was changed while it was installed." % distribution.filename, hint="Nothing was changed at the destination.")


def _launchers_in(archive: ZipArchive) -> Dict[str, bytes]:
    found = [member for member in archive.members if member.name.startswith(LAUNCHERS) and member.name.endswith(".exe")]
    return find_launchers({member.name: b"".join(archive.contents(member)) for member in found})


def _refusal(problems: Iterable[str]) -> BundleRefused:
    return BundleRefused(
        *sorted(problems),
        hint="Nothing was written. The signature holds, so the bundle was packed like this: ask its sender to pack it again.",
    )
