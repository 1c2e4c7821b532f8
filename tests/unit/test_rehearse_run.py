"""The rehearsal by running: what installs and can be imported passes, everything else is told with its target, project and reason."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from packaging.requirements import Requirement

from tests.support.pip import bundled_pip
from tests.support.pythons import cpythons
from tests.support.roots import make_root
from tests.support.wheels import make_wheel
from tests.unit.test_rehearse import WINDOWS, a_lock, stored
from wheelhouse_builder.adapters.interpreters import probed_by
from wheelhouse_builder.adapters.places import Place, Root, ThisHost, serves
from wheelhouse_builder.adapters.process import Finished, Processes
from wheelhouse_builder.adapters.sandbox import require_offline
from wheelhouse_builder.adapters.store import file_digest
from wheelhouse_builder.errors import EnvironmentFailure, RehearsalError
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.lock import Closure
from wheelhouse_builder.model.probed import probed_target
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.rehearse import Rehearsed, rehearse_by_running
from wheelhouse_builder.reporter import Silent

THIS = Target.parse("this").name
HERE = ThisHost(Processes())
OLDEST = next(iter(cpythons()))


class Set:
    """Wheels that are locked together for one target, this one as a rule."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels: list[Wheel] = []

    def add(self, project: str, **options: object) -> None:
        self.wheels.append(stored(make_wheel(self.folder, project, "1.0", **options)))  # type: ignore[arg-type]

    def rehearse(
        self,
        target: str = THIS,
        *,
        python: Path | str = sys.executable,
        places: Sequence[Place] | None = None,
        closures: Mapping[str, Sequence[str]] | None = None,
    ) -> Rehearsed:
        pip = stored(bundled_pip(python))
        lock = a_lock(target, self.wheels, bootstrap=[pip])
        if closures is not None:
            lock = replace(lock, closures=tuple(self._closure(*each) for each in closures.items()))
        library = {wheel.filename: wheel for wheel in (*self.wheels, pip)}
        (done,) = rehearse_by_running([lock], library, places=places or [HERE], reporter=Silent())
        return done

    def _closure(self, project: str, needed: Sequence[str]) -> Closure:
        wheels = tuple(wheel.filename for wheel in self.wheels if wheel.project in needed)
        return Closure(requirement=Requirement(f"{project}==1.0"), wheels=wheels)

    def problems(self) -> tuple[str, ...]:
        with pytest.raises(RehearsalError) as caught:
            self.rehearse()
        return caught.value.problems


@pytest.fixture
def wheels(tmp_path: Path) -> Set:
    return Set(tmp_path)


def test_each_top_level_module_is_imported(wheels: Set) -> None:
    files = {"pack/__init__.py": "", "space/part.py": "", "alone.py": "", "_native.cpython-312-x86_64-linux-gnu.txt": "", "data/x.txt": ""}
    wheels.add("app", files=files)
    assert wheels.rehearse().modules == 3


def test_another_python_of_this_host_runs_its_own_target(wheels: Set) -> None:
    wheels.add("app", files={"app.py": f"import sys\nassert '%d.%d' % sys.version_info[:2] == {OLDEST!r}\n"})
    platform = THIS.partition("-")[2]
    done = wheels.rehearse(f"cp{OLDEST.replace('.', '')}-{platform}", python=cpythons()[OLDEST])
    assert done.modules == 1
    assert done.python is not None


def test_a_target_that_does_not_run_here_is_left_to_the_paper(wheels: Set) -> None:
    wheels.add("app", files={"app.py": "raise SystemError"})
    assert wheels.rehearse(WINDOWS) == Rehearsed(target=WINDOWS, python=None)


def test_what_cannot_be_imported_is_told_and_the_rest_is_tried(wheels: Set) -> None:
    wheels.add(
        "bad", files={"bad.py": "import good.no_such_part", "crash.py": "import os; os._exit(7)", "quits.py": "raise SystemExit('bye')"}
    )
    wheels.add("good", files={"good.py": "print('noise')"})
    wheels.add("worse", files={"worse.py": "raise ValueError('two\\nlines')"})
    assert wheels.problems() == (
        f"{THIS}: bad: bad cannot be imported: No module named 'good.no_such_part'; 'good' is not a package",
        f"{THIS}: bad: crash cannot be imported: the interpreter ended with 7: ",
        f"{THIS}: bad: quits cannot be imported: SystemExit: bye",
        f"{THIS}: worse: worse cannot be imported: ValueError: two\nlines",
    )


def test_a_module_for_a_project_that_nobody_requires_is_told_and_no_failure(wheels: Set) -> None:
    wheels.add("inline", files={"inline.py": "import plotter.backend"})
    (wanting,) = wheels.rehearse().wanting
    assert str(wanting) == "inline: inline wants plotter, which nothing that is locked requires"


def test_a_compiled_module_that_does_not_load_is_a_failure(wheels: Set) -> None:
    wheels.add("app", files={"app.py": "import broken", "broken.abi3.so": b"\x7fELF, and no more"})
    problems = wheels.problems()
    assert [problem.partition(" cannot be imported: ImportError: ")[0] for problem in problems] == [
        f"{THIS}: app: app",
        f"{THIS}: app: broken",
    ]


def test_of_a_catalogue_each_thing_is_installed_by_itself(wheels: Set) -> None:
    wheels.add("lib", files={"lib.py": ""})
    wheels.add("app", requires=["lib"], files={"app.py": "import lib, plotter"})
    wheels.add("lonely", files={"lonely.py": "import lib"})  # it does not require it, and in its own set there is none
    wheels.add("bad", files={"bad.py": "raise OSError('no')"})
    closures = {"app": ("app", "lib"), "lib": ("lib",), "lonely": ("lonely",)}
    done = wheels.rehearse(closures=closures)
    assert done.modules == 4
    assert [str(each).partition(",")[0] for each in done.wanting] == ["app: app wants plotter", "lonely: lonely wants lib"]
    with pytest.raises(RehearsalError) as caught:
        wheels.rehearse(closures={**closures, "bad": ("bad",)})
    assert caught.value.problems == (f"{THIS}: bad==1.0: bad: bad cannot be imported: OSError: no",)


def test_what_pip_refuses_is_told_in_its_words(wheels: Set) -> None:
    wheels.add("app", requires=["dep"])
    (problem,) = wheels.problems()
    assert problem.startswith(f"{THIS}: the wheels do not fit together with ")
    assert "app 1.0 requires dep, which is not installed." in problem


def test_nothing_is_reached_by_what_runs(wheels: Set) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        wheels.add("app", files={"app.py": f"import socket\nsocket.create_connection({address!r}, 5)\n"})
        (problem,) = wheels.problems()
    assert "app cannot be imported: OSError" in problem or "ConnectionRefusedError" in problem


def test_a_root_directory_runs_the_target_that_it_was_given_for(wheels: Set, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", Path(sys.executable))
    wheels.add("app", files={"app.py": "import os\nassert os.path.isdir('/usr/local') and not os.path.exists('/home')\n"})
    before = sorted(path.name for path in (root / "mnt").iterdir())
    done = wheels.rehearse(places=[Root(Processes(), target=THIS, root=root)])
    assert done == Rehearsed(target=THIS, python=f"/usr/local/bin/python3.{sys.version_info.minor}", modules=1)
    assert sorted(path.name for path in (root / "mnt").iterdir()) == before == []


def test_a_root_without_the_python_of_its_target_is_refused(wheels: Set, tmp_path: Path) -> None:
    wheels.add("app")
    with pytest.raises(EnvironmentFailure, match="has no python"):
        wheels.rehearse(places=[Root(Processes(), target=THIS, root=tmp_path)])


def test_without_namespaces_nothing_is_proved() -> None:
    refusing = Mock(run=Mock(return_value=Finished(returncode=1, stdout="", stderr="unshare: Operation not permitted\n")))
    with pytest.raises(EnvironmentFailure, match="no process can be had without a network: unshare: Operation not permitted"):
        require_offline(refusing)


def test_a_target_runs_where_the_python_is_its_own_and_the_platform_is_not_older() -> None:
    here = probed_target(probed_by(Path(sys.executable), Processes()), name="here", where="here")
    abi, machine = here.abi, here.markers["platform_machine"]
    assert serves(here, Target.parse("this"))
    assert serves(here, Target.parse(f"{abi}-manylinux_2_17_{machine}"))
    for name in (f"cp39-manylinux_2_17_{machine}", f"{abi}-manylinux_2_17_s390x", f"{abi}-musllinux_1_2_{machine}", f"{abi}-win_amd64"):
        assert not serves(here, Target.parse(name))
    assert not serves(replace(here, platforms=(f"manylinux_2_17_{machine}",)), Target.parse(f"{abi}-manylinux_2_28_{machine}"))


def test_modules_write_nowhere_else_see_no_keys_and_reach_no_other_wheels(
    wheels: Set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_text("secret\n")
    monkeypatch.setenv("HOME", str(home))
    script = f"""
import pathlib
for wheel in pathlib.Path("wheels").iterdir():
    wheel.write_bytes(b"something else")
assert not pathlib.Path({str(home / ".ssh/id_ed25519")!r}).exists()
try:
    pathlib.Path({str(home / "planted")!r}).write_text("x")
except OSError:
    pass
else:
    raise SystemExit("it was written")
"""
    wheels.add("app", files={"app.py": script})
    assert wheels.rehearse().modules == 1
    assert [file_digest(wheel.path) for wheel in wheels.wheels] == [wheel.sha256 for wheel in wheels.wheels]
