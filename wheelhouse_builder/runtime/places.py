"""Where an environment will live: alone in a directory, as one of several releases below a prefix, or in another that is there.

``/opt/acme/releases/<bundle>-<version>-<digest>`` are complete environments side by side; ``/opt/acme/current`` leads to the one in use.
Where there are no symbolic links for everybody, on Windows, ``current`` is a file that holds the path of that one.
"""

import contextlib
import os
import re
from typing import Iterator, List, NamedTuple, Optional, Tuple

from .audit import damage
from .elsewhere import Interpreter
from .environment import interpreter_of
from .errors import AlreadyThere, EnvironmentFailure, InstallError, UsageError
from .leftovers import cleared, leftovers, lock_beside, mark_of
from .manifest import Manifest
from .merge import STAGED, undo
from .receipt import FILENAME, Receipt, read_receipt
from .staging import PREFIX
from .switch import Folder, opened, put_back

RELEASES, CURRENT = "releases", "current"
_NEW_CURRENT = PREFIX + CURRENT
_POINTER = re.compile(r"releases[/\\](?P<name>[^/\\\0\n]+)\n?")


class Place(NamedTuple):
    """One environment's place: ``name`` in the directory ``parent``."""

    parent: str
    name: str
    prefix: Optional[str] = None
    """Where it is a release: the directory that holds ``releases`` and ``current``."""
    python: Optional[Interpreter] = None
    """Where it is an environment that is not ours alone, in ``parent``: its interpreter."""

    @property
    def final(self) -> str:
        """Where the environment will live."""
        return self.parent if self.python else os.path.join(self.parent, self.name)

    @property
    def executable(self) -> str:
        """The environment's interpreter, where it will live."""
        return self.python.host.executable if self.python else interpreter_of(self.final)

    @property
    def mark(self) -> str:
        """Stands in the name of all that is made in ``parent`` for this place; all releases of a prefix share one."""
        return mark_of(RELEASES if self.prefix else self.name)

    @property
    def lock(self) -> str:
        """The lock file of the place."""
        return lock_beside(self.parent, self.mark)


def venv_place(path: str) -> Place:
    """The directory ``path``, for one environment. Raises AlreadyThere for a symbolic link, EnvironmentFailure without a parent."""
    full = os.path.abspath(path)
    parent = os.path.realpath(os.path.dirname(full))
    if not os.path.basename(full) or os.path.islink(full):
        raise AlreadyThere("%s is a symbolic link, or no name." % full, hint="Name the directory itself. Nothing was changed.")
    if not os.path.isdir(parent):
        raise EnvironmentFailure("%s is no directory." % parent, hint="Make it first, or name another destination.")
    return Place(parent, os.path.basename(full))


def release_place(prefix: str, manifest: Manifest, digest: str) -> Place:
    """The release of this bundle below the directory ``prefix``. Raises as :func:`venv_place`."""
    root = existing_prefix(prefix)
    name = "%s-%s-%s" % (manifest.name, manifest.version, digest[:12])
    return Place(os.path.join(root, RELEASES), name, root)


def shared_place(python: Interpreter, manifest: Manifest) -> Place:
    """The environment of ``python``, as it is.

    Raises InstallError where it is another's to manage (PEP 668), UsageError where the bundle brings more than distributions.
    """
    if manifest.placed:
        raise UsageError("The bundle brings files that need an environment of their own.", hint="Install with --venv or --prefix.")
    marker = os.path.join(python.paths["stdlib"], "EXTERNALLY-MANAGED")
    if python.prefix == python.base and os.path.exists(marker):
        raise InstallError(
            "%s belongs to this system's own packages (%s)." % (python.host.executable, marker),
            hint="Nothing was changed. Install with --venv or --prefix.",
        )
    return Place(os.path.realpath(python.prefix), STAGED, None, python)


def existing_prefix(prefix: str) -> str:
    """The absolute path of ``prefix``. Raises AlreadyThere for links where directories have to be."""
    at = venv_place(prefix).final
    releases, current = os.path.join(at, RELEASES), os.path.join(at, CURRENT)
    for path in (releases, at):
        if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path)):
            raise AlreadyThere("%s is no directory." % path, hint="Nothing was changed. Take it away, or name another prefix.")
    if os.path.lexists(current) and current_release(at) is None:
        raise AlreadyThere("%s does not lead to a release." % current, hint="Nothing was changed. Take it away, or name another prefix.")
    return at


def prefix_with_releases(prefix: str) -> str:
    """The same of one that holds releases, or has held some. Raises UsageError, too."""
    at = existing_prefix(prefix)
    if not os.path.isdir(os.path.join(at, RELEASES)):
        raise UsageError("There are no releases below %s." % at, hint="Name the directory that `install --prefix` was given.")
    return at


@contextlib.contextmanager
def prepared(place: Place) -> Iterator[None]:
    """Have the directories that the place needs; those that were made for it go away again if nothing came to be there."""
    made = [each for each in (place.prefix, place.parent if place.prefix else None) if each and not os.path.isdir(each)]
    for each in made:
        with contextlib.suppress(FileExistsError):  # somebody else installs there, too
            os.mkdir(each, 0o755)
    try:
        yield
    finally:
        for each in reversed(made):
            with contextlib.suppress(OSError):  # it is not empty
                os.rmdir(each)


def tidy(parent: Folder, place: Place) -> List[str]:
    """Mend what a run left that was killed, while no other is at work here; says what was done."""
    done = []
    for name in leftovers(parent, place.mark):
        path = os.path.join(parent.path, name)
        with opened(path, parent) as left:
            back = put_back(left, parent)
        if place.python and undo(path, parent.path):  # nobody else keeps a journal
            done.append("%s is as it was: an earlier run was killed while it installed there." % parent.path)
        done += ["%s was put back: an earlier run was killed while it replaced it." % os.path.join(parent.path, each) for each in back]
        done.append(cleared(path))
    return done


def problems_at(path: str, receipt: Receipt, *, shared: bool = False) -> List[str]:
    """Why the environment at ``path`` is not what its receipt says, or that cannot be told; ``shared``: it is not ours alone."""
    with opened(path) as environment:
        if shared:
            return damage(environment, receipt)
        if _may_be_anothers(environment):
            return ["others than this user may have written to it."]
        problems = damage(environment, receipt)
    return problems if os.path.exists(interpreter_of(path)) else [*problems, "its interpreter is gone."]


def _may_be_anothers(environment: Folder) -> bool:
    """Whether somebody else can have put there what is there, receipt and all: what he wrote agrees with what he says of it."""
    if environment.handle is None:
        return False
    status = os.fstat(environment.handle)
    return status.st_uid not in (0, os.geteuid()) or bool(status.st_mode & 0o022)


# Releases


class Release(NamedTuple):
    """An environment below a prefix."""

    name: str
    path: str
    receipt: Receipt


def releases(prefix: str) -> List[Release]:
    """All releases below ``prefix``, the one that was installed last first."""
    folder = os.path.join(prefix, RELEASES)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    paths = [(name, os.path.join(folder, name)) for name in names if not name.startswith(PREFIX)]
    read = [(name, path, read_receipt(path)) for name, path in paths if os.path.isdir(path) and not os.path.islink(path)]
    found = [Release(name, path, receipt) for name, path, receipt in read if receipt]
    return sorted(found, key=_installed, reverse=True)


def _installed(release: Release) -> Tuple[str, int, str]:
    """When, also within one second."""
    return release.receipt["installed"], os.stat(os.path.join(release.path, FILENAME)).st_mtime_ns, release.name


def current_release(prefix: str) -> Optional[str]:
    """The name of the release in use; None when there is none."""
    path = os.path.join(prefix, CURRENT)
    try:
        if os.path.islink(path):
            text = os.readlink(path)
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read(4096)
    except (OSError, ValueError):
        return None
    match = _POINTER.fullmatch(text)
    return match.group("name") if match else None


def point(prefix: str, name: str) -> None:
    """Let ``current`` lead to the release ``name``, in one step."""
    with opened(prefix) as root:
        new = os.path.join(root.path, _NEW_CURRENT) if root.handle is None else _NEW_CURRENT
        target = os.path.join(RELEASES, name)
        _unlink(new, root)  # of a run that was killed
        try:
            if os.name == "nt":
                root.write(_NEW_CURRENT, target.encode("utf-8"))
            else:
                os.symlink(target, new, dir_fd=root.handle)
            root.replace(_NEW_CURRENT, CURRENT)
        except BaseException:
            _unlink(new, root)
            raise
        root.sync()


def _unlink(path: str, folder: Folder) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path, dir_fd=folder.handle)


def before(prefix: str, name: str) -> Release:
    """The release that was in use before ``name``: the one that it replaced, else the newest of those that were installed earlier.

    Raises InstallError when there is none.
    """
    found = {each.name: each for each in releases(prefix)}
    replaced = found[name].receipt.get("replaces") if name in found else None
    if replaced in found and replaced != name:
        return found[replaced]
    names = list(found)
    older = names[names.index(name) + 1 :] if name in found else names
    if not older:
        raise InstallError("There is no release before %s." % name, hint="`list` shows which ones there are; --to names one.")
    return found[older[0]]


def superfluous(prefix: str, keep: int) -> List[Release]:
    """The releases that are neither in use nor among the ``keep`` that were installed last, the one in use counted.

    Raises UsageError when ``keep`` is not positive.
    """
    if keep < 1:
        raise UsageError("--keep %d would keep nothing." % keep, hint="Keep one at least: the one in use.")
    current = current_release(prefix)
    others = [each for each in releases(prefix) if each.name != current]
    return others[keep - 1 :] if current else others[keep:]


def take_away(release: Release, parent: Folder, scratch: Folder) -> None:
    """Take a release out of sight in one step, into ``scratch``, which goes away."""
    parent.rename(release.name, scratch, release.name)
    parent.sync()
