"""The locks of a target as they travel: for pip and uv the manifest's choice once more, each with exactly one possible text.

They name paths beside the wheels, and no URL: pip and older uv prefer one where an entry has both. Nothing in a name needs escaping, for
the manifest allows nothing of that kind.
"""

from typing import Iterable, List, NamedTuple, Optional

from .layout import PYLOCK, wheel_entry

_ROOT = "../../"
"""From ``targets/<target>/`` to the directory that holds ``wheels/``."""


class LockedFile(NamedTuple):
    """A wheel, as a lock tells of it."""

    project: str
    version: str
    filename: str
    size: int
    """Bytes."""
    sha256: str


def lock_text(name: str, python: Optional[str], files: Iterable[LockedFile]) -> str:
    """The text of a target's lock ``name``; ``python`` is its minor version, such as ``3.12``, if that is known."""
    ordered = sorted(files, key=lambda file: file.filename)
    return _pylock(python, ordered) if name == PYLOCK else "".join(map(_requirement, ordered))


def _pylock(python: Optional[str], files: List[LockedFile]) -> str:
    """PEP 751, from pip 26.1 on."""
    lines = ['lock-version = "1.0"']
    # A resolver has one patch level in mind, on which uv and pip would insist; the target is the whole series.
    lines += ['requires-python = "=={}.*"'.format(python)] if python is not None else []
    lines += ['created-by = "wheelhouse"']
    return "\n".join(lines + [_package(file) for file in files]) + "\n" + ("" if files else "packages = []\n")


def _package(file: LockedFile) -> str:
    return (
        "\n[[packages]]\n"
        'name = "{0.project}"\n'
        'version = "{0.version}"\n'
        "\n[[packages.wheels]]\n"
        'name = "{0.filename}"\n'
        'path = "{1}"\n'
        "size = {0.size}\n"
        "\n[packages.wheels.hashes]\n"
        'sha256 = "{0.sha256}"'
    ).format(file, _ROOT + wheel_entry(file.filename))


def _requirement(file: LockedFile) -> str:
    """A line of requirements.txt, for ``--require-hashes``: from pip 20.3 on."""
    return "{0.project}=={0.version} --hash=sha256:{0.sha256}\n".format(file)
