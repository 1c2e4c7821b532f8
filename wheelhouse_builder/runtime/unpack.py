"""Unpack: a verified bundle becomes a directory of wheels and locks that pip and uv read.

Everything is made in a private directory beside the destination and proved there (checks 6 to 8 of FORMAT.md, section 8); one rename
makes it seen. What fails on the way leaves nothing.
"""

import os
import threading
from contextlib import closing
from itertools import chain
from typing import BinaryIO, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from .agreement import Retold
from .bases import NO_BASES, Bases, Wanted, contents_of, named, wanted
from .bundle import VerifiedBundle
from .cores import Stopped, in_threads
from .errors import BundleRefused, EnvironmentFailure, WheelhouseError
from .fingerprint import zlib_is_stock
from .layout import (
    BASE,
    POOL,
    README,
    SKELETONS,
    TARGETS,
    attestations_entry,
    lock_entry,
    placed_entry,
    skeleton_entry,
    wheel_entry,
)
from .leftovers import cleared, leftovers, lock_beside, mark_of
from .locking import alone
from .manifest import Manifest, ManifestBase, ManifestDistribution, ManifestTarget
from .measure import Measured, measure
from .notable import notable_names
from .payload import PoolSpool, decoder_for, frames_with, pool_places, read_entries
from .pooled import RebuiltArchive
from .progress import NoProgress, Progress
from .rewrite import rewrite, size_of
from .skeleton import Read, Skeleton, decode, rebuild
from .staging import destination, disk_failures, publish, require_space, staging, sync_tree
from .switch import opened
from .wheel import archive_problems
from .ziparchive import ZipArchive, ZipRefused
from .zstd import Decoder

_MOST_WINDOWS = 4
"""Frames that are decompressed at once: each takes up to 128 MiB, and four of them are as fast as most disks."""

_FOREIGN_BASE = (
    "Nothing was written. A delta takes wheels of its base byte for byte. Name with --base a directory that holds these wheels as the "
    "index published them, or run this under a Python with stock zlib."
)


class Unpacked(NamedTuple):
    """What was unpacked, and where."""

    directory: str
    targets: Tuple[str, ...]
    wheels: int
    size: int
    """Bytes of all wheels."""
    rewritten: Tuple[str, ...]
    """File names of the wheels whose content is the signed one and whose bytes are not: see :mod:`rewrite`."""
    repaired: Tuple[str, ...]
    """What an earlier run had left and was taken away, sentence by sentence."""


class Extracted(NamedTuple):
    """What :func:`extract` wrote."""

    distributions: Tuple[ManifestDistribution, ...]
    """With size and digest of the wheels that are there."""
    rewritten: Tuple[str, ...]
    """As in :class:`Unpacked`."""


def unpack(
    bundle: VerifiedBundle,
    directory: str,
    targets: Sequence[ManifestTarget],
    progress: Optional[Progress] = None,
    *,
    exact: bool = False,
    bases: Optional[Bases] = None,
) -> Unpacked:
    """Write ``wheels/``, ``targets/<target>/`` and README.txt for ``targets`` to ``directory``, which must not exist or be empty.

    ``exact``: refuse where this Python's zlib cannot make the signed bytes again, instead of writing the same content otherwise.
    ``bases``: where a delta finds what it does not hold itself.
    Raises AlreadyThere, BundleRefused, EnvironmentFailure; then ``directory`` is as it was.
    """
    path = destination(directory)
    parent, mark = os.path.dirname(path), mark_of(os.path.basename(path))
    with disk_failures(parent), alone(lock_beside(parent, mark), progress or NoProgress()), opened(parent) as folder:
        done = tuple(cleared(os.path.join(parent, name)) for name in leftovers(folder, mark))
        with staging(parent, mark) as scratch:
            tree = os.path.join(scratch, "tree")
            extracted = extract(bundle, tree, scratch, targets, progress, exact=exact, bases=bases)
            sync_tree(tree)
            publish(tree, path)
    wheels = extracted.distributions
    names = tuple(target.name for target in targets)
    return Unpacked(path, names, len(wheels), sum(wheel.size for wheel in wheels), extracted.rewritten, done)


def extract(
    bundle: VerifiedBundle,
    tree: str,
    scratch: str,
    targets: Sequence[ManifestTarget],
    progress: Optional[Progress] = None,
    *,
    exact: bool = False,
    bases: Optional[Bases] = None,
) -> Extracted:
    """Make the directory ``tree`` and prove what is in it; ``scratch`` is a private directory for what lies between.

    ``exact`` and ``bases`` as in :func:`unpack`.
    """
    manifest = bundle.manifest
    wheels, files = distributions_for(manifest, targets), _files_for(manifest, targets)
    for path in files:
        os.makedirs(os.path.dirname(os.path.join(tree, *path.split("/"))), exist_ok=True)
    return _extracted(_Extraction(bundle, tree, scratch, wheels, files, progress or NoProgress(), bases or NO_BASES, exact=exact))


def _extracted(extraction: "_Extraction") -> Extracted:
    extraction.read_frames()
    extraction.finish_wheels()
    return extraction.result()


def distributions_for(manifest: Manifest, targets: Sequence[ManifestTarget]) -> Tuple[ManifestDistribution, ...]:
    """What ``targets`` install, and the pip that installs it."""
    names = {target.name for target in targets}
    pips = {target.pip for target in targets}
    return tuple(each for each in manifest.distributions if names & set(each.targets) or each.filename in pips)


class _ForeignZlib(EnvironmentFailure):
    """A wheel that must be exact cannot be, for this Python's zlib makes other bytes."""


class _Extraction:
    """One run: read the frames once, then finish every wheel on all cores."""

    def __init__(
        self,
        bundle: VerifiedBundle,
        tree: str,
        scratch: str,
        distributions: Sequence[ManifestDistribution],
        files: Dict[str, Tuple[int, str]],
        progress: Progress,
        bases: Bases,
        *,
        exact: bool,
    ) -> None:
        self.distributions = tuple(distributions)
        self._taken = set(bundle.manifest.base.taken if bundle.manifest.base else ())
        carried = {entry.path for frame in bundle.manifest.frames for entry in frame.entries}
        self._rebuilt = {each.filename: each for each in self.distributions if skeleton_entry(each.filename) in carried}
        self._bases = bases
        self._bundle = bundle
        self._manifest = bundle.manifest
        self._tree = tree
        self._scratch = scratch
        self._progress = progress
        self._exact = exact
        self._rewritten: Dict[str, ManifestDistribution] = {}
        self._stop = threading.Event()
        self._files = files
        self._excused = {each.filename: each.problems for each in bundle.manifest.excused}
        self._pool = PoolSpool(pool_places(bundle.manifest), os.path.join(scratch, "pool"))
        os.makedirs(self._in_tree("wheels"), exist_ok=True)
        os.mkdir(os.path.join(scratch, "skeletons"))

    def read_frames(self) -> None:
        """Decompress each frame that is needed, once, and write what is needed of it."""
        decoder = decoder_for(self._bundle, self._scratch)
        first = frames_with(self._manifest, self._first_entries())
        self._read_in_threads(decoder, first)
        self._check_files()
        missing = self._missing_pool()
        require_space(self._scratch, self._wheels_size() + self._pool.size_of(missing))
        self._take_from_base(missing)
        second = frames_with(self._manifest, missing)
        self._read_in_threads(decoder, second)

    def _take_from_base(self, missing: Set[str]) -> None:
        """Put the distributions that the base holds into the tree, and what leads the pool into the spool."""
        base = self._manifest.base
        sources = sorted(path[len(BASE) :] for path in missing if path.startswith(BASE))
        needed = wanted(base, self._manifest, self._taken & {each.filename for each in self.distributions}, sources) if base else []
        if base is None or not needed:
            return
        folder = os.path.join(self._scratch, "base")
        os.mkdir(folder)
        self._gather(base, needed, folder)
        problems = [each.filename for each in needed if _measure(os.path.join(folder, each.filename)) != (each.size, each.sha256)]
        if problems:
            raise _wrong_base(base, problems)
        for filename in sources:
            with open(os.path.join(folder, filename), "rb") as file:
                self._pool.add(BASE + filename, contents_of(file))
        for each in needed:
            if each.filename in self._taken:
                os.rename(os.path.join(folder, each.filename), self._in_tree(wheel_entry(each.filename)))

    def _gather(self, base: ManifestBase, needed: Sequence[Wanted], folder: str) -> None:
        """Write wheels of the base to ``folder``, from directories, and from the base itself, which may be a delta, too."""
        bases = self._bases
        rest = bases.copy(needed, folder)
        if not rest:
            return
        held = bases.bundle(base, self._manifest, rest)
        names = {each.filename for each in rest}
        scratch = os.path.join(self._scratch, "of-base")
        os.mkdir(scratch)
        wheels = [each for each in held.manifest.distributions if each.filename in names]
        try:
            _extracted(_Extraction(held, os.path.join(scratch, "tree"), scratch, wheels, {}, self._progress, bases, exact=True))
        except _ForeignZlib as failure:
            raise EnvironmentFailure(*failure.problems, hint=_FOREIGN_BASE) from failure
        for each in wheels:
            os.rename(os.path.join(scratch, "tree", "wheels", each.filename), os.path.join(folder, each.filename))

    def finish_wheels(self) -> None:
        """Rebuild what is not whole yet and prove every wheel, largest first. Raises with the problems of all."""
        work = sorted(self.distributions, key=lambda each: (-each.size, each.filename))
        with self._progress.step("rebuilding wheels", total=sum(each.size for each in work), unit="B") as step:
            found = in_threads(lambda each: self._finish_wheel(each, step.advance), work, self._stop)
        problems = list(chain.from_iterable(found))
        if problems:
            raise _refusal(problems)
        self._correct_locks()

    def result(self) -> Extracted:
        """What was written."""
        distributions = tuple(self._rewritten.get(each.filename, each) for each in self.distributions)
        return Extracted(distributions, tuple(sorted(self._rewritten)))

    def _first_entries(self) -> Set[str]:
        """What is known to be needed before any skeleton was read."""
        names = {each.filename for each in self.distributions} - self._taken
        return set(self._files) | {skeleton_entry(name) if name in self._rebuilt else wheel_entry(name) for name in names}

    def _wheels_size(self) -> int:
        """Bytes that the wheels will take, or more."""
        rewritten = {} if zlib_is_stock() else self._rebuilt
        as_they_are = sum(each.size for each in self.distributions if each.filename not in rewritten)
        return as_they_are + sum(size_of(decode(self._skeleton(each))) for each in rewritten.values())

    def _missing_pool(self) -> Set[str]:
        missing: Set[str] = set()
        for each in self._rebuilt.values():
            missing |= self._pool.missing(decode(self._skeleton(each)))
        return missing

    def _read_in_threads(self, decoder: Decoder, frames: Sequence[int]) -> None:
        """Decompress frames side by side, largest first; each takes the memory of a window."""
        work = sorted(frames, key=lambda index: -self._manifest.frames[index].tar_size)
        with self._progress.step("decompressing", total=self._tar_size(frames), unit="B") as step:
            in_threads(lambda index: self._read_frame(decoder, index, step.advance), work, self._stop, _MOST_WINDOWS)

    def _read_frame(self, decoder: Decoder, index: int, advance: Callable[[int], None]) -> None:
        wanted = self._first_entries()
        with closing(read_entries(self._bundle, index, decoder)) as entries:
            for path, size, contents in entries:
                pieces = self._heeding(contents, advance)
                if path.startswith(POOL):
                    self._pool.add(path, pieces)
                elif path in wanted:
                    _write_new(self._place(path), pieces)
                else:
                    advance(size)

    def _heeding(self, pieces: Iterable[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
        """``pieces``, of which ``advance`` hears, and which end when the others have."""
        for piece in pieces:
            self._between()
            advance(len(piece))
            yield piece

    def _place(self, path: str) -> str:
        """Where an entry that is no pool entry is written."""
        return os.path.join(self._scratch, *path.split("/")) if path.startswith(SKELETONS) else self._in_tree(path)

    def _in_tree(self, path: str) -> str:
        return os.path.join(self._tree, *path.split("/"))

    def _tar_size(self, frames: Iterable[int]) -> int:
        return sum(self._manifest.frames[index].tar_size for index in frames)

    def _check_files(self) -> None:
        """Check 7 for what is no distribution."""
        problems, retold = [], Retold(self._manifest)
        for path, (size, sha256) in sorted(self._files.items()):
            if _measure(self._in_tree(path)) != (size, sha256):
                problems.append("%s: size or SHA-256 is not what the manifest says." % path)
                continue
            with open(self._in_tree(path), "rb") as file:
                problems += ["%s: %s." % (path, problem) for problem in retold.problems(path, file.read())]
        if problems:
            raise _refusal(problems)

    def _skeleton(self, distribution: ManifestDistribution) -> bytes:
        with open(os.path.join(self._scratch, "skeletons", distribution.filename), "rb") as file:
            return file.read()

    def _finish_wheel(self, distribution: ManifestDistribution, advance: Callable[[int], None]) -> List[str]:
        """Make one wheel whole and prove it (checks 7 and 8); its problems, each with its name."""
        path = self._in_tree(wheel_entry(distribution.filename))
        skeleton = decode(self._skeleton(distribution)) if distribution.filename in self._rebuilt else None
        with open(self._pool.path, "rb") as spool:
            read = self._pool.reader(spool, self._between)
            problems = self._content_problems(distribution, path, skeleton, read)
            if not problems:
                with open(path, "rb") as file:
                    problems = self._wheel_problems(distribution, file, skeleton, read)
        advance(distribution.size)
        return ["%s: %s" % (distribution.filename, problem) for problem in problems]

    def _wheel_problems(self, distribution: ManifestDistribution, file: BinaryIO, skeleton: Optional[Skeleton], read: Read) -> List[str]:
        """Check 8 for one wheel, which passed check 7."""
        names: List[str] = []
        try:
            rebuilt = skeleton if distribution.filename not in self._rewritten else None
            archive = RebuiltArchive(file, rebuilt, read) if rebuilt else ZipArchive(file)
            names += [member.name for member in archive.members if not member.is_directory]
            problems = archive_problems(archive, distribution.filename)
        except ZipRefused as error:
            problems = [str(error)]
        problems = _inexcusable(problems, self._excused.get(distribution.filename))
        if notable_names(names, distribution.project) != list(distribution.notable):
            problems.append("it installs something else beside its own name than the manifest says.")
        return problems

    def _content_problems(self, distribution: ManifestDistribution, path: str, skeleton: Optional[Skeleton], read: Read) -> List[str]:
        """Check 7 for one wheel, after rebuilding it where the bundle holds a ``skeleton`` of it."""
        if skeleton is None:
            return self._digest_problems(distribution, path)
        try:
            with open(path, "xb") as out:
                rebuild(skeleton, read, out, distribution.size)
            problems = self._digest_problems(distribution, path)
        except BundleRefused as refusal:
            problems = list(refusal.problems)
        if not problems or zlib_is_stock():
            return problems
        if self._exact:  # a foreign zlib may also compress worse, and outgrow the wheel
            raise _foreign_zlib(distribution)
        return self._rewrite(distribution, path, skeleton, read)

    def _rewrite(self, distribution: ManifestDistribution, path: str, skeleton: Skeleton, read: Read) -> List[str]:
        """Write the wheel's content in a container of our own; problems, if that cannot be."""
        try:
            with open(path, "wb") as out:
                rewrite(skeleton, read, out)
        except BundleRefused as refusal:
            return list(refusal.problems)
        size, sha256 = _measure(path, self._between)
        self._rewritten[distribution.filename] = distribution._replace(size=size, sha256=sha256)
        return []

    def _correct_locks(self) -> None:
        """Write the digests of the wheels that are there into the locks, where they are not the signed ones."""
        if not self._rewritten:
            return
        retold = Retold(self._manifest._replace(distributions=self.result().distributions))
        for path in self._files:
            if path.startswith(TARGETS):
                with open(self._in_tree(path), "w", encoding="ascii", newline="") as file:
                    file.write(retold.lock(path))

    def _digest_problems(self, distribution: ManifestDistribution, path: str) -> List[str]:
        if _measure(path, self._between) == (distribution.size, distribution.sha256):
            return []
        return ["size or SHA-256 is not what the manifest says."]

    def _between(self) -> None:
        if self._stop.is_set():
            raise Stopped


def _inexcusable(problems: List[str], excused: Optional[Tuple[str, ...]]) -> List[str]:
    """Those of a wheel's problems that its packer did not sign for."""
    return [problem for problem in problems if problem not in (excused or ())]


def _files_for(manifest: Manifest, targets: Sequence[ManifestTarget]) -> Dict[str, Tuple[int, str]]:
    """Path → size and SHA-256 of the other files that ``targets`` need."""
    wanted = {README} | {lock_entry(target.name, name) for target in targets for name in manifest.lock_files}
    wanted |= {attestations_entry(each.filename) for each in distributions_for(manifest, targets)}
    wanted |= {attestations_entry(target.decoder) for target in targets if target.decoder}
    wanted |= {placed_entry(each.path) for each in manifest.placed}
    return {each.path: (each.size, each.sha256) for each in manifest.files if each.path in wanted}


def _write_new(path: str, contents: Iterable[bytes]) -> None:
    with open(path, "xb") as file:
        for piece in contents:
            file.write(piece)


def _measure(path: str, between: Optional[Callable[[], None]] = None) -> Measured:
    with open(path, "rb") as file:
        return measure(file, between)


def _wrong_base(base: ManifestBase, filenames: Sequence[str]) -> WheelhouseError:
    return BundleRefused(
        *["%s in the base is not the wheel that the delta needs: its size or SHA-256 differs." % name for name in filenames],
        hint="Nothing was written. The delta needs %s. Name that bundle with --base, or a directory with just its wheels." % named(base),
    )


def _refusal(problems: Sequence[str]) -> WheelhouseError:
    return BundleRefused(
        *problems, hint="Nothing was written. The signature holds, so the bundle was packed like this: ask its sender to pack it again."
    )


def _foreign_zlib(distribution: ManifestDistribution) -> WheelhouseError:
    return _ForeignZlib(
        "%s cannot be rebuilt here: the zlib of this Python is not stock zlib (zlib-ng or another replacement), "
        "so it compresses to other bytes than the signed ones." % distribution.filename,
        hint="Nothing was written. Do without --exact: the wheels then have the signed content in another container. Or run this under a "
        "Python with stock zlib, or ask the sender for a bundle made with --plain.",
    )
