"""Sdists with an extension, and recipes for them."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.wheels import core_metadata

BACKEND = Path(__file__).with_name("c_backend.py")
MOMENT = 1_700_000_000
"""When every member was changed."""

_C = """
#include <Python.h>
{declaration}
static PyObject *answer(PyObject *self, PyObject *args) {{ return PyLong_FromLong({answer}); }}
static PyMethodDef methods[] = {{{{"answer", answer, METH_NOARGS, __FILE__}}, {{NULL}}}};
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "native", NULL, -1, methods}};
PyMODINIT_FUNC PyInit_native(void) {{ return PyModule_Create(&module); }}
"""


def c_source(*, answer: str = "42", declaration: str = "") -> str:
    """The extension ``native``, whose function says ``answer``."""
    return _C.format(answer=answer, declaration=declaration)


def make_c_sdist(directory: Path, project: str, version: str = "1.0", *, files: Mapping[str, str] | None = None) -> Path:
    """Write an sdist whose package holds the extension ``native`` into ``directory``; ``files`` come on top of the tree."""
    package = project.replace("-", "_")
    tree = {
        "PKG-INFO": core_metadata(project, version),
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "c_backend"\nbackend-path = ["."]\n',
        "c_backend.py": BACKEND.read_text(),
        f"{package}/__init__.py": "",
        f"{package}/native.c": c_source(),
        **(files or {}),
    }
    return write_tar(directory / f"{package}-{version}.tar.gz", tree)


def make_project(folder: Path, project: str, version: str = "1.0", *, requires: Sequence[str] = (), **files: str) -> Path:
    """Write the source tree of a project, as it lies in a repository; ``files`` come into its package, ``__`` in their names is a dot."""
    package = project.replace("-", "_")
    tree = {
        "METADATA": core_metadata(project, version, requires=requires),
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "c_backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{project}"\ndynamic = ["version"]\n',
        "c_backend.py": BACKEND.read_text(),
        **{f"{package}/{name.replace('__', '.')}": text for name, text in ({"init__py": ""} | files).items()},
    }
    tree[f"{package}/__init__.py"] = tree.pop(f"{package}/init.py")
    for name, text in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def commit(folder: Path, *tags: str) -> str:
    """Commit all that lies in ``folder``, a repository from then on, and return the commit."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=x"], *(["tag", tag] for tag in tags)):
        subprocess.run(["git", "-C", folder, *identity, *command], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    said = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return said.stdout.decode().strip()


def write_tar(path: Path, tree: Mapping[str, str]) -> Path:
    """Write ``tree`` below one directory that is called like the archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = path.name.removesuffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name, text in tree.items():
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size, member.mtime = len(text.encode()), MOMENT
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def write_recipe(folder: Path, project: str, *lines: str) -> Path:
    """A recipe that says ``lines`` besides the project."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{project}.yaml"
    path.write_text("\n".join([f"project: {project}", *lines, ""]))
    return path
