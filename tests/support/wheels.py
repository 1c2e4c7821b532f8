"""True distributions, tiny: wheels with METADATA, WHEEL and RECORD, sdists that build. The same call writes the same bytes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.tags import parse_tag

EPOCH = (1980, 1, 1, 0, 0, 0)
BACKEND = Path(__file__).with_name("sdist_backend.py")

Files = Mapping[str, str | bytes]


def distribution_name(project: str) -> str:
    """The project's name as file names of distributions have it."""
    return re.sub(r"[-_.]+", "_", project).lower()


def core_metadata(project: str, version: str, *, requires: Sequence[str] = (), requires_python: str | None = None) -> str:
    """The text of METADATA or PKG-INFO."""
    lines = ["Metadata-Version: 2.3", f"Name: {project}", f"Version: {version}", f"Summary: {project}, a true and tiny distribution"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Provides-Extra: {extra}" for extra in extras_of(requires)]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join([*lines, ""])


def extras_of(requires: Sequence[str]) -> list[str]:
    """The extras that the markers of ``requires`` name."""
    return sorted({extra for requirement in requires for extra in re.findall(r"extra\s*==\s*[\"']([^\"']+)", requirement)})


def wheel_metadata(tag: str) -> str:
    """The text of WHEEL: one line for each tag of the compressed set ``tag``."""
    pure = "true" if tag.endswith("-none-any") else "false"
    lines = ["Wheel-Version: 1.0", "Generator: tests", f"Root-Is-Purelib: {pure}"]
    return "\n".join([*lines, *sorted(f"Tag: {one}" for one in parse_tag(tag)), ""])


def record(members: Mapping[str, bytes], path: str) -> str:
    """The text of RECORD, itself at ``path``, for ``members``."""
    lines = []
    for name, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        quoted = f'"{name}"' if "," in name else name
        lines.append(f"{quoted},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{path},,", ""])


def write_zip(path: Path, members: Mapping[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write ``members`` to a ZIP file, in order, without times and owners."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data, compress_type=compression)
    return path


def wheel_members(
    project: str,
    version: str,
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    files: Files | None = None,
    entry_points: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """The members of a wheel, RECORD last."""
    name = distribution_name(project)
    info = f"{name}-{version}.dist-info"
    contents: dict[str, str | bytes] = dict({f"{name}/__init__.py": f'__version__ = "{version}"\n'} if files is None else files)
    contents[f"{info}/METADATA"] = core_metadata(project, version, requires=requires, requires_python=requires_python)
    contents[f"{info}/WHEEL"] = wheel_metadata(tag)
    if entry_points:
        scripts = [f"{command} = {target}" for command, target in entry_points.items()]
        contents[f"{info}/entry_points.txt"] = "\n".join(["[console_scripts]", *scripts, ""])
    members = {path: data.encode() if isinstance(data, str) else data for path, data in contents.items()}
    members[f"{info}/RECORD"] = record(members, f"{info}/RECORD").encode()
    return members


def make_wheel(
    directory: Path,
    project: str,
    version: str,
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    files: Files | None = None,
    entry_points: Mapping[str, str] | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """Write a wheel into ``directory``, which is made if need be.

    ``files`` maps paths in the wheel to contents; by default it is one package named like the project with its ``__version__``.
    ``entry_points`` maps console commands to ``module:function``. ``tag`` may be a compressed set (``py2.py3-none-any``).
    """
    members = wheel_members(
        project, version, tag=tag, requires=requires, requires_python=requires_python, files=files, entry_points=entry_points
    )
    directory.mkdir(parents=True, exist_ok=True)
    return write_zip(directory / f"{distribution_name(project)}-{version}-{tag}.whl", members, compression=compression)


def make_sdist(
    directory: Path,
    project: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    files: Files | None = None,
) -> Path:
    """Write an sdist into ``directory``; its backend lies in the tree, so it builds without any build requirement."""
    name = distribution_name(project)
    metadata = core_metadata(project, version, requires=requires, requires_python=requires_python)
    contents: dict[str, str | bytes] = dict({f"{name}/__init__.py": f'__version__ = "{version}"\n'} if files is None else files)
    contents["PKG-INFO"] = metadata
    contents["pyproject.toml"] = _pyproject(project, version, requires, requires_python)
    contents["sdist_backend.py"] = BACKEND.read_text(encoding="utf-8")
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}-{version}.tar.gz"
    path.write_bytes(gzip.compress(_tar(path.name.removesuffix(".tar.gz"), contents), mtime=0))
    return path


def _pyproject(project: str, version: str, requires: Sequence[str], requires_python: str | None) -> str:
    lines = ["[build-system]", "requires = []", 'build-backend = "sdist_backend"', 'backend-path = ["."]', ""]
    lines += ["[project]", f"name = '{project}'", f"version = '{version}'"]
    if requires_python:
        lines.append(f"requires-python = '{requires_python}'")
    plain = [requirement for requirement in requires if not extras_of([requirement])]
    if plain == list(requires):
        lines.append("dependencies = [" + ", ".join(f"'''{requirement}'''" for requirement in plain) + "]")
    else:
        lines.append('dynamic = ["dependencies", "optional-dependencies"]')
    return "\n".join([*lines, ""])


def _tar(root: str, contents: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, text in sorted(contents.items()):
            data = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(f"{root}/{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
