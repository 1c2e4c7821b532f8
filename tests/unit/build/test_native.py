"""The native toolchain: what it makes of what the interpreter says of how it was built."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from wheelhouse_builder.build.native import compiler_environment


def test_what_a_python_was_linked_with_does_not_leak_into_what_setuptools_links(monkeypatch: pytest.MonkeyPatch) -> None:
    sysconfig = pytest.importorskip("setuptools._distutils.sysconfig")
    unix = pytest.importorskip("setuptools._distutils.unixccompiler")
    leak = "-Wl,-rpath,/opt/python/lib"
    linked: Mapping[str, str] = {"LDSHARED": f"cc -shared {leak}", "LDCXXSHARED": f"c++ -shared {leak}"}
    monkeypatch.setattr(sysconfig, "get_config_vars", lambda *names: [linked.get(name, "") for name in names] if names else linked)

    def linker() -> str:
        compiler = unix.UnixCCompiler()
        sysconfig.customize_compiler(compiler)
        return " ".join(compiler.linker_so)

    for name in compiler_environment("gcc", "g++"):
        monkeypatch.delenv(name, raising=False)
    assert leak in linker()
    monkeypatch.setattr(os, "environ", {**os.environ, **compiler_environment("gcc", "g++")})
    assert leak not in linker()
    assert linker().startswith("gcc -shared ")
