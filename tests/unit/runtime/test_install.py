"""An installation is a fresh environment with what the lock names and pip, or no environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from packaging.version import Version

from tests.support.bundles import OURS, Document, told_again, write_trust
from tests.support.handmade import bundle_for, host_of
from tests.support.pip import bundled_pip
from tests.support.pythons import cpythons
from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime.commands import Destination, Manner, run_install
from wheelhouse_builder.runtime.errors import AlreadyThere, HostDoesNotFit, InstallError
from wheelhouse_builder.runtime.host import this_host
from wheelhouse_builder.runtime.report import render

OLDEST, *BETWEEN, NEWEST = cpythons()


class Home:
    """A directory with a bundle for this host."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.trust = str(write_trust(directory, OURS))
        self.venv = directory / "venv"
        main = "import other\n\n\ndef main():\n    print('other is', other.__version__)\n"
        made = directory / "made"
        self.wheels = [
            make_wheel(made, "demo", "1.0", requires=["other>=1"], files={"demo/__init__.py": main}, entry_points={"demo": "demo:main"}),
            make_wheel(made, "other", "1.2"),
        ]

    def bundle(self, wrong: dict[str, bytes] | None = None, *, wheels: list[Path] | None = None) -> str:
        path = self.directory / "acme.whb"
        pip = bundled_pip()
        path.write_bytes(bundle_for(this_host(), wheels or self.wheels, pip, mode="dense", wrong=wrong).signed(OURS))
        return str(path)

    def names(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()} - {"made", "allowed_signers", "acme.whb"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def installed(venv: Path) -> set[str]:
    [site] = venv.glob("lib/python*/site-packages")
    return {path.name.split("-")[0] for path in site.glob("*.dist-info")}


def test_the_environment_holds_the_lock_and_pip_and_nothing_else(home: Home) -> None:
    report = run_install(home.bundle(), Destination(venv=str(home.venv)), home.trust)
    assert report["distributions"] == 3
    assert installed(home.venv) == {"demo", "other", "pip"}
    said = subprocess.run([home.venv / "bin" / "demo"], check=True, capture_output=True, encoding="utf-8").stdout
    assert said == "other is 1.2\n"
    assert report["python"] == str(home.venv / "bin" / "python")
    assert f"pip-{report['pip']}-py3-none-any.whl" == bundled_pip().name
    assert home.names() == {"venv"}
    assert report["python"] in render(report)


def test_ambient_configuration_has_no_say_and_an_empty_directory_will_do(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.venv.mkdir()
    poison = home.directory / "made" / "poison"
    poison.mkdir()
    (poison / "pip.py").write_text("raise SystemExit('poisoned')\n")
    (poison / "pip.conf").write_text("[global]\nindex-url = https://evil.example\nrequire-virtualenv = maybe\nno-binary = :all:\n")
    for name, value in {
        "PIP_INDEX_URL": "https://evil.example",
        "PIP_TARGET": str(poison / "target"),
        "PIP_NO_BINARY": ":all:",
        "PIP_CONFIG_FILE": str(poison / "pip.conf"),
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PYTHONPATH": str(poison),
        "PYTHONSTARTUP": str(poison / "pip.py"),
        "XDG_CONFIG_HOME": str(poison),
        "HOME": str(poison),
        "VIRTUAL_ENV": str(poison),
    }.items():
        monkeypatch.setenv(name, value)
    run_install(home.bundle(), Destination(venv=str(home.venv)), home.trust)
    assert installed(home.venv) == {"demo", "other", "pip"}
    assert not (poison / "target").exists()


def test_a_directory_in_use_is_left_alone(home: Home) -> None:
    home.venv.mkdir()
    (home.venv / "mine").touch()
    with pytest.raises(AlreadyThere):
        run_install(home.bundle(), Destination(venv=str(home.venv)), home.trust)
    assert [path.name for path in home.venv.iterdir()] == ["mine"]


def test_what_pip_refuses_is_shown_and_undone_and_an_empty_directory_stays_one(home: Home) -> None:
    home.venv.mkdir()
    other_python = make_wheel(home.directory / "made" / "x", "demo", "1.0", tag="cp27-cp27m-win32", files={"demo/__init__.py": ""})
    with pytest.raises(InstallError) as failure:
        run_install(home.bundle(wheels=[other_python]), Destination(venv=str(home.venv)), home.trust)
    assert "pip could not install" in failure.value.problems[0]
    assert any("demo" in line for line in failure.value.problems[1:])
    assert home.names() == {"venv"}
    assert list(home.venv.iterdir()) == []


def test_distributions_that_do_not_fit_together_are_undone(home: Home) -> None:
    incomplete = home.bundle(wheels=[make_wheel(home.directory / "made" / "x", "demo", "1.0", requires=["absent>=2"])])
    with pytest.raises(InstallError) as failure:
        run_install(incomplete, Destination(venv=str(home.venv)), home.trust)
    assert "do not fit together" in failure.value.problems[0]
    assert any("absent" in line for line in failure.value.problems[1:])
    assert home.names() == set()


def test_an_interrupt_while_pip_runs_leaves_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    bundle = home.bundle()
    monkeypatch.setattr("wheelhouse_builder.runtime.pip_engine.run_side_by_side", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_install(bundle, Destination(venv=str(home.venv)), home.trust)
    assert home.names() == set()


def test_a_bundle_for_another_host_is_not_installed(home: Home) -> None:
    path = home.directory / "acme.whb"
    elsewhere = this_host()._replace(interpreter="cp27", abi="cp27mu")
    path.write_bytes(bundle_for(elsewhere, home.wheels, bundled_pip()).signed(OURS))
    with pytest.raises(HostDoesNotFit, match="it is for cp27"):
        run_install(str(path), Destination(venv=str(home.venv)), home.trust)
    assert home.names() == set()


def test_a_lock_that_names_pip_gets_that_one(home: Home) -> None:
    """The lock's pip and the one that installs it are the same file here; it is asked for once."""
    path = home.directory / "acme.whb"
    host = this_host()

    def lock_it(document: Document) -> None:
        for each in document["distributions"]:
            each.update(targets=[document["targets"][0]["name"]], bootstrap=False)

    document = bundle_for(host, [], bundled_pip()).changed(lock_it).document
    retold = told_again(document["targets"], document["distributions"])
    path.write_bytes(bundle_for(host, [], bundled_pip(), retold=retold).changed(lock_it).signed(OURS))
    report = run_install(str(path), Destination(venv=str(home.venv)), home.trust)
    assert report["distributions"] == 1
    assert installed(home.venv) == {"pip"}


@pytest.mark.parametrize("version", [OLDEST, NEWEST, *(pytest.param(version, marks=pytest.mark.slow) for version in BETWEEN)])
def test_the_pip_of_the_host_installs_where_it_is_asked_for_and_new_enough(home: Home, version: str) -> None:
    python = cpythons()[version]
    said = subprocess.run([python, "-I", "-m", "pip", "--version"], check=True, capture_output=True, encoding="utf-8").stdout
    idle = make_wheel(home.directory / "made" / "idle", "pip", "26.3", files={"pip/__init__.py": "", "pip/__main__.py": ""})
    path = home.directory / "acme.whb"
    path.write_bytes(bundle_for(host_of(python), home.wheels, idle).signed(OURS))
    destination, manner = Destination(venv=str(home.venv)), Manner(with_python=str(python), engine="host-pip", compile=False)
    if Version(said.split()[1]) < Version("20.3"):
        with pytest.raises(InstallError, match=r"at least 20\.3 is needed"):
            run_install(str(path), destination, home.trust, manner)
    else:
        run_install(str(path), destination, home.trust, manner)
        assert installed(home.venv) == {"demo", "other", "pip"}
        assert not list(home.venv.rglob("pip/_vendor"))


def test_a_module_that_is_there_and_cannot_be_loaded_is_none_that_another_project_brings(home: Home) -> None:
    """As Windows says it of an extension whose library is missing: by the name that it has within its package."""
    source = "raise ImportError('DLL load failed while importing _core', name='_core', path='_core.pyd')\n"
    broken = home.bundle(wheels=[make_wheel(home.directory / "made" / "x", "demo", "1.0", files={"demo/__init__.py": source})])
    with pytest.raises(InstallError, match="demo cannot be imported"):
        run_install(broken, Destination(venv=str(home.venv)), home.trust, Manner(engine="direct", compile=False))
    assert home.names() == set()
