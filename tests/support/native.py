"""True compiled code: an extension module that asks a second library for its answer, and the wheel that holds the one without the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.wheels import make_wheel

ANSWER = "int second_answer(void) { return 42; }\n"

# Python's own headers are not everywhere. What is declared here is part of the stable ABI of every CPython with a global lock.
EXTENSION = """
typedef struct PyObject PyObject;
typedef struct { const char *name; PyObject *(*call)(PyObject *, PyObject *); int flags; const char *doc; } Method;
typedef struct {
  struct { long long count; void *type; } head; PyObject *(*init)(void); long long index; PyObject *copy;
  const char *name; const char *doc; long long size; Method *methods; void *slots, *traverse, *clear, *free;
} Module;
#ifdef _WIN32
#define FROM __declspec(dllimport)
#define TO __declspec(dllexport)
#else
#define FROM
#define TO
#endif
FROM PyObject *PyLong_FromLong(long);
FROM PyObject *PyModule_Create2(Module *, int);
int second_answer(void);
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(second_answer()); }
static Method methods[] = {{"answer", answer, 4, 0}, {0, 0, 0, 0}};
static Module module = {{1, 0}, 0, 0, 0, "_demo", 0, -1, methods, 0, 0, 0, 0};
TO PyObject *PyInit__demo(void) { return PyModule_Create2(&module, 3); }
"""
PACKAGE = "from demo._demo import answer\n"


def gcc(output: Path, source: str, *arguments: str) -> Path:
    """A shared library of ``source`` at ``output``."""
    return _compiled(["gcc", "-shared", "-fPIC", "-g0", "-w"], output, source, arguments)


def zig(output: Path, source: str, *arguments: str, target: str) -> Path:
    """As gcc, for another machine or system. The first call for each target compiles that system's C library."""
    return _compiled([sys.executable, "-m", "ziglang", "cc", "-target", target, "-shared", "-g0", "-w"], output, source, arguments)


def _compiled(compiler: Sequence[str], output: Path, source: str, arguments: Sequence[str]) -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    file = output.with_name(f"{output.name}.c")
    file.write_text(source)
    done = subprocess.run([*compiler, "-o", str(output), str(file), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    file.unlink()
    return output


def second_library(folder: Path, source: str = ANSWER, *arguments: str) -> Path:
    """The folder of ``libsecond.so.1``, by gcc, with the link that linkers look for."""
    gcc(folder / "libsecond.so.1", source, "-Wl,-soname,libsecond.so.1", *arguments)
    (folder / "libsecond.so").symlink_to("libsecond.so.1")
    return folder


def linux_extension(folder: Path, libraries: Path, *arguments: str, source: str = EXTENSION) -> bytes:
    """An extension module that needs ``libsecond.so.1``."""
    return gcc(folder / "_demo.so", source, f"-L{libraries}", "-Wl,--no-as-needed", "-lsecond", *arguments).read_bytes()


def macos_extension(folder: Path, libraries: Path, *arguments: str, target: str) -> bytes:
    """An extension module of macOS that needs ``libsecond.dylib``, which lies in ``libraries`` afterwards."""
    second = zig(libraries / "libsecond.dylib", ANSWER, f"-Wl,-install_name,{libraries}/libsecond.dylib", target=target)
    late = ("-Wl,-undefined,dynamic_lookup", "-Wl,-headerpad_max_install_names")
    return zig(folder / "_demo.so", EXTENSION, str(second), *late, *arguments, target=target).read_bytes()


def windows_extension(folder: Path, libraries: Path, *, target: str = "x86_64-windows-gnu") -> bytes:
    """An extension module of Windows that needs ``second.dll``, which lies in ``libraries`` afterwards."""
    exported = ANSWER.replace("int", "__declspec(dllexport) int", 1)
    zig(libraries / "second.dll", exported, f"-Wl,--out-implib,{folder}/second.lib", target=target)
    names = folder / "python3.def"
    names.write_text("LIBRARY python3.dll\nEXPORTS\nPyLong_FromLong\nPyModule_Create2\n")
    tool = [sys.executable, "-m", "ziglang", "dlltool", "-m", "i386:x86-64", "-d", str(names), "-l", str(folder / "python3.lib")]
    subprocess.run(tool, check=True)
    return zig(folder / "_demo.pyd", EXTENSION, f"{folder}/second.lib", f"{folder}/python3.lib", target=target).read_bytes()


def wheel_of(folder: Path, extension: bytes, *, tag: str, suffix: str = ".abi3.so", files: Mapping[str, bytes] | None = None) -> Path:
    """A wheel of the package ``demo`` with its extension, as a build backend leaves it."""
    return make_wheel(
        folder, "demo", "1.0", tag=tag, files={"demo/__init__.py": PACKAGE, f"demo/_demo{suffix}": extension, **(files or {})}
    )


def newer_system(folder: Path, version: str) -> list[str]:
    """What to link with so that a library asks for ``newly()`` as if it had been compiled where the C library has ``version`` of it."""
    script = folder / "versions"
    folder.mkdir(parents=True, exist_ok=True)
    script.write_text(f"{version} {{ global: newly; }};\n")
    stand_in = gcc(folder / "libm.so.6", "int newly(void) { return 0; }\n", "-Wl,-soname,libm.so.6", f"-Wl,--version-script={script}")
    return ["-Wl,--no-as-needed", str(stand_in)]


def asking(source: str) -> str:
    """``source`` that calls ``newly()``."""
    return f"int newly(void);\n{source}\nint asks(void) {{ return newly(); }}\n"
