"""Unpack: a verified bundle becomes a directory of wheels and locks that pip and uv read.

Everything is made in a private directory beside the destination and proved there (checks 6 to 8 of FORMAT.md, section 8); one rename
makes it seen. What fails on the way leaves nothing.
"""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from .bundle import VerifiedBundle
from .errors import BundleRefused, EnvironmentFailure, WheelhouseError
from .fingerprint import zlib_is_stock
from .layout import DECODERS_MEMBER, LOCK_FILES, POOL, README, SKELETONS, lock_entry, skeleton_entry, wheel_entry
from .manifest import PLAIN, Manifest, ManifestDistribution, ManifestTarget
from .payload import PIECE, PoolSpool, frames_with, pool_places, read_entries
from .progress import NoProgress, Progress
from .skeleton import decode, rebuild
from .staging import destination, publish, require_space, staging, sync_tree
from .wheel import wheel_problems
from .zstd import Decoder, choose_decoder


class Unpacked(NamedTuple):
    """What was unpacked, and where."""

    directory: str
    targets: Tuple[str, ...]
    wheels: int
    size: int
    """Bytes of all wheels."""


def unpack(bundle: VerifiedBundle, directory: str, targets: Sequence[ManifestTarget], progress: Optional[Progress] = None) -> Unpacked:
    """Write ``wheels/``, ``targets/<target>/`` and README.txt for ``targets`` to ``directory``, which must not exist or be empty.

    Raises AlreadyThere, BundleRefused, EnvironmentFailure; then ``directory`` is as it was.
    """
    path = destination(directory)
    with staging(os.path.dirname(path)) as scratch:
        tree = os.path.join(scratch, "tree")
        wheels = extract(bundle, tree, scratch, targets, progress)
        sync_tree(tree)
        publish(tree, path)
    return Unpacked(path, tuple(target.name for target in targets), len(wheels), sum(wheel.size for wheel in wheels))


def extract(
    bundle: VerifiedBundle, tree: str, scratch: str, targets: Sequence[ManifestTarget], progress: Optional[Progress] = None
) -> Tuple[ManifestDistribution, ...]:
    """Make the directory ``tree`` and prove what is in it; ``scratch`` is a private directory for what lies between.

    Returns the distributions whose wheels are there.
    """
    extraction = _Extraction(bundle, tree, scratch, targets, progress or NoProgress())
    extraction.read_frames()
    extraction.finish_wheels()
    return extraction.distributions


def distributions_for(manifest: Manifest, targets: Sequence[ManifestTarget]) -> Tuple[ManifestDistribution, ...]:
    """What ``targets`` install, and the pip that installs it."""
    names = {target.name for target in targets}
    pips = {target.pip for target in targets}
    return tuple(each for each in manifest.distributions if names & set(each.targets) or each.filename in pips)


class _Stopped(Exception):
    """Another thread, or the user, ended the run."""


class _Extraction:
    """One run: read the frames once, then finish every wheel on all cores."""

    def __init__(self, bundle: VerifiedBundle, tree: str, scratch: str, targets: Sequence[ManifestTarget], progress: Progress) -> None:
        self.distributions = distributions_for(bundle.manifest, targets)
        self._bundle = bundle
        self._manifest = bundle.manifest
        self._tree = tree
        self._scratch = scratch
        self._progress = progress
        self._stop = threading.Event()
        self._files = _files_for(bundle.manifest, targets)
        self._excused = {each.filename: each.problems for each in bundle.manifest.excused}
        self._pool = PoolSpool(pool_places(bundle.manifest), os.path.join(scratch, "pool"))
        for folder in ["wheels"] + ["targets/" + target.name for target in targets]:
            os.makedirs(self._in_tree(folder), exist_ok=True)
        os.mkdir(os.path.join(scratch, "skeletons"))

    def read_frames(self) -> None:
        """Decompress each frame that is needed, once, and write what is needed of it."""
        decoder = self._decoder()
        first = frames_with(self._manifest, self._first_entries())
        with self._progress.step("decompressing", total=self._tar_size(first), unit="B") as step:
            for index in first:
                self._read_frame(decoder, index, step.advance)
        self._check_files()
        missing = self._missing_pool()
        require_space(self._scratch, sum(each.size for each in self.distributions) + self._pool.size_of(missing))
        second = frames_with(self._manifest, missing)
        with self._progress.step("decompressing", total=self._tar_size(second), unit="B") as step:
            for index in second:
                self._read_frame(decoder, index, step.advance)

    def finish_wheels(self) -> None:
        """Rebuild what is not whole yet and prove every wheel, largest first. Raises with the problems of all."""
        work = sorted(self.distributions, key=lambda each: (-each.size, each.filename))
        with self._progress.step("rebuilding wheels", total=sum(each.size for each in work), unit="B") as step:
            problems = _in_threads(lambda each: self._finish_wheel(each, step.advance), work, self._stop)
        if problems:
            raise _refusal(problems)

    def _decoder(self) -> Decoder:
        folder = os.path.join(self._scratch, "decoder")
        os.mkdir(folder, 0o700)
        return choose_decoder(self._bundle.control.get(DECODERS_MEMBER, b""), folder)

    def _first_entries(self) -> Set[str]:
        """What is known to be needed before any skeleton was read."""
        entry = wheel_entry if self._manifest.mode == PLAIN else skeleton_entry
        return set(self._files) | {entry(each.filename) for each in self.distributions}

    def _missing_pool(self) -> Set[str]:
        if self._manifest.mode == PLAIN:
            return set()
        missing: Set[str] = set()
        for each in self.distributions:
            missing |= self._pool.missing(decode(self._skeleton(each)))
        return missing

    def _read_frame(self, decoder: Decoder, index: int, advance: Callable[[int], None]) -> None:
        wanted = self._first_entries()
        with closing(read_entries(self._bundle, index, decoder)) as entries:
            for path, size, contents in entries:
                if path.startswith(POOL):
                    self._pool.add(path, contents)
                elif path in wanted:
                    _write_new(self._place(path), contents)
                advance(size)

    def _place(self, path: str) -> str:
        """Where an entry that is no pool entry is written."""
        return os.path.join(self._scratch, *path.split("/")) if path.startswith(SKELETONS) else self._in_tree(path)

    def _in_tree(self, path: str) -> str:
        return os.path.join(self._tree, *path.split("/"))

    def _tar_size(self, frames: Iterable[int]) -> int:
        return sum(self._manifest.frames[index].tar_size for index in frames)

    def _check_files(self) -> None:
        """Check 7 for what is no distribution."""
        problems = []
        for path, (size, sha256) in sorted(self._files.items()):
            if _measure(self._in_tree(path), _nothing) != (size, sha256):
                problems.append("%s: size or SHA-256 is not what the manifest says." % path)
        if problems:
            raise _refusal(problems)

    def _skeleton(self, distribution: ManifestDistribution) -> bytes:
        with open(os.path.join(self._scratch, "skeletons", distribution.filename), "rb") as file:
            return file.read()

    def _finish_wheel(self, distribution: ManifestDistribution, advance: Callable[[int], None]) -> List[str]:
        """Make one wheel whole and prove it (checks 7 and 8); its problems, each with its name."""
        path = self._in_tree(wheel_entry(distribution.filename))
        problems = self._content_problems(distribution, path)
        if not problems:
            with open(path, "rb") as file:
                problems = _inexcusable(wheel_problems(file, distribution.filename), self._excused.get(distribution.filename))
        advance(distribution.size)
        return ["%s: %s" % (distribution.filename, problem) for problem in problems]

    def _content_problems(self, distribution: ManifestDistribution, path: str) -> List[str]:
        """Check 7 for one wheel, after rebuilding it where the bundle is dense."""
        if self._manifest.mode == PLAIN:
            return self._digest_problems(distribution, path)
        try:
            self._rebuild(distribution, path)
            problems = self._digest_problems(distribution, path)
        except BundleRefused as refusal:
            problems = list(refusal.problems)
        if problems and not zlib_is_stock():  # a foreign zlib may also compress worse, and outgrow the wheel
            raise _foreign_zlib(distribution)
        return problems

    def _digest_problems(self, distribution: ManifestDistribution, path: str) -> List[str]:
        if _measure(path, self._between) == (distribution.size, distribution.sha256):
            return []
        return ["size or SHA-256 is not what the manifest says."]

    def _rebuild(self, distribution: ManifestDistribution, path: str) -> None:
        with open(self._pool.path, "ab"):  # there is no pool where no wheel needs one
            pass
        with open(self._pool.path, "rb") as spool, open(path, "xb") as out:
            rebuild(decode(self._skeleton(distribution)), self._pool.reader(spool, self._between), out, distribution.size)

    def _between(self) -> None:
        if self._stop.is_set():
            raise _Stopped


def _inexcusable(problems: List[str], excused: Optional[Tuple[str, ...]]) -> List[str]:
    """Those of a wheel's problems that its packer did not sign for."""
    return [problem for problem in problems if problem not in (excused or ())]


def _files_for(manifest: Manifest, targets: Sequence[ManifestTarget]) -> Dict[str, Tuple[int, str]]:
    """Path → size and SHA-256 of the other files that ``targets`` need."""
    wanted = {README} | {lock_entry(target.name, name) for target in targets for name in LOCK_FILES}
    return {each.path: (each.size, each.sha256) for each in manifest.files if each.path in wanted}


def _in_threads(
    work: Callable[[ManifestDistribution], List[str]], items: Sequence[ManifestDistribution], stop: threading.Event
) -> List[str]:
    """The problems that ``work`` finds, on all cores. When one raises, or the user interrupts, the others end at their next piece."""
    with ThreadPoolExecutor(max_workers=_cores()) as executor:
        futures = [executor.submit(work, item) for item in items]
        try:
            return [problem for future in futures for problem in future.result()]
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _write_new(path: str, contents: Iterable[bytes]) -> None:
    with open(path, "xb") as file:
        for piece in contents:
            file.write(piece)


def _measure(path: str, between: Callable[[], None]) -> Tuple[int, str]:
    """Size and SHA-256 of the file at ``path``."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            between()
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def _nothing() -> None:
    pass


def _refusal(problems: Sequence[str]) -> WheelhouseError:
    return BundleRefused(
        *problems, hint="Nothing was written. The signature holds, so the bundle was packed like this: ask its sender to pack it again."
    )


def _foreign_zlib(distribution: ManifestDistribution) -> WheelhouseError:
    return EnvironmentFailure(
        "%s cannot be rebuilt here: the zlib of this Python is not stock zlib (zlib-ng or another replacement), "
        "so it compresses to other bytes than the signed ones." % distribution.filename,
        hint="Nothing was written. Run this under a Python with stock zlib, or ask the sender for a bundle made with --plain.",
    )
