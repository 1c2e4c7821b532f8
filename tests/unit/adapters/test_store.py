from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from wheelhouse_builder.adapters.store import Store, default_root, telling
from wheelhouse_builder.errors import DistributionError, EnvironmentFailure

DATA = b"the bytes of a wheel" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def partial_files(store: Store) -> list[Path]:
    return sorted((store.root / "partial").glob("*"))


def test_a_file_is_found_by_its_digest(store: Store) -> None:
    assert store.find(SHA256) is None
    path = store.add(SHA256, [DATA[:10], DATA[10:]], size=len(DATA))
    assert store.find(SHA256) == store.find_sound(SHA256) == path == store.path(SHA256)
    assert path.read_bytes() == DATA
    assert path.relative_to(store.root).parts == ("sha256", SHA256[:2], SHA256)


def test_a_stored_file_is_read_only(store: Store) -> None:
    assert stat.S_IMODE(store.add(SHA256, [DATA]).stat().st_mode) == 0o444


def test_adding_twice_stores_once(store: Store) -> None:
    inode = store.add(SHA256, [DATA]).stat().st_ino
    assert store.add(SHA256, [b"never looked at"]).stat().st_ino == inode


@pytest.mark.parametrize(("pieces", "words"), [([DATA, b"!"], "has 20001 bytes"), ([b"x" * len(DATA)], "has sha256")])
def test_other_bytes_are_refused_and_forgotten(store: Store, pieces: list[bytes], words: str) -> None:
    with pytest.raises(DistributionError, match=words):
        store.add(SHA256, pieces, size=len(DATA))
    assert store.find(SHA256) is None
    assert partial_files(store) == []


def test_an_interrupted_file_is_taken_up_where_it_ended(store: Store) -> None:
    def pieces() -> Iterator[bytes]:
        yield DATA[:123]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.add(SHA256, pieces())
    assert store.find(SHA256) is None
    with store.partial(SHA256) as partial:
        assert partial.size == 123
        partial.write(DATA[123:])
        partial.commit(len(DATA))
    assert store.path(SHA256).read_bytes() == DATA
    assert partial_files(store) == []


def test_a_file_that_rotted_is_noticed_and_thrown_away(store: Store) -> None:
    path = store.add(SHA256, [DATA])
    path.chmod(0o644)
    path.write_bytes(DATA[:-1] + b"!")
    assert Store(store.root).find_sound(SHA256) is None
    assert not path.exists()
    assert store.add(SHA256, [DATA]).read_bytes() == DATA


def test_a_sound_file_is_hashed_once_in_a_run(store: Store) -> None:
    path = store.add(SHA256, [DATA])
    path.unlink()
    path.write_bytes(b"changed while the program runs")
    assert store.find_sound(SHA256) == path
    assert Store(store.root).find_sound(SHA256) is None


def add_slowly(root: str, start: multiprocessing.synchronize.Barrier) -> None:
    start.wait()
    Store(Path(root)).add(SHA256, [DATA[i : i + 100] for i in range(0, len(DATA), 100)], size=len(DATA))


def test_processes_that_add_the_same_file_at_once_agree(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    processes = [context.Process(target=add_slowly, args=(str(store.root), start)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert store.path(SHA256).read_bytes() == DATA
    assert partial_files(store) == []


def test_whoever_waits_for_another_writer_may_give_up(store: Store) -> None:
    class GivenUp(Exception):
        pass

    def give_up() -> None:
        raise GivenUp

    with store.partial(SHA256) as partial:
        partial.write(DATA[:5])
        with pytest.raises(GivenUp), store.partial(SHA256, waiting=give_up):
            pass


def test_a_writer_that_waited_does_not_touch_what_the_first_one_finished(store: Store) -> None:
    first = store.partial(SHA256)
    partial = first.__enter__()

    def finish() -> None:
        partial.write(DATA)
        partial.commit()
        first.__exit__(None, None, None)

    with store.partial(SHA256, waiting=finish) as second:
        assert second.size == 0
        second.write(b"other bytes")
    assert store.path(SHA256).read_bytes() == DATA


def test_a_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(EnvironmentFailure, match="cannot write") as caught:
        Store(tmp_path / "file" / "store").add(SHA256, [DATA])
    assert caught.value.hint


def test_a_full_disk_is_a_sentence_and_a_hint(store: Store) -> None:
    with store.partial(SHA256) as partial, Path("/dev/full").open("wb", buffering=0) as full:
        os.dup2(full.fileno(), partial._descriptor)
        with pytest.raises(EnvironmentFailure, match="No space left on device"):
            partial.write(DATA)


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "full"), (errno.EROFS, "writable"), (errno.EACCES, "writable"), (errno.EIO, "XDG")]
)
def test_what_the_operating_system_says_becomes_a_hint(number: int, words: str) -> None:
    with pytest.raises(EnvironmentFailure) as caught, telling("write", Path("x")):
        raise OSError(number, os.strerror(number))
    assert words in caught.value.hint


def test_the_store_lies_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store().root == default_root() == tmp_path / "wheelhouse"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root().is_relative_to(tmp_path)
