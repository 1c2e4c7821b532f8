"""Installations that are killed, or run out of disk, at each call that changes the file system: a program of its own, for it forks.

``python -m tests.support.faults FOLDER SCENARIO FAULT FIRST STEP`` prints, as JSON, how many points there were and what went wrong at
any of them. FOLDER is made by :func:`lay_out`. A scenario begins with something installed, or nothing, changes that, and knows both states.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.bundles import OURS, write_trust
from tests.support.handmade import bundle_for
from tests.support.struck import KILLED, Fault
from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime import switch
from wheelhouse_builder.runtime.audit import damage
from wheelhouse_builder.runtime.commands import Destination, Manner, run_install
from wheelhouse_builder.runtime.host import this_host
from wheelhouse_builder.runtime.receipt import read_receipt
from wheelhouse_builder.runtime.releasing import run_gc, run_rollback
from wheelhouse_builder.runtime.switch import opened

BY_THEMSELVES = ((switch, "_exchange"), (switch, "_syncfs"))
"""Functions that ask the system for changes by other ways than those of :mod:`os`."""
OLD, NEW = "1.0", "2.0"


def lay_out(folder: Path, pip: Path | None = None) -> None:
    """Two versions of a bundle for this host, and whom they are trusted from; ``pip`` is a true one, or one that is content with all."""
    write_trust(folder, OURS)
    for version in (OLD, NEW):
        main = f"import other\n\n\ndef main():\n    print('demo {version}', other.__version__)\n"
        made = folder / version
        wheels = [
            make_wheel(made, "demo", version, requires=["other>=1"], files={"demo/__init__.py": main}, entry_points={"demo": "demo:main"}),
            make_wheel(made, "other", "1.2"),
        ]
        content = pip or make_wheel(made, "pip", "26.3", files={"pip/__init__.py": "", "pip/__main__.py": ""})
        (folder / f"{version}.whb").write_bytes(bundle_for(this_host(), wheels, content, mode="dense").signed(OURS))


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """A change from one state of ``place`` to another."""

    prepare: Callable[[Path], None]
    change: Callable[[Path], Any]
    environment: str = "place"
    """Where the environment in use is, below the folder."""
    before: str | None
    """The version that is in use before; None: nothing."""
    after: str | None
    shared: bool = False
    """The environment is not ours alone: while it is changed it is neither, until the next run."""
    stepwise: bool = False
    """Nothing exchanges two directories at once: there may be none for a moment, until the next run."""


def _install(version: str, *, engine: str = "direct", **destination: Any) -> Callable[[Path], Any]:
    def change(folder: Path) -> Any:
        given: dict[str, Any] = {key: value if key == "keep" else str(folder / value) for key, value in destination.items()}
        manner = Manner(engine=engine, compile=False, imports=False)
        return run_install(str(folder / f"{version}.whb"), Destination(**given), str(folder / "allowed_signers"), manner)

    return change


def _empty(_folder: Path) -> None:
    pass


def _environment(folder: Path) -> None:
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", folder / "place"], check=True)


def _both(folder: Path) -> None:
    _install(OLD, prefix="place")(folder)
    _install(NEW, prefix="place")(folder)


def _shared(folder: Path) -> None:
    _environment(folder)
    _install(OLD, python="place/bin/python")(folder)


SCENARIOS = {
    "fresh": Scenario(prepare=_empty, change=_install(NEW, venv="place"), before=None, after=NEW),
    "replaced": Scenario(prepare=_install(OLD, venv="place"), change=_install(NEW, venv="place"), before=OLD, after=NEW),
    "replaced-by-two-renames": Scenario(
        prepare=_install(OLD, venv="place"), change=_install(NEW, venv="place"), before=OLD, after=NEW, stepwise=True
    ),
    "first-release": Scenario(prepare=_empty, change=_install(NEW, prefix="place"), environment="place/current", before=None, after=NEW),
    "upgraded": Scenario(
        prepare=_install(OLD, prefix="place"),
        change=_install(NEW, prefix="place", keep=1),
        environment="place/current",
        before=OLD,
        after=NEW,
    ),
    "rolled-back": Scenario(
        prepare=_both,
        change=lambda folder: run_rollback(str(folder / "place"), old_release(folder)),
        environment="place/current",
        before=NEW,
        after=OLD,
    ),
    "collected": Scenario(
        prepare=_both, change=lambda folder: run_gc(str(folder / "place"), 1), environment="place/current", before=NEW, after=NEW
    ),
    "shared": Scenario(prepare=_environment, change=_install(NEW, python="place/bin/python"), before=None, after=NEW, shared=True),
    "shared-upgraded": Scenario(prepare=_shared, change=_install(NEW, python="place/bin/python"), before=OLD, after=NEW, shared=True),
    "by-pip": Scenario(
        prepare=_install(OLD, venv="place", engine="pip"), change=_install(NEW, venv="place", engine="pip"), before=OLD, after=NEW
    ),
}


def old_release(folder: Path) -> str:
    """The name of the release of the old version."""
    for path in (folder / "place" / "releases").iterdir():
        receipt = read_receipt(str(path))
        if receipt and any(each["project"] == "demo" and each["version"] == OLD for each in receipt["distributions"]):
            return path.name
    raise LookupError


# A change in a process of its own


@dataclass(frozen=True, slots=True)
class Ended:
    """How a forked child ended."""

    code: int
    """As a shell has it."""
    said: dict[str, Any]


def forked(work: Callable[[], Any], *, killed_after: float | None = None) -> Ended:
    """Do ``work`` in a child with a session of its own; its report, or its error, comes back. Kill them all after so many seconds."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(ours)
        code, said = 1, {}
        try:
            code, said = 0, {"report": work()}
        except BaseException as error:  # noqa: BLE001 # told to the parent
            said = {"error": type(error).__name__, "trace": traceback.format_exc()}
        os.write(theirs, json.dumps(said).encode()[:60_000])
        os._exit(code)
    os.close(theirs)
    if killed_after is not None:
        time.sleep(killed_after)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    with os.fdopen(ours, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return Ended(KILLED if code == -signal.SIGKILL else code, json.loads(text or b"{}"))


# One point


def strike(folder: Path, scenario: Scenario, attack: Callable[[Callable[[], Any]], Ended]) -> tuple[Ended, list[str]]:
    """Attack the change of ``scenario`` once, in ``folder``, whose place is as it was prepared; all that is wrong afterwards."""
    ended = attack(lambda: scenario.change(folder))
    problems = []
    left = _leftovers(folder)
    if ended.code == 1 and ended.said.get("error") not in ("EnvironmentFailure", "InstallError", "OSError"):
        problems.append(f"ended with {ended.said}")
    if not (scenario.shared and ended.code == KILLED):
        moment = {None} if scenario.stepwise and ended.code == KILLED else set()
        problems += _state_problems(folder, scenario, {scenario.after} | ({scenario.before} | moment if ended.code else set()))
    if ended.code == 1 and left:
        problems.append(f"failed, and left {left}")
    again = forked(lambda: scenario.change(folder))
    if again.code != 0:
        return ended, [*problems, f"the next run failed: {again.said}"]
    told = again.said["report"]["repaired"]
    if any(path.is_dir() and path.name != "releases" for path in left) and not told:
        problems.append(f"the next run says nothing of {left}")
    problems += _state_problems(folder, scenario, {scenario.after})
    problems += [f"the next run left {path}" for path in _leftovers(folder)]
    return ended, problems


def _state_problems(folder: Path, scenario: Scenario, allowed: set[str | None]) -> list[str]:
    """What is wrong with what is in use."""
    root = folder / scenario.environment
    if not root.exists() or (scenario.shared and not (root / "wheelhouse-receipt.json").exists()):
        remains = [str(path) for path in root.rglob("*") if "demo" in path.name] if scenario.shared else []
        return remains if None in allowed else ["there is no environment"]
    real = os.path.realpath(root)
    receipt = read_receipt(real)
    if receipt is None:
        return [f"{root} has no receipt"]
    with opened(real) as environment:
        problems = damage(environment, receipt)
    said = subprocess.run([root / "bin" / "demo"], capture_output=True, encoding="utf-8", check=False)
    if not any(version and said.stdout == f"demo {version} 1.2\n" for version in allowed):
        problems.append(f"demo says {said.stdout}{said.stderr}, not one of {allowed}")
    return problems


def _leftovers(folder: Path) -> list[Path]:
    places = [folder, folder / "place", folder / "place" / "releases"]
    return [path for place in places if place.is_dir() for path in place.iterdir() if path.name.startswith(".wheelhouse-")]


# All of them


@contextlib.contextmanager
def prepared(folder: Path, scenario: Scenario) -> Iterator[Callable[[], None]]:
    """What brings the place into the state in which the scenario begins."""
    kept = folder / "prepared"
    prepare = forked(lambda: scenario.prepare(folder))
    assert prepare.code == 0, prepare.said["trace"]
    place = folder / "place"
    if place.exists():
        place.rename(kept)

    def reset() -> None:
        shutil.rmtree(place, ignore_errors=True)
        for path in folder.glob(".wheelhouse-*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if kept.exists():
            shutil.copytree(kept, place, symlinks=True)

    yield reset
    shutil.rmtree(kept, ignore_errors=True)


def _count(folder: Path, scenario: Scenario) -> int:
    """How many points there are."""

    def counted() -> int:
        fault = Fault("none", 0)
        fault.arm(BY_THEMSELVES)
        scenario.change(folder)
        return fault.count

    done = forked(counted)
    assert done.code == 0, done.said["trace"]
    return int(done.said["report"])


def at_points(folder: Path, scenario: Scenario, what: str, first: int, step: int) -> dict[str, Any]:
    """Strike at each ``step``-th point from ``first`` on."""
    wrong: dict[str, list[str]] = {}
    struck = 0
    with prepared(folder, scenario) as reset:
        reset()
        points = _count(folder, scenario)
        for at in range(first, points + 1, step):
            reset()

            def attack(work: Callable[[], Any], at: int = at) -> Ended:
                def armed() -> Any:
                    Fault(what, at).arm(BY_THEMSELVES)
                    return work()

                return forked(armed)

            ended, problems = strike(folder, scenario, attack)
            struck += ended.code != 0
            if problems:
                wrong[str(at)] = problems
    return {"points": points, "tried": len(range(first, points + 1, step)), "struck": struck, "wrong": wrong}


def at_random(folder: Path, scenario: Scenario, times: int) -> dict[str, Any]:
    """Kill the whole process group at random instants."""
    wrong: dict[str, list[str]] = {}
    struck = 0
    chance = random.Random(times)
    with prepared(folder, scenario) as reset:
        reset()
        began = time.monotonic()
        forked(lambda: scenario.change(folder))
        length = (time.monotonic() - began) * 1.2
        for number in range(times):
            reset()
            instant = chance.uniform(0, length)
            ended, problems = strike(folder, scenario, partial(forked, killed_after=instant))
            struck += ended.code != 0
            if problems:
                wrong[f"{number}: {instant:.3f} s"] = problems
    return {"points": times, "tried": times, "struck": struck, "wrong": wrong}


def main() -> None:
    folder, name, what = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    scenario = SCENARIOS[name]
    if scenario.stepwise:
        switch._exchange = lambda *_: False
    if what == "random":
        sys.stdout.write(json.dumps(at_random(folder, scenario, int(sys.argv[4]))))
    else:
        sys.stdout.write(json.dumps(at_points(folder, scenario, what, int(sys.argv[4]), int(sys.argv[5]))))


if __name__ == "__main__":
    main()
