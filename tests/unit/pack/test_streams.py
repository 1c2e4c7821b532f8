"""No deflate stream is looked at twice: not in one run, and not in the next."""

from __future__ import annotations

import random
import threading
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.support.bundles import OURS
from tests.support.contents import held, make_contents
from tests.support.wheels import make_wheel
from tests.support.zips import ZipMember, deflated, write_zip
from wheelhouse_builder.pack import Memory, pack
from wheelhouse_builder.pack.members import Anatomy, take_apart
from wheelhouse_builder.pack.streams import OTHERS, TRIED, USUAL, Data, Source, Streams
from wheelhouse_builder.runtime import skeleton
from wheelhouse_builder.runtime.skeleton import VERBATIM

TEXT = b"".join(b"line %d of a text that deflates well\n" % (number * number % 977) for number in range(4000))
SHARED = {"demo/text.py": TEXT, "demo/code.so": b"\x7fELF".ljust(18) + b"\x3e\0" + TEXT, "demo/empty.py": b""}
LONG = random.Random(0).randbytes(500_000).hex().encode()
NAME = "demo-1.0-py3-none-any.whl"


def quietly(_amount: int) -> None:
    pass


@dataclass(frozen=True)
class Tried:
    """What zlib was asked to deflate."""

    methods: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Bytes that it was given, until nobody wanted more."""


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Tried:
    found, real = Tried(), skeleton.deflate

    def deflate(method: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
        found.methods.append(method)
        found.sizes.append(0)
        return real(method, counted(pieces))

    def counted(pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            found.sizes[-1] += len(piece)
            yield piece

    monkeypatch.setattr(skeleton, "deflate", deflate)
    return found


def odd_wheel(path: Path) -> Path:
    """One member is deflated as nothing of zlib's levels does it."""
    members = [("demo/odd.py", deflated(LONG, strategy=zlib.Z_HUFFMAN_ONLY)), ("demo/usual.py", deflated(LONG))]
    return write_zip(path, [ZipMember(name=name, content=LONG, data=data) for name, data in members])


def test_a_stream_that_stands_in_two_wheels_is_tried_once(tmp_path: Path, tried: Tried) -> None:
    known, paths = Streams(), [make_wheel(tmp_path, "demo", version, files=SHARED) for version in ("1.0", "2.0")]
    first, second = (take_apart(held(path), quietly, known) for path in paths)
    assert len(tried.methods) == len({part.content.digest for each in (first, second) for part in each.parts})
    assert second == take_apart(held(paths[1]), quietly)
    (code,) = (part.content for part in second.parts if part.content.path == "demo/code.so")
    assert (code.x86, code.compiled, code.source.path) == (True, True, paths[1])


def test_threads_share_what_one_of_them_is_looking_at(tmp_path: Path, tried: Tried) -> None:
    path = write_zip(tmp_path / NAME, [ZipMember(name="demo/text.py", content=TEXT * 20, data=deflated(TEXT * 20))])
    known, both = Streams(), threading.Barrier(2)

    def take() -> Anatomy:
        both.wait()
        return take_apart(held(path), quietly, known)

    with ThreadPoolExecutor(2) as threads:
        first, second = (each.result() for each in [threads.submit(take), threads.submit(take)])
    assert first == second
    assert tried.methods == [USUAL]


def test_who_waits_for_a_stream_hears_that_it_could_not_be_read(tmp_path: Path) -> None:
    source = Source(path=tmp_path / "file", offset=0, length=5)
    known, members = Streams(), [Data(source=source, compression=zipfile.ZIP_DEFLATED, flags=0)]
    source.path.write_bytes(b"12345")
    with pytest.raises(FileNotFoundError):
        known.of(members, lambda _: source.path.unlink(missing_ok=True))
    source.path.write_bytes(b"12345")
    with pytest.raises(FileNotFoundError):
        known.of(members, quietly)


def test_a_method_is_given_up_at_the_first_byte_that_differs(tmp_path: Path, tried: Tried) -> None:
    odd, usual = take_apart(held(odd_wheel(tmp_path / NAME)), quietly).parts
    assert (odd.method, usual.method) == (VERBATIM, USUAL)
    assert tried.methods == [USUAL, *OTHERS, USUAL]
    assert max(tried.sizes[1:-1]) <= 4 * TRIED < len(LONG) == tried.sizes[-1]


@pytest.mark.parametrize("thorough", [False, True])
def test_a_wheel_is_tried_once(tmp_path: Path, tried: Tried, thorough: bool) -> None:
    wheel, memory = held(odd_wheel(tmp_path / NAME)), Memory.of(tmp_path)
    first = take_apart(wheel, quietly, memory=memory, thorough=thorough)
    methods = list(tried.methods)
    assert take_apart(wheel, quietly, memory=memory, thorough=thorough) == first == take_apart(wheel, quietly, thorough=thorough)
    assert tried.methods == methods * 2, "once with the memory, once without"


@pytest.mark.parametrize("spoiled", ['{"found": [7]}', "{", "", "[]"])
def test_a_memory_that_cannot_be_read_is_none(tmp_path: Path, spoiled: str) -> None:
    wheel, memory = held(odd_wheel(tmp_path / NAME)), Memory.of(tmp_path)
    first = take_apart(wheel, quietly, memory=memory)
    (path,) = (tmp_path / "findings").rglob("*.json")
    sound = path.read_text()
    for text in (spoiled, sound.replace("[[1, ", "[[22, ")):
        assert text != sound
        path.write_text(text)
        assert take_apart(wheel, quietly, memory=memory) == first
        assert path.read_text() == sound


@pytest.mark.parametrize("found", [[], [[1]], [[1, "xx", 1, 0, False, False]], {"a": 1}, 7])
def test_what_is_no_finding_about_this_wheel_does_not_count(tmp_path: Path, found: object) -> None:
    wheel, memory = held(odd_wheel(tmp_path / NAME)), Memory.of(tmp_path)
    memory.findings.keep(wheel.sha256, found)
    assert take_apart(wheel, quietly, memory=memory) == take_apart(wheel, quietly)


def test_what_another_version_learned_does_not_count(tmp_path: Path, tried: Tried) -> None:
    wheel, memory = held(odd_wheel(tmp_path / NAME)), Memory.of(tmp_path)
    take_apart(wheel, quietly, memory=replace(memory, findings=replace(memory.findings, by="another")))
    methods = list(tried.methods)
    take_apart(wheel, quietly, memory=memory)
    assert tried.methods == methods * 2


@pytest.mark.parametrize("effort", ["fast", "max"])
def test_the_file_does_not_depend_on_what_is_remembered(tmp_path: Path, effort: str) -> None:
    paths = [make_wheel(tmp_path, "demo", version, files=SHARED) for version in ("1.0", "2.0")]
    contents = make_contents(tmp_path, *paths, odd_wheel(tmp_path / "odd-1.0-py3-none-any.whl"))
    memory, files = Memory.of(tmp_path), []
    for number, known in enumerate([None, memory, memory]):
        pack(contents, tmp_path / f"{number}.whb", signers=[OURS], effort=effort, memory=known)
        files.append((tmp_path / f"{number}.whb").read_bytes())
    assert files[0] == files[1] == files[2]
