"""A sandbox: programs that see one folder of ours as /mnt, can write there alone, and have no network.

Linux's own namespaces do it, through util-linux' unshare; no right is needed that a user does not have. Since the folder is always /mnt,
what is built in it does not depend on where it lies.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelhouse_builder.adapters.process import Finished, Runner
from wheelhouse_builder.errors import EnvironmentFailure

OFFLINE = ("unshare", "--map-root-user", "--net")
"""Starts a program in a network namespace of its own, in which there is nothing, not even the host itself."""
INSIDE = Path("/mnt")
"""Where programs see the folder."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ENTER = """
set -e
umask 022
folder=$1 root=$2
if [ -n "$3" ]; then
  # Where the kernel is too old for a binfmt_misc of the namespace's own, before 6.7, the host's may know the emulator.
  mount -t binfmt_misc none /proc/sys/fs/binfmt_misc 2>/dev/null && printf %s "$3" >/proc/sys/fs/binfmt_misc/register
fi
secrets=$4
shift 4
printf %s "$secrets" | while read -r path; do
  if [ -d "$path" ]; then mount -t tmpfs -o mode=700 none "$path"; else mount --bind /dev/null "$path"; fi
done
if [ -n "$root" ]; then
  mount --rbind "$root" "$root"
  cd "$root"
  mount --rbind /dev "$root/dev"
  mount --rbind /proc "$root/proc"
fi
mount --bind "$folder" "$root/mnt"
mount -o remount,bind,ro "$root/"
if [ -d "$root/dev/shm" ]; then mount -t tmpfs none "$root/dev/shm"; fi
if [ -z "$root" ]; then
  # What is mounted on its own, as /home often is, would stay writable. Where that cannot be told it, it is not seen at all.
  while read -r _ _ _ _ point _; do
    case $point in / | /mnt | /mnt/* | /dev | /dev/* | /proc | /proc/* | /sys | /sys/*) continue ;; esac
    point=$(printf %b "$point")
    mount -o remount,bind,ro "$point" 2>/dev/null || [ ! -e "$point" ] || mount -t tmpfs -o ro none "$point"
  done </proc/self/mountinfo
fi
if [ -n "$root" ]; then
  mount --bind "$folder/tmp" "$root/tmp"
  exec unshare --root="$root" --wd=/mnt "$@"
fi
cd /mnt
exec "$@"
"""
"""For a shell in a mount namespace of its own, whose root it is. $1: the folder, $2: the root or nothing, $3: what emulates it or nothing,
$4: paths that are not to be seen, one a line, then the command.
"""
SECRETS = (
    ".ssh", ".gnupg", ".config/wheelhouse", ".netrc", ".pypirc", ".aws", ".docker", ".kube", ".config/pip", ".pip", ".config/uv",
    ".local/share/uv/credentials", ".git-credentials", ".config/git", ".config/gh", ".config/gcloud", ".azure", ".npmrc",
    ".local/share/keyrings",
)  # fmt: skip
"""What foreign programs have no business with, in the home of whoever runs them: keys could leave in what is built."""
SERVICES = ("/run/user", "/run/dbus", "/run/docker.sock", "/run/containerd", "/run/podman")
"""Whose sockets run programs for whoever asks, outside of any sandbox. They are files, so being without a network does not hide them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """Where programs run: on this host's system, or on that of ``root``, a directory that holds a whole one."""

    runner: Runner
    root: Path | None = None
    emulation: str = ""
    """What the kernel must be told of programs in ``root`` that are made for another machine."""

    def run(self, folder: Path, command: Sequence[str], env: Mapping[str, str] | None = None) -> Finished:
        """Run ``command`` in ``folder``, which it sees as :data:`INSIDE`; its home and its temporary files are there, too."""
        for name in ("home", "tmp"):
            (folder / name).mkdir(exist_ok=True)
        root = str(self.root.absolute()) if self.root else ""
        enter = [*OFFLINE, "--mount", "sh", "-c", ENTER, "sh", str(folder.absolute()), root, self.emulation, _secrets()]
        return self.runner.run([*enter, *command], env=_environment() | dict(env or {}))

    def require(self) -> None:
        """Raise EnvironmentFailure where this host has no sandbox: then nothing is run, rather than with a network."""
        require_offline(self.runner)
        if not (self.root or Path("/")).joinpath("mnt").is_dir():
            raise EnvironmentFailure(f"{self.root or ''}/mnt is missing: programs see their folder there", hint="mkdir /mnt")


def require_offline(runner: Runner) -> None:
    """Raise EnvironmentFailure where no process can be had without a network: then nothing would be proved."""
    try:
        tried = runner.run([*OFFLINE, "true"])
    except FileNotFoundError:
        raise EnvironmentFailure("there is no program unshare, to run without a network", hint="install util-linux") from None
    if tried.returncode != 0:
        raise EnvironmentFailure(
            f"no process can be had without a network: {tried.stderr.strip()}",
            hint="rehearse on paper, or where user namespaces are allowed (see sysctl user.max_user_namespaces)",
        )


def _secrets() -> str:
    """Those that are there, and what names credentials elsewhere: a line for each."""
    named = [Path(path) for path in (os.environ.get("NETRC"),) if path]
    paths = [*(Path.home() / name for name in SECRETS), *map(Path, SERVICES), *named]
    return "".join(f"{path.resolve()}\n" for path in paths if path.exists())


def _environment() -> dict[str, str]:
    """What does not differ from host to host and from user to user."""
    home, tmp = str(INSIDE / "home"), str(INSIDE / "tmp")
    fixed = {"PATH": SYSTEM_PATH, "HOME": home, "TMPDIR": tmp, "XDG_CACHE_HOME": home, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    return fixed | {name: "builder" for name in ("USER", "LOGNAME") if name in os.environ}
