"""examples/fleet: one bundle on several hosts, pushed and pulled, without a network; the second run changes nothing."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.integration.test_documents import ROOT, blocks, sh
from tests.support.bundles import FOREIGN, OURS, Key, write_trust
from tests.support.cli import wheelhouse
from tests.support.handmade import bundle_for
from tests.support.pip import bundled_pip
from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime.host import this_host

FLEET = ROOT / "examples" / "fleet"
HOSTS = ("web01", "web02", "web03")


class Fleet:
    """A share, and a directory for each host."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.share = folder, folder / "share"
        self.share.mkdir()
        wheelhouse("verifier", "-o", "wheelhouse-verify.py", cwd=folder)
        for host in HOSTS:
            (folder / host / "etc").mkdir(parents=True)
            (folder / host / "opt").mkdir()
            write_trust(folder / host / "etc", OURS)

    def release(self, month: int, key: Key = OURS) -> Path:
        """Put a bundle on the share, and say that it is current."""
        wheel = make_wheel(self.folder / "made", "demo", f"1.{month}", files={"demo/__init__.py": f"MONTH = {month}\n"})
        path = self.share / f"acme-web-2026.{month}.whb"
        path.write_bytes(bundle_for(this_host(), [wheel], bundled_pip()).signed(key))
        self.name_current(path)
        return path

    def name_current(self, path: Path) -> None:
        (self.share / "CURRENT").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")

    def pull(self, host: str, *, expect: int = 0) -> str:
        """What wheelhouse-pull says on one host."""
        place = self.folder / host
        settings = {
            "SHARE": self.share,
            "PREFIX": place / "opt/acme",
            "TRUST": place / "etc/allowed_signers",
            "VERIFIER": self.folder / "wheelhouse-verify.py",
            "BUNDLES": place / "bundles",
            "OPTIONS": "--engine direct",
            "ON_CHANGE": f"echo restarted >> {place}/restarts",
        }
        env = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, **{f"WHEELHOUSE_{key}": str(value) for key, value in settings.items()}}
        command = ["unshare", "-rn", "sh", str(FLEET / "wheelhouse-pull")]
        done = subprocess.run(command, env=env, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
        assert done.returncode == expect, done.stdout + done.stderr
        assert done.stdout == ""
        return done.stderr

    def month(self, host: str) -> str:
        """What an application there sees."""
        python = self.folder / host / "opt/acme/current/bin/python"
        return subprocess.check_output([python, "-I", "-c", "import demo; print(demo.MONTH)"], text=True).strip()

    def state(self, host: str) -> dict[str, tuple[int, int]]:
        """Inode and time of change of all that is there, but for the bundle, which is touched."""
        paths = [path for path in (self.folder / host).rglob("*") if "bundles" not in path.parts]
        return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in paths if not path.is_dir()}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_three_hosts_pull_what_is_current_and_then_nothing(fleet: Fleet) -> None:
    fleet.release(10)
    for host in HOSTS:
        assert "is in use" in fleet.pull(host)
        assert fleet.month(host) == "10"
        before = fleet.state(host)
        assert fleet.pull(host) == ""
        assert fleet.state(host) == before
        assert (fleet.folder / host / "restarts").read_text() == "restarted\n"


def test_a_newer_one_comes_and_an_older_one_comes_back(fleet: Fleet) -> None:
    first = fleet.release(10)
    fleet.pull("web01")
    fleet.release(11)
    assert "2026.11" in fleet.pull("web01") or fleet.month("web01") == "11"
    assert len(list((fleet.folder / "web01/opt/acme/releases").iterdir())) == 2
    fleet.name_current(first)
    fleet.pull("web01")
    assert fleet.month("web01") == "10"
    fleet.release(12)
    fleet.pull("web01")
    assert sorted(path.name for path in (fleet.folder / "web01/bundles").iterdir()) == ["acme-web-2026.10.whb", "acme-web-2026.12.whb"]


def test_a_share_in_wrong_hands_installs_nothing(fleet: Fleet) -> None:
    good = fleet.release(10)
    fleet.pull("web01")
    before = fleet.state("web01")
    fleet.release(11, key=FOREIGN)
    assert "signature" in fleet.pull("web01", expect=12)
    (fleet.share / "acme-web-2026.12.whb").write_bytes(good.read_bytes()[:-100])
    (fleet.share / "CURRENT").write_text(f"{hashlib.sha256(good.read_bytes()).hexdigest()}  acme-web-2026.12.whb\n")
    assert "half copied" in fleet.pull("web01", expect=11)
    for name in ("../acme.whb", ".acme.whb", "-rf", "a b.whb", ""):
        (fleet.share / "CURRENT").write_text(f"{'0' * 64}  {name}\n")
        assert "names no bundle" in fleet.pull("web01", expect=2)
    assert fleet.state("web01") == before


def test_the_units_run_the_script() -> None:
    service, timer = (configparser.ConfigParser(interpolation=None) for _ in range(2))
    for parser, name in ((service, "wheelhouse-pull.service"), (timer, "wheelhouse-pull.timer")):
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(FLEET / name)
    assert Path(service["Service"]["ExecStart"]).name == "wheelhouse-pull"
    assert service["Service"]["PrivateNetwork"] == "yes"
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert os.access(FLEET / "wheelhouse-pull", os.X_OK)


@pytest.mark.network
@pytest.mark.slow
def test_ansible_brings_it_to_three_hosts_and_changes_nothing_again(tmp_path: Path) -> None:
    for file in FLEET.iterdir():
        shutil.copy(file, tmp_path)
    sh(blocks(FLEET / "README.md", "sh")[0], tmp_path)
    sh(blocks(FLEET / "README.md", "sh")[1].splitlines()[0], tmp_path)
    venv.create(tmp_path / "ansible", with_pip=True)
    subprocess.run([tmp_path / "ansible/bin/pip", "install", "--quiet", "ansible-core"], check=True)
    lines = [f"{host} root={tmp_path}/hosts/{host}" for host in HOSTS]
    (tmp_path / "three.ini").write_text(
        "\n".join(["[acme]", *lines, "[acme:vars]", "ansible_connection=local", f"ansible_python_interpreter={sys.executable}", ""])
    )
    places = {name: "{{ root }}" + path for name, path in (("prefix", "/opt/acme"), ("store", "/etc/wheelhouse"), ("bundles", "/bundles"))}
    command = [
        str(tmp_path / "ansible/bin/ansible-playbook"),
        "-i",
        "three.ini",
        "playbook.yml",
        "-e",
        json.dumps({**places, "python": sys.executable}),
    ]
    for changed in (True, False):
        said = sh(" ".join(f"'{word}'" for word in command), tmp_path, {"ANSIBLE_NOCOWS": "1"}, offline=True)
        counts = [int(count) for count in re.findall(r"ok=\d+ +changed=(\d+) +unreachable=0 +failed=0", said)]
        assert len(counts) == len(HOSTS), said
        assert all(count > 0 for count in counts) if changed else counts == [0, 0, 0]
    for host in HOSTS:
        subprocess.run([tmp_path / f"hosts/{host}/opt/acme/current/bin/python", "-c", "import click, jinja2"], check=True)
