"""What a program sees in the sandbox, and what it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from wheelhouse_builder.adapters.process import Finished, Processes
from wheelhouse_builder.adapters.sandbox import Sandbox


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def said(folder: Path, script: str) -> str:
    ended = Sandbox(runner=Processes()).run(folder, ["sh", "-c", script], env={"ANSWER": "42"})
    return ended.stdout + ended.stderr


def test_the_folder_is_mnt_and_the_only_place_to_write(folder: Path) -> None:
    assert said(folder, "pwd; echo $ANSWER > made; echo x > /usr/made || true; echo $HOME $TMPDIR; umask").splitlines()[0] == "/mnt"
    assert (folder / "made").read_text() == "42\n"
    assert not Path("/usr/made").exists()


class Mounting(Processes):
    """Runs everything where something of its own is mounted at ``place``."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def run(self, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Finished:
        """See Runner."""
        script = 'mount -t tmpfs none "$0" && exec "$@"'
        return super().run(["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(self.place), *command], env=env, cwd=cwd)


def test_what_is_mounted_on_its_own_cannot_be_written_to_either(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "a home"
    home.mkdir()
    script = f"echo x > '{home}/planted'; echo x > /dev/shm/planted; ls '{home}'; echo x > here && cat here"
    ended = Sandbox(runner=Mounting(home)).run(folder, ["sh", "-c", script])
    assert "Read-only" in ended.stderr
    assert ended.stdout == "x\n"
    assert not Path("/dev/shm/planted").exists()


def test_there_is_no_network_not_even_this_host(folder: Path) -> None:
    assert said(folder, "cat /proc/net/dev").count(":") == 1  # lo, and it is down
    assert "UP" not in said(folder, "cat /sys/class/net/lo/operstate 2>/dev/null || true").upper().split()


def test_keys_and_credentials_are_not_to_be_seen(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    for name in (".ssh/id_ed25519", ".config/wheelhouse/id_ed25519", ".netrc", "other"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("secret\n")
    monkeypatch.setenv("HOME", str(home))
    found = said(folder, f"cd {home}; cat .ssh/id_ed25519; cat .config/wheelhouse/id_ed25519; cat .netrc; cat other")
    assert found.count("secret") == 1
    assert (home / ".ssh/id_ed25519").read_text() == "secret\n"


def test_nothing_of_this_host_s_environment_is_there_but_what_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://elsewhere.example")
    monkeypatch.setenv("CFLAGS", "-DSURPRISE")
    shown = said(folder, "env")
    assert "ANSWER=42" in shown
    assert "elsewhere" not in shown
    assert "SURPRISE" not in shown
    assert "HOME=/mnt/home" in shown
