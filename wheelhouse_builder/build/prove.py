"""The proof of a wheel: the test of its recipe, in a clean place, without a network.

A clean place is a bare root, where one was given for the target, or else this host, on which every library that was grafted into the wheel
is hidden: whoever looks for one of them outside of the wheel finds an empty file. The services that a test talks to see everything; they
run beside it, as a user without rights, and are reached by sockets in their folders.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from wheelhouse_builder.adapters.emulation import registration
from wheelhouse_builder.adapters.packages import look_for
from wheelhouse_builder.adapters.places import serves
from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.adapters.rooted import system_python
from wheelhouse_builder.adapters.sandbox import ENTER, INSIDE, Sandbox
from wheelhouse_builder.build.job import BuildFailed, last_lines
from wheelhouse_builder.build.pythons import Pythons
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import Recipe, Service
from wheelhouse_builder.runtime.pip_engine import RUN_PIP

LIBRARY_FOLDERS = ("lib/*-linux-*", "usr/lib/*-linux-*", "lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib")
"""Where a system keeps its libraries."""
_INSTALL = (
    "install", "--isolated", "--no-input", "--no-index", "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check",
    "--no-warn-script-location", "--progress-bar=off", "--quiet", "--no-compile", "--find-links", "wheels",
)  # fmt: skip

# Services one after the other, each as nobody: some refuse to be root. Then the test, where it finds no library but the system's.
_DRIVE = """
set -u
pids=
finish() {
  for pid in $pids; do kill "$pid" 2>/dev/null; done
  for pid in $pids; do
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -9 "$pid" 2>/dev/null
  done
}
trap finish EXIT
fail() {
  echo "the service $1 $2"
  tail -n 20 "/mnt/services/$1/log"
  exit 1
}
nobody="unshare --user --map-user=65534 --map-group=65534 --"
while read -r name; do
  cd "/mnt/services/$name"
  $nobody sh -eu prepare.sh >log 2>&1 </dev/null || fail "$name" "could not be prepared"
  (exec $nobody sh -eu start.sh >>log 2>&1 </dev/null) &
  pids="$pids $!"
  tries=0
  until $nobody sh -eu ready.sh >/dev/null 2>&1 </dev/null; do
    kill -0 "$!" 2>/dev/null || fail "$name" "ended by itself"
    [ "$tries" -lt 300 ] || fail "$name" "does not answer"
    sleep 0.1
    tries=$((tries + 1))
  done
done </mnt/services.txt
cd /mnt
unshare --mount sh -eu -c 'while read -r path; do mount --bind empty "$path"; done <hidden.txt; exec "$@"' sh \
  sh enter.sh /mnt "$1" "$2" "" sh -eu test.sh
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clean:
    """A place where a target's wheels can be tried."""

    python: str
    """As the place sees it."""
    root: Path | None = None
    """A bare system; None: this host's own."""
    emulation: str = ""
    """As :class:`~wheelhouse_builder.adapters.sandbox.Sandbox` has it."""

    def __str__(self) -> str:
        return f"{self.python} in {self.root}" if self.root else self.python


def clean_place(target: Target, root: Path | None, pythons: Pythons) -> Clean | None:
    """Where ``target`` can be tried: in ``root``, or with a Python of this host; None where it cannot. Raises BuildFailed."""
    if root is None:
        fitting = pythons.first(lambda each: serves(each.target, target))
        return Clean(python=str(fitting.path)) if fitting else None
    if not (root / "mnt").is_dir():
        raise BuildFailed(f"{root} has no folder mnt", hint="give the root of a whole system, as debootstrap makes it")
    found = system_python(root, target)
    if found is None:
        raise BuildFailed(f"{root} holds no Python {target.markers['python_version']} to test with", hint="give another root, or none")
    python, program = found
    return Clean(python=python, root=root, emulation=registration(program) or "")


def prove(wheel: Wheel, recipe: Recipe, lock: Lock, wheels: Mapping[str, Wheel], clean: Clean, runner: Runner) -> str:
    """Install ``wheel`` with what it requires of ``lock`` and run its test; what it said. Raises BuildFailed."""
    _require_packages(recipe, runner)
    with TemporaryDirectory(prefix="wheelhouse-proof-") as scratch:
        folder = Path(scratch)
        pip = _lay_out(wheel, recipe, lock, wheels, folder, clean)
        sandbox = Sandbox(runner=runner, root=clean.root, emulation=clean.emulation)
        wanted = f"{wheel.project}=={wheel.version}"
        for failure, command in (
            ("no environment can be made to test it in", [clean.python, "-I", "-m", "venv", "--without-pip", "venv"]),
            ("it cannot be installed for its test", ["venv/bin/python", "-I", "-c", RUN_PIP, f"wheels/{pip}", *_INSTALL, wanted]),
        ):
            ended = sandbox.run(folder, command)
            if ended.returncode != 0:
                raise BuildFailed(failure, *last_lines(ended.stdout + ended.stderr), hint="does the lock hold all that it wants?")
        root = str(clean.root.absolute()) if clean.root else ""
        ended = Sandbox(runner=runner).run(folder, ["sh", "drive.sh", root, clean.emulation], env=_service_folders(recipe.test.services))
        said = ended.stdout + ended.stderr
        if ended.returncode != 0:
            raise BuildFailed(f"its test failed with {clean}", *last_lines(said), key="test")
        return said


def proof_key(wheel: Wheel, recipe: Recipe, lock: Lock, clean: Clean) -> str:
    """Identity of a proof: the wheel, its test, what it was installed with, where."""
    test = recipe.test
    services = [[each.name, *each.prepare, each.start, each.ready] for each in test.services]
    others = sorted(locked.sha256 for locked in lock.wheels)
    said = [wheel.sha256, list(test.imports), services, list(test.commands), others, str(clean)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _require_packages(recipe: Recipe, runner: Runner) -> None:
    for service in recipe.test.services:
        found = look_for(service.packages, runner)
        if found.missing:
            raise BuildFailed(
                f"its test wants {', '.join(found.missing)}, which this host has not",
                hint=f"{found.install}; or do without tests: --untested",
                key="test",
            )


def _lay_out(wheel: Wheel, recipe: Recipe, lock: Lock, wheels: Mapping[str, Wheel], folder: Path, clean: Clean) -> str:
    """Everything that the proof reads; returns the file name of pip."""
    (folder / "wheels").mkdir()
    for locked in {*lock.wheels, *lock.bootstrap}:
        shutil.copyfile(wheels[locked.filename].path, folder / "wheels" / locked.filename)
    hidden = () if clean.root or wheel.build is None else system_libraries(each.library for each in wheel.build.grafted)
    files = {"drive.sh": _DRIVE, "enter.sh": ENTER, "empty": "", "test.sh": _test(recipe)}
    files["hidden.txt"] = "".join(f"{path}\n" for path in hidden)
    files["services.txt"] = "".join(f"{service.name}\n" for service in recipe.test.services)
    for service in recipe.test.services:
        inner = f"services/{service.name}"
        files |= {f"{inner}/prepare.sh": "\n".join(service.prepare), f"{inner}/start.sh": service.start, f"{inner}/ready.sh": service.ready}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return next(locked.filename for locked in lock.bootstrap if locked.project == "pip")


def _test(recipe: Recipe) -> str:
    """The test as a shell script that says what it does."""
    commands = [f"python -c 'import {module}'" for module in recipe.test.imports] + [each.rstrip() for each in recipe.test.commands]
    lines = ["mkdir -p /mnt/test && cd /mnt/test", f"export PATH={INSIDE}/venv/bin:$PATH"]
    for command in commands:
        lines += [f"printf '%s\\n' {shlex.quote('$ ' + command)}", f"sh -eu -c {shlex.quote(command)}"]
    return "\n".join(lines) + "\n"


def _service_folders(services: Iterable[Service]) -> Mapping[str, str]:
    """Where a test finds each service's sockets: ``MARIADB=/mnt/services/mariadb``."""
    return {service.name.upper().replace("-", "_"): f"{INSIDE}/services/{service.name}" for service in services}


def system_libraries(names: Iterable[str], root: Path = Path("/")) -> Sequence[Path]:
    """The files that this host's system would offer under ``names``."""
    return sorted({path.resolve() for name in names for path in _called(name, root)})


def _called(name: str, root: Path) -> Iterator[Path]:
    for pattern in LIBRARY_FOLDERS:
        yield from (path for folder in root.glob(pattern) if (path := folder / name).is_file())
