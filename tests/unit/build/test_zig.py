"""The zig toolchain: what it calls targets, which flags its compilers leave out, and what it builds for systems that this host is not."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sources import BACKEND, make_c_sdist, write_recipe
from tests.unit.build.conftest import Yard
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.build import windows
from wheelhouse_builder.build.pythons import Pythons
from wheelhouse_builder.build.toolchain import Ready, Unready
from wheelhouse_builder.build.toolchains import candidates
from wheelhouse_builder.build.zig import CACHE, ON_WINDOWS, Zig, compilers, header_of, settings_of_target, triple_of
from wheelhouse_builder.errors import NoWheelError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import read_recipe
from wheelhouse_builder.repair.contents import Contents

PYTHON = f"cp{sys.version_info[0]}{sys.version_info[1]}"


@pytest.mark.parametrize(
    ("platform", "triple"),
    [
        ("manylinux_2_17_x86_64", "x86_64-linux-gnu.2.17"),
        ("manylinux_2_28_aarch64", "aarch64-linux-gnu.2.28"),
        ("manylinux_2_31_armv7l", "arm-linux-gnueabihf.2.31"),
        ("musllinux_1_2_x86_64", "x86_64-linux-musl"),
        ("manylinux_2_12_x86_64", None),
        ("win_amd64", "x86_64-windows-gnu"),
        ("win32", None),
        ("macosx_14_0_arm64", None),
    ],
)
def test_it_knows_glibc_from_2_17_on_and_musl_and_windows(platform: str, triple: str | None) -> None:
    assert triple_of(platform) == triple


def test_flags_of_this_host_do_not_reach_it(tmp_path: Path) -> None:
    compiler = tmp_path / "zig-cc"
    compiler.write_text(compilers(Path("/bin/echo"), "x86_64-linux-gnu.2.17")["tools/zig-cc"])
    compiler.chmod(0o755)
    refused = [
        "-Wl,-Bsymbolic-functions",
        "-Wl,--exclude-libs,ALL",
        "-Wl,--push-state,--as-needed",
        "-Wl,-Map=x.map",
        "-Wl,-rpath,/opt/python/lib",
    ]
    refused += ["-specs=/usr/lib/rpm/hardened", "-flto=auto", "-ffat-lto-objects", "-march=native", "-fcf-protection"]
    kept = ["-shared", "-Wl,-rpath,$ORIGIN/../lib", "-DNAME=two words", "-o", "out.so"]
    said = subprocess.run([compiler, *refused, *kept], capture_output=True, text=True, check=True).stdout
    assert (
        said == " ".join(["cc -target x86_64-linux-gnu.2.17 -fno-sanitize=undefined -Wl,--strip-debug -isystem /mnt/include", *kept]) + "\n"
    )


def test_the_settings_of_a_python_on_the_target_name_its_machine() -> None:
    here: dict[str, str | int] = {"MULTIARCH": "x86_64-linux-gnu", "EXT_SUFFIX": ".cpython-311-x86_64-linux-gnu.so", "SIZEOF_LONG": 8}
    settings = ast.literal_eval(settings_of_target(here, "aarch64-linux-gnu.2.28").removeprefix("build_time_vars = "))
    assert settings == {"MULTIARCH": "aarch64-linux-gnu", "EXT_SUFFIX": ".cpython-311-aarch64-linux-gnu.so", "SIZEOF_LONG": 8}


def test_a_header_that_only_leads_elsewhere_is_followed(tmp_path: Path) -> None:
    # as Debian's pyconfig.h leads to one for each machine, below /usr/include, where zig does not look
    inner = tmp_path / "x86_64-linux-gnu" / "python3.11" / "pyconfig.h"
    inner.parent.mkdir(parents=True)
    inner.write_text("#define SIZEOF_LONG 8\n")
    header = "#include <aarch64-linux-gnu/python3.11/pyconfig.h>\n"
    found = header_of(header, {"MULTIARCH": "x86_64-linux-gnu"}, "aarch64-linux-gnu.2.28", system=tmp_path)
    assert found == {"include/aarch64-linux-gnu/python3.11/pyconfig.h": "#define SIZEOF_LONG 8\n"}


def test_it_is_chosen_where_this_host_is_too_new_or_of_another_kind(tmp_path: Path) -> None:
    plain = read_recipe(write_recipe(tmp_path, "plain"))
    needy = read_recipe(write_recipe(tmp_path, "needy", "system-packages: {debian: [libpq-dev]}"))
    here, machine = Target.parse("this"), os.uname().machine
    old, other, musl = (f"{PYTHON}-{name}" for name in (f"manylinux_2_17_{machine}", "manylinux_2_28_riscv64", f"musllinux_1_2_{machine}"))
    assert list(candidates(plain, here)) == ["native"]
    assert list(candidates(plain, Target.parse(old))) == ["zig", "native"]
    assert list(candidates(needy, Target.parse(old))) == ["native"]
    assert list(candidates(needy, Target.parse(other))) == ["zig"]
    assert list(candidates(plain, Target.parse(musl))) == ["zig"]


def test_what_its_compilers_do_for_windows(tmp_path: Path) -> None:
    compiler = tmp_path / "zig-cc"
    more = ON_WINDOWS.format(headers="/usr/include/python3.11", library="/mnt/python/python.lib")
    compiler.write_text(compilers(Path("/bin/echo"), "x86_64-windows-gnu", more)["tools/zig-cc"])
    compiler.chmod(0o755)

    def said(*flags: str) -> str:
        return subprocess.run([compiler, *flags], capture_output=True, text=True, check=True).stdout.partition("-isystem /mnt/include ")[2]

    assert said("-c", "-I/usr/include/python3.11", "-I/usr/include/python3.11/cpython", "-Iours", "a.c") == "-c -Iours a.c\n"
    assert said("-shared", "a.o") == "-shared a.o -s -Wl,--out-implib,/mnt/tmp/unused.lib /mnt/python/python.lib\n"


def test_what_the_dll_of_windows_exports_is_what_the_headers_declare(tmp_path: Path) -> None:
    declarations = """
        PyAPI_FUNC(PyObject *) PyLong_FromLong(long);
        PyAPI_FUNC(void) _Py_NO_RETURN
            Py_FatalError(const char *message);
        PyAPI_FUNC(int) (*PyOS_Ignored)(void);
        PyAPI_DATA(PyObject *) PyExc_ValueError;
        PyAPI_DATA(const unsigned char) _Py_ctype_table[256];
    """
    (tmp_path / "cpython").mkdir()
    (tmp_path / "cpython/object.h").write_text(declarations)
    (tmp_path / "pyconfig.h").write_text("#define HERE\n")
    texts = windows.headers(tmp_path)
    assert texts == {"cpython/object.h": declarations, "pyconfig.h": windows.CONFIGURATION}
    assert windows.exports(texts, "python311.dll").splitlines() == [
        *("LIBRARY python311.dll", "EXPORTS", "PyExc_ValueError DATA", "PyLong_FromLong"),
        *("Py_FatalError", "_Py_ctype_table DATA"),
    ]


FAKE = """#!/bin/sh
[ ! -e "$(dirname "$0")/broken" ] || { echo error: no space >&2; exit 1; }
echo "$1" >>"$ZIG_GLOBAL_CACHE_DIR/$1"
"""


@pytest.fixture
def zig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that leaves a line in its cache for each call."""
    program = tmp_path / "bin/zig"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setattr("wheelhouse_builder.build.zig._program", lambda: program)
    monkeypatch.setattr("wheelhouse_builder.build.zig.version", lambda _: "0.1")
    return program


@pytest.mark.usefixtures("zig")
def test_a_target_s_libraries_are_compiled_once_for_each_language(tmp_path: Path) -> None:
    recipe = read_recipe(write_recipe(tmp_path, "demo"))
    target = Target.parse(f"{PYTHON}-manylinux_2_17_{os.uname().machine}")
    toolchain = Zig(runner=Processes(), pythons=Pythons(Processes()), cache=tmp_path / "cache")

    def ready(*, cplusplus: bool) -> tuple[Path, dict[str, str], int]:
        """The cache that a build gets a copy of, what zig left there, and since when it is there."""
        answer = toolchain.ready(recipe, target, cplusplus=cplusplus)
        assert isinstance(answer, Ready), answer
        cache = answer.folders[CACHE]
        return cache, {path.name: path.read_text() for path in cache.iterdir()}, cache.stat().st_mtime_ns

    first = ready(cplusplus=False)
    assert first[1] == {"cc": "cc\ncc\n"}
    second = ready(cplusplus=True)
    assert second[1] == {"cc": "cc\ncc\n", "c++": "c++\nc++\n"}
    assert [ready(cplusplus=wanted) for wanted in (False, True, False)] == [first, second, first]


def test_libraries_that_cannot_be_compiled_leave_nothing(zig: Path, tmp_path: Path) -> None:
    (zig.parent / "broken").touch()
    target = Target.parse(f"{PYTHON}-manylinux_2_17_{os.uname().machine}")
    toolchain = Zig(runner=Processes(), pythons=Pythons(Processes()), cache=tmp_path / "cache")
    answer = toolchain.ready(read_recipe(write_recipe(tmp_path, "demo")), target, cplusplus=True)
    assert isinstance(answer, Unready)
    assert answer.problem.endswith(": error: no space")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_what_a_build_does_to_its_compiler_s_cache_no_other_build_sees(yard: Yard) -> None:
    each = "import os, pathlib\nfor path in pathlib.Path(os.environ['ZIG_GLOBAL_CACHE_DIR']).rglob('*'):\n"
    spoil = each + "    path.is_file() and path.write_bytes(b'x')\n"
    make_c_sdist(yard.sdists, "bad", files={"c_backend.py": spoil + BACKEND.read_text()})
    make_c_sdist(yard.sdists, "good")
    for project in ("bad", "good"):
        write_recipe(yard.recipes, project, "has-extension: true", "toolchain: zig")
    with pytest.raises(NoWheelError):
        yard.build("bad", targets=[f"{PYTHON}-manylinux_2_17_x86_64"])
    assert yard.build("good", targets=[f"{PYTHON}-manylinux_2_17_x86_64"]).made


@pytest.mark.slow
def test_it_builds_for_an_older_system_for_another_machine_and_for_musl(yard: Yard) -> None:
    platforms = ["manylinux_2_17_x86_64", "manylinux_2_28_aarch64", "musllinux_1_2_x86_64"]
    make_c_sdist(yard.sdists, "demo")
    write_recipe(yard.recipes, "demo", "has-extension: true", "toolchain: zig")
    built = yard.build("demo", targets=[f"{PYTHON}-{platform}" for platform in platforms])
    assert [platform in made.wheel.filename for platform, made in zip(platforms, built.made, strict=True)] == [True, True, True]
    names = {member for made in built.made for member in Contents.of(made.wheel.path).extensions}
    assert names == {f"demo/native.cpython-{PYTHON[2:]}-{end}.so" for end in ("x86_64-linux-gnu", "aarch64-linux-gnu", "x86_64-linux-musl")}


@pytest.mark.slow
def test_what_is_compiled_once_for_all_builds_does_not_tell_where_that_was(tmp_path: Path) -> None:
    """What is linked with it would differ from host to host."""
    toolchain = Zig(runner=Processes(), pythons=Pythons(Processes()), cache=tmp_path / "cache")
    ready = toolchain.ready(read_recipe(write_recipe(tmp_path, "demo")), Target.parse(f"{PYTHON}-manylinux_2_17_x86_64"))
    assert isinstance(ready, Ready), ready
    compiled = [path.read_bytes() for path in ready.folders[CACHE].rglob("*") if path.is_file()]
    assert any(data.startswith((b"\x7fELF", b"!<arch>")) for data in compiled)
    assert [data[:80] for data in compiled if b"/tmp/wheelhouse-" in data or bytes(tmp_path) in data] == []
