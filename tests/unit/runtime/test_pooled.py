"""A wheel that was rebuilt is judged by what it was made of, as if all of it were inflated again."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.contents import held
from tests.support.frames import machine_code
from tests.support.malformed_wheels import MALFORMED
from tests.support.wheels import make_wheel
from tests.support.zips import STORED, ZipMember, deflated, flushed_halfway, write_zip
from wheelhouse_builder.pack.members import Anatomy, take_apart
from wheelhouse_builder.pack.x86 import filtered
from wheelhouse_builder.runtime import ziparchive
from wheelhouse_builder.runtime.pooled import RebuiltArchive
from wheelhouse_builder.runtime.skeleton import Skeleton, rebuild
from wheelhouse_builder.runtime.wheel import archive_problems, wheel_problems
from wheelhouse_builder.runtime.ziparchive import ZipArchive, ZipRefused

NAME = "demo-1.0-py3-none-any.whl"
TEXT = b"".join(b"line %d\n" % (number * number % 977) for number in range(4000))


def parts(path: Path) -> tuple[Skeleton, bytes] | None:
    """The skeleton and its pool, with the machine code filtered and the digests left out; None: it is carried whole."""
    anatomy: Anatomy = take_apart(held(path), lambda _: None, thorough=True)
    contents = {part.content.digest: part.content for part in anatomy.parts}
    pool, starts = b"", {}
    for digest, content in contents.items():
        starts[digest] = len(pool)
        pool += b"".join(filtered(content.source.pieces()) if content.x86 else content.source.pieces())
    return None if anatomy.whole else (anatomy.skeleton(starts, {digest for digest, each in contents.items() if each.x86}), pool)


def archive_of(path: Path) -> RebuiltArchive:
    found = parts(path)
    assert found is not None
    skeleton, pool = found

    def read(start: int, length: int) -> Iterator[bytes]:
        yield from (pool[at : min(at + 1000, start + length)] for at in range(start, start + length, 1000))

    rebuild(skeleton, read, out := io.BytesIO())
    assert out.getvalue() == path.read_bytes()
    return RebuiltArchive(out, skeleton, read)


def verdict(path: Path, filename: str) -> list[str]:
    try:
        return archive_problems(archive_of(path), filename)
    except ZipRefused as error:
        return [str(error)]


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    members = [
        ZipMember(name="demo/usual.py", content=TEXT, data=deflated(TEXT)),
        ZipMember(name="demo/stored.py", content=TEXT, data=TEXT, method=STORED),
        ZipMember(name="demo/odd.py", content=TEXT, data=flushed_halfway(TEXT)),
        ZipMember(name="demo/calls.so", content=machine_code(), data=deflated(machine_code())),
        ZipMember(name="demo/empty.py", content=b"", data=deflated(b"")),
    ]
    return write_zip(tmp_path / NAME, members)


def test_each_member_holds_what_the_file_says(wheel: Path) -> None:
    archive = archive_of(wheel)
    with wheel.open("rb") as file:
        plain = ZipArchive(file)
        assert {each: b"".join(archive.contents(each)) for each in archive.members} == {
            each: b"".join(plain.contents(each)) for each in plain.members
        }


def test_what_was_deflated_here_is_not_inflated(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, real = archive_of(wheel), ziparchive._inflated
    streams: list[Iterable[bytes]] = []

    def inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
        streams.append(pieces)
        return real(pieces)

    monkeypatch.setattr(ziparchive, "_inflated", inflated)
    for member in archive.members:
        assert sum(map(len, archive.contents(member))) == member.size
    assert len(streams) == 2, "the verbatim stream, and the one of filtered code"


def test_what_the_headers_do_not_say_is_refused(wheel: Path) -> None:
    archive = archive_of(wheel)
    member = archive.members[0]
    for wrong in (member._replace(crc=member.crc ^ 1), member._replace(size=member.size + 1), member._replace(size=member.size - 1)):
        with pytest.raises(ZipRefused):
            list(archive.contents(wrong))


def test_what_was_deflated_and_is_called_stored_is_read_as_it_is_stored(tmp_path: Path) -> None:
    """Sizes alone do not tell: this content is as long as its deflate stream."""
    content = next(text for text in (b"ab" * count for count in range(1, 9)) if len(deflated(text)) == len(text))
    found = parts(write_zip(tmp_path / NAME, [ZipMember(name="demo/equal.py", content=content, data=deflated(content))]))
    assert found is not None
    skeleton, pool = found
    lying = skeleton._replace(headers=(skeleton.headers[0]._replace(compression=STORED),))

    def read(start: int, length: int) -> Iterator[bytes]:
        yield pool[start : start + length]

    rebuild(lying, read, out := io.BytesIO())
    archive = RebuiltArchive(out, lying, read)
    assert archive.problems == []
    with pytest.raises(ZipRefused, match="CRC-32"):
        list(archive.contents(archive.members[0]))


def test_the_verdict_is_that_of_the_file(tmp_path: Path) -> None:
    path, told = tmp_path / NAME, 0
    for name, malformed in MALFORMED.items():
        path.write_bytes(malformed.build())
        if parts(path) is not None:  # else it is carried whole, and looked at as it is
            told += 1
            problems = wheel_problems(io.BytesIO(path.read_bytes()), malformed.filename)
            assert malformed.words in " ".join(problems)
            assert verdict(path, malformed.filename) == problems, name
    assert told > 50


def test_a_good_wheel_is_good(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo", "1.0", files={"demo/__init__.py": TEXT, "demo/calls.so": machine_code()})
    assert verdict(path, path.name) == []
