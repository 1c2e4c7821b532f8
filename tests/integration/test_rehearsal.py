"""``wheelhouse bundle --rehearse run``: what is told, and that a failure leaves no bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.index import LocalIndex
from tests.support.pip import bundled_pip
from tests.support.wheels import make_wheel
from tests.support.workplace import WINDOWS, this_target, workplace


def test_targets_that_run_here_are_run_and_the_others_named(tmp_path: Path) -> None:
    shelf = tmp_path / "index"
    make_wheel(shelf, "acme", "1.0", files={"acme.py": ""})
    make_wheel(shelf, "broken", "1.0", files={"broken.py": "raise OSError('no such device')"})
    shutil.copy(bundled_pip(), shelf)
    with LocalIndex(shelf) as index:
        place = workplace(tmp_path / "work", index)
        place.write_spec(targets=[this_target(), WINDOWS])
        here, windows = place.run("bundle", "-o", "acme.whb", "--rehearse", "run", "--json").document["rehearsed"]
        assert (here["modules"], windows["python"]) == (1, None)
        place.write_spec(targets=[this_target()], requirements=["broken"])
        told = place.run("bundle", "-o", "broken.whb", "--rehearse", "run", expect=8).stderr
    assert f"{this_target()}: broken: broken cannot be imported: OSError: no such device" in told
    assert not (place.folder / "broken.whb").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rehearse", "twice"), "it is one of paper, run"),
        (("--root", f"{WINDOWS}=."), "--root is for --rehearse run"),
        (("--rehearse", "run", "--root", f"{WINDOWS}=nowhere"), "there is no such folder"),
        (("--rehearse", "run", "--root", "cp39-win32=."), "cp39-win32 is no target of the spec"),
    ],
)
def test_what_cannot_be_is_told_before_any_work(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with LocalIndex(tmp_path) as index:
        place = workplace(tmp_path / "work", index)
        assert words in place.run("bundle", *options, expect=2).stderr
        assert index.requests == []
