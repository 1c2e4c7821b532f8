"""The payload: from contents to compressed frames, on all cores, with nothing but one piece of each wheel in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from wheelhouse_builder.errors import EnvironmentFailure
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.pack.container import append
from wheelhouse_builder.pack.contents import Contents
from wheelhouse_builder.pack.crew import Crew
from wheelhouse_builder.pack.delta import Base, reuse
from wheelhouse_builder.pack.document import Written
from wheelhouse_builder.pack.effort import Effort
from wheelhouse_builder.pack.frames import Frame, compress, dense_frames, plain_frames
from wheelhouse_builder.pack.members import Anatomy, Shared, take_apart, whole_content
from wheelhouse_builder.pack.pool import Pool, lay_out, size_of
from wheelhouse_builder.pack.remembered import Memory
from wheelhouse_builder.pack.streams import Streams
from wheelhouse_builder.pack.x86 import filtered_if_smaller
from wheelhouse_builder.reporter import Reporter
from wheelhouse_builder.runtime import skeleton
from wheelhouse_builder.runtime.fingerprint import zlib_is_stock
from wheelhouse_builder.runtime.layout import root_directory, skeleton_entry
from wheelhouse_builder.runtime.manifest import ManifestBase


@dataclass(frozen=True, kw_only=True, slots=True)
class Workshop:
    """Where and how the work is done."""

    scratch: Path
    """A private directory on the destination's disk."""
    crew: Crew
    effort: Effort
    reporter: Reporter
    memory: Memory | None = None
    """What was learned of wheels before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Payload:
    """What travels, and what is taken from where it goes."""

    frames: tuple[Frame, ...]
    base: ManifestBase | None
    """None: nothing is taken, the bundle is whole in itself."""


def dense_payload(contents: Contents, files: Mapping[str, bytes], shop: Workshop, base: Base | None = None) -> Payload:
    """Frames with each content of the wheels once, and ``files``; without what ``base`` holds.

    Raises DistributionError, EnvironmentFailure, OSError.
    """
    if not zlib_is_stock():
        raise EnvironmentFailure(
            "this Python's zlib is not the usual one, so what it deflates is not what the targets will",
            hint="pack with a Python that has stock zlib, or with --plain",
        )
    apart = _take_all_apart(_travelling(contents, base), shop)
    anatomies = [each for each in apart if not each.whole]
    whole = [each.parts[0].content for each in apart if each.whole]
    parts = [(anatomy.wheel.project, part.content) for anatomy in anatomies for part in anatomy.parts]
    held = reuse(base, contents, (content.digest for _, content in parts)) if base else None
    before = held.starts if held else {}
    pool = lay_out([part for part in parts if part[1].digest not in before], share_below=shop.effort.share_below)
    if shop.effort.thorough:
        pool = _filtered(pool, shop)
    offset = held.pool_size if held else 0
    starts = {**{digest: offset + start for digest, start in pool.starts.items()}, **before}
    filtered = pool.filtered
    skeletons = {skeleton_entry(each.wheel.filename): skeleton.encode(each.skeleton(starts, filtered)) for each in anatomies}
    root = root_directory(contents.name, contents.version)
    frames = dense_frames(root, {**files, **skeletons}, pool.groups, whole, _grouped(contents, shop))
    return Payload(frames=frames, base=held.base if held else None)


def plain_payload(contents: Contents, files: Mapping[str, bytes], shop: Workshop, base: Base | None = None) -> Payload:
    """Frames with the wheels as they are, and ``files``; without what ``base`` holds. Raises OSError."""
    wheels = _travelling(contents, base)
    found = [(wheel.project, whole_content(wheel, _unheard)) for wheel in wheels]
    groups = lay_out(found, share_below=shop.effort.share_below).groups
    frames = plain_frames(root_directory(contents.name, contents.version), files, groups, _grouped(contents, shop))
    return Payload(frames=frames, base=reuse(base, contents, ()).base if base else None)


def _grouped(contents: Contents, shop: Workshop) -> list[dict[str, bytes]]:
    """Bytecode, such that what was compiled of one project for several targets stands together."""
    groups: list[dict[str, bytes]] = []
    for path, data in sorted(contents.bytecode.items(), key=lambda item: (item[0].rpartition("/")[2], item[0])):
        if not groups or sum(map(len, groups[-1].values())) >= shop.effort.share_below:
            groups.append({})
        groups[-1][path] = data
    return groups


def write_frames(out: BinaryIO, frames: Sequence[Frame], shop: Workshop) -> tuple[Written, ...]:
    """Compress ``frames`` and write them to ``out`` in order. Raises DistributionError, OSError."""
    numbered = list(enumerate(frames))
    with shop.reporter.step("compressing", total=sum(frame.tar_size for frame in frames), unit="B") as step:
        pulse = shop.crew.pulse(step)

        def work(item: tuple[int, Frame]) -> Path:
            number, frame = item
            path = shop.scratch / f"frame-{number}"
            compress(frame, shop.effort, path, pulse)
            return path

        done = shop.crew.each(work, numbered, weight=lambda item: item[1].tar_size)
        return tuple(append(out, path, frame) for path, frame in zip(done, frames, strict=True))


def _take_all_apart(wheels: Sequence[Wheel], shop: Workshop) -> list[Anatomy]:
    with shop.reporter.step("taking wheels apart", total=sum(wheel.size for wheel in wheels), unit="B") as step:
        pulse, known, shared = shop.crew.pulse(step), Streams(), Shared()

        def take(wheel: Wheel) -> Anatomy:
            return shared.of(take_apart(wheel, pulse, known, shop.memory, thorough=shop.effort.thorough))

        return list(shop.crew.each(take, wheels, weight=lambda wheel: wheel.size))


def _filtered(pool: Pool, shop: Workshop) -> Pool:
    """The pool, in which the machine code of some groups is filtered."""
    code = [sum(content.size for content in group if content.x86) for group in pool.groups]
    with shop.reporter.step("looking at machine code", total=2 * sum(code), unit="B") as step:
        pulse = shop.crew.pulse(step)
        groups = shop.crew.each(lambda group: filtered_if_smaller(group, pulse), pool.groups, weight=size_of)
        return replace(pool, groups=tuple(groups))


def _travelling(contents: Contents, base: Base | None) -> list[Wheel]:
    """The wheels that ``base`` does not hold."""
    taken = base.taken(contents) if base else frozenset()
    return [each.wheel for each in contents.distributions() if each.wheel.filename not in taken]


def _unheard(amount: int) -> None:
    """A pulse that nobody listens to."""
