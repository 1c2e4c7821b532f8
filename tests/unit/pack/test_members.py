"""Whatever a wheel is made of, it is taken apart such that it comes together bit for bit."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.contents import held
from tests.support.wheels import make_wheel
from tests.support.zips import DESCRIPTOR, ENCRYPTED, STORED, ZipMember, deflated, flushed_halfway, write_zip, write_zip_with_overlap
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.pack.crew import Crew, Stopped
from wheelhouse_builder.pack.members import Anatomy, Shared, take_apart, whole_content
from wheelhouse_builder.pack.streams import is_x86
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.runtime import skeleton
from wheelhouse_builder.runtime.skeleton import MEMORY_8, MEMORY_9, VERBATIM

TEXT = b"".join(b"line %d of a text that deflates well\n" % (number * number % 977) for number in range(400))
LONG = random.Random(1).randbytes(200_000) + b"".join(b"%d " % number for number in range(60_000))
NAME = "demo-1.0-py3-none-any.whl"


def text_member(data: bytes, **changes: object) -> ZipMember:
    return ZipMember(**{"name": "demo/text.py", "content": TEXT, "data": data} | changes)  # type: ignore[arg-type]


def quietly(_amount: int) -> None:
    pass


def taken_apart(path: Path) -> Anatomy:
    return take_apart(held(path), quietly)


def together_again(anatomy: Anatomy) -> bytes:
    """The wheel from a pool of its own, through the encoded skeleton."""
    contents = {part.content.digest: part.content for part in anatomy.parts}
    pool, starts = b"", {}
    for digest, content in contents.items():
        starts[digest] = len(pool)
        pool += b"".join(content.source.pieces())
    if anatomy.whole:
        return pool
    out = io.BytesIO()
    coded = skeleton.encode(anatomy.skeleton(starts))
    skeleton.rebuild(skeleton.decode(coded), lambda start, length: [pool[start : start + length]], out)
    return out.getvalue()


@pytest.mark.parametrize("memory", [8, 9])
@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_and_memory_of_zlib_is_found(tmp_path: Path, level: int, memory: int) -> None:
    path = write_zip(tmp_path / NAME, [text_member(deflated(TEXT, level=level, memory=memory))])
    anatomy = taken_apart(path)
    assert anatomy.parts[0].content.digest == hashlib.sha256(TEXT).digest()
    assert anatomy.parts[0].method & (MEMORY_8 | MEMORY_9)
    assert together_again(anatomy) == path.read_bytes()


def test_a_usual_wheel_has_every_member_raw(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo", "1.0", files={"demo/__init__.py": TEXT, "demo/empty.py": b""})
    anatomy = taken_apart(path)
    assert {part.method for part in anatomy.parts} == {MEMORY_8 + 6}
    assert together_again(anatomy) == path.read_bytes()


def no_zip(path: Path) -> Path:
    path.write_bytes(b"not a wheel at all")
    return path


UNUSUAL: dict[str, Callable[[Path], Path]] = {
    "stored": lambda path: write_zip(path, [text_member(TEXT, method=STORED)]),
    "a directory": lambda path: write_zip(
        path, [ZipMember(name="demo/", content=b"", data=b"", method=STORED), text_member(deflated(TEXT))]
    ),
    "an empty deflated member": lambda path: write_zip(path, [ZipMember(name="demo/a", content=b"", data=deflated(b""))]),
    "data descriptors": lambda path: write_zip(path, [text_member(deflated(TEXT), flags=DESCRIPTOR)] * 2),
    "a stream of another deflater": lambda path: write_zip(path, [text_member(deflated(TEXT, strategy=zlib.Z_HUFFMAN_ONLY))]),
    "a stream that ends early": lambda path: write_zip(path, [text_member(deflated(TEXT)[:-4])]),
    "bytes after a stream": lambda path: write_zip(path, [text_member(deflated(TEXT) + b"more")]),
    "no stream at all": lambda path: write_zip(path, [text_member(b"\xff" * 64)]),
    "an unknown method": lambda path: write_zip(path, [text_member(b"\x01" * 64, method=93)]),
    "encrypted": lambda path: write_zip(path, [text_member(b"\x01" * 64, method=STORED, flags=ENCRYPTED)]),
    "a wrong checksum": lambda path: write_zip(path, [text_member(deflated(TEXT), content=TEXT[::-1])]),
    "a wrong checksum over a verbatim stream": lambda path: write_zip(
        path, [text_member(deflated(TEXT, strategy=zlib.Z_FIXED), content=TEXT[::-1])]
    ),
    "extra fields": lambda path: write_zip(path, [text_member(deflated(TEXT), extra=b"\x99\x99\x02\x00ab")]),
    "bytes before the archive": lambda path: write_zip(path, [text_member(deflated(TEXT))], before=b"#!/bin/sh\n"),
    "a comment": lambda path: write_zip(path, [text_member(deflated(TEXT))], comment=b"hello"),
    "another order in the directory": lambda path: write_zip(
        path, [text_member(deflated(TEXT)), ZipMember(name="b", content=b"b", data=b"b", method=STORED)], directory_order=[1, 0]
    ),
    "members that overlap": lambda path: write_zip_with_overlap(path, text_member(deflated(TEXT))),
    "no ZIP at all": no_zip,
    "a difference far inside": lambda path: write_zip(path, [ZipMember(name="demo/long", content=LONG, data=flushed_halfway(LONG))]),
    "no member": lambda path: write_zip(path, []),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_an_unusual_archive_comes_together_bit_for_bit(tmp_path: Path, kind: str) -> None:
    path = UNUSUAL[kind](tmp_path / NAME)
    assert together_again(taken_apart(path)) == path.read_bytes()


def test_zip64_fields_and_streamed_archives_come_together(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("demo/a.py", "w", force_zip64=True) as member:
        member.write(TEXT)
    assert together_again(taken_apart(path)) == path.read_bytes()


def test_a_stream_that_nothing_makes_again_is_carried_as_it_is(tmp_path: Path) -> None:
    data = flushed_halfway(LONG)
    path = write_zip(tmp_path / NAME, [ZipMember(name="demo/long", content=LONG, data=data), text_member(deflated(TEXT))])
    verbatim, usual = taken_apart(path).parts
    assert (verbatim.method, verbatim.content.digest) == (VERBATIM, hashlib.sha256(data).digest())
    assert usual.method == MEMORY_8 + 6


WHOLE = {
    "data descriptors",
    "a wrong checksum",
    "bytes before the archive",
    "another order in the directory",
    "members that overlap",
    "no ZIP at all",
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_what_no_skeleton_can_tell_is_carried_whole(tmp_path: Path, kind: str) -> None:
    path = UNUSUAL[kind](tmp_path / NAME)
    anatomy = taken_apart(path)
    assert anatomy.whole is (kind in WHOLE)
    if kind in WHOLE:
        assert [(part.content.size, part.content.path) for part in anatomy.parts] == [(path.stat().st_size, NAME)]


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[:40] + b"\x00" + data[41:], lambda data: data + b"x"])
def test_a_file_that_is_no_longer_what_was_fetched_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = make_wheel(tmp_path, "demo", "1.0")
    wheel = held(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DistributionError, match="no longer") as caught:
        take_apart(wheel, quietly)
    assert str(path) in caught.value.hint
    with pytest.raises(DistributionError, match="no longer"):
        whole_content(wheel, quietly)


def test_machine_code_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo", "1.0", files={"demo/a.so": b"\x7fELF" + TEXT, "demo/b.pyd": b"MZ" + TEXT, "demo/c.so": TEXT})
    found = {part.content.path: part.content.compiled for part in taken_apart(path).parts if part.content.path.startswith("demo/")}
    assert found == {"demo/a.so": True, "demo/b.pyd": True, "demo/c.so": False}


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"\x7fELF".ljust(18) + b"\x3e\0", True),
        (b"\x7fELF".ljust(18) + b"\xb7\0", False),
        (b"MZ".ljust(60) + b"\x40\0\0\0PE\0\0\x64\x86", True),
        (b"MZ".ljust(60) + b"\x40\0\0\0PE\0\0\x64\xaa", False),
        (b"\xcf\xfa\xed\xfe\x07\0\0\x01", True),
        (b"\xcf\xfa\xed\xfe\x0c\0\0\x01", False),
        (b"MZ", False),
        (b"\x7fELF", False),
        (TEXT, False),
    ],
)
def test_code_for_x86_is_known_by_its_header(head: bytes, found: bool) -> None:
    assert is_x86(head) is found


def test_work_that_is_no_longer_wanted_stops(tmp_path: Path) -> None:
    wheel = held(make_wheel(tmp_path, "demo", "1.0"))
    with Crew(1) as crew, Silent().step("") as step:
        pulse = crew.pulse(step)
    with pytest.raises(Stopped):
        take_apart(wheel, pulse)


def test_what_wheels_have_in_common_is_held_once_and_makes_the_same_of_each(tmp_path: Path) -> None:
    common = {"demo/__init__.py": "ANSWER = 42\n", "demo/data.txt": "demo\n" * 1000}
    anatomies = []
    for tag in ("cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-win_amd64"):
        path = make_wheel(tmp_path, "demo", "1.0", tag=tag, files={**common, "demo/which.txt": tag})
        anatomies.append(take_apart(held(path), quietly))
    shared = Shared()
    first, second = map(shared.of, anatomies)
    assert [first.headers, second.headers] == [anatomy.headers for anatomy in anatomies]
    assert b"".join(second.parts[1].content.source.pieces()) == b"".join(anatomies[1].parts[1].content.source.pieces())
    same = [one is other for one, other in zip(first.parts, second.parts, strict=True)]
    assert same == [one.content.digest == other.content.digest for one, other in zip(first.parts, second.parts, strict=True)]
    assert 2 <= sum(same) < len(same)


def test_one_content_in_two_places_is_no_common_part(tmp_path: Path) -> None:
    """The place of a content orders the pool."""
    path = make_wheel(tmp_path, "demo", "1.0", files={"demo/a.txt": "the same", "demo/b.txt": "the same"})
    told = Shared().of(take_apart(held(path), quietly))
    assert {"demo/a.txt", "demo/b.txt"} <= {part.content.path for part in told.parts}
