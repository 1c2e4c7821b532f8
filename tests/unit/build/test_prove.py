"""Recipes' tests of the wheels that were built: in a clean place, with services beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.sources import c_source, make_c_sdist, write_recipe, write_tar
from tests.support.wheels import make_sdist
from tests.unit.build.conftest import Yard
from wheelhouse_builder.adapters.store import file_digest
from wheelhouse_builder.build.prove import system_libraries
from wheelhouse_builder.errors import NoWheelError

SERVER = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind("socket")
listener.listen()
while True:
    connection, _ = listener.accept()
    connection.sendall(open("greeting", "rb").read())
    connection.close()
"""
CLIENT = """
import os, socket
client = socket.socket(socket.AF_UNIX)
client.connect(os.environ["GREETER"] + "/socket")
assert client.recv(99) == b"hello", "no greeting"
"""


def test_a_wheel_carries_the_library_that_was_built_for_it_and_its_test_talks_to_a_service(yard: Yard) -> None:
    archive = write_tar(yard.sdists.parent / "libdeep-1.tar.gz", {"deep.c": "int deep(void) { return 42; }\n"})
    declaration, answer = "int deep(void);", "deep()"
    make_c_sdist(yard.sdists, "demo", files={"demo/native.c": c_source(declaration=declaration, answer=answer), "LIBS": "-ldeep"})
    script = "\n".join(f"            {line}" for line in SERVER.strip().splitlines())
    client = "\n".join(f"      {line}" for line in CLIENT.strip().splitlines())
    write_recipe(
        yard.recipes,
        "demo",
        "has-extension: true",
        "libraries:",
        f"  - {{name: deep, url: '{archive.as_uri()}', sha256: {hashlib.sha256(archive.read_bytes()).hexdigest()}, commands:",
        '      ["mkdir -p $PREFIX/lib && $CC $CFLAGS -shared -fPIC -Wl,-soname,libdeep.so.1 -o $PREFIX/lib/libdeep.so.1 deep.c",',
        '       "ln -s libdeep.so.1 $PREFIX/lib/libdeep.so"]}',
        "test:",
        "  imports: [demo.native]",
        "  services:",
        "    - name: greeter",
        "      prepare: [printf hello > greeting]",
        "      start: |",
        "            cat > server.py <<'END'",
        script,
        "            END",
        "            exec python3 server.py",
        "      ready: test -S socket",
        "  commands:",
        '    - python -c "import demo.native; assert demo.native.answer() == 42"',
        "    - |",
        "      cat > client.py <<'END'",
        client,
        "      END",
        "      python client.py",
        "    - test ! -e /mnt/prefix && test ! -e /mnt/src",
    )
    made = yard.build("demo", tested=True).made[0]
    assert made.proved
    assert made.wheel.build is not None
    assert [graft.library for graft in made.wheel.build.grafted] == ["libdeep.so.1"]
    assert [each.filename for each in made.wheel.build.libraries] == [archive.name]
    ran = len(yard.runner.commands)
    again = yard.build("demo", tested=True).made[0]
    assert (again.again, again.proved) == (True, made.proved)
    assert not any("drive.sh" in command for command in yard.runner.commands[ran:])


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["commands: [echo before, 'false', echo after]"], "$ false"),
        (["services: [{name: db, start: 'echo no such table; exit 3', ready: 'false'}]", "commands: ['true']"], "no such table"),
        (["services: [{name: db, packages: {debian: [no-such-db]}, start: sleep 9, ready: 'true'}]", "commands: ['true']"], "no-such-db"),
    ],
    ids=["command", "service that ends", "service that is not there"],
)
def test_a_test_that_fails_says_what_it_said_and_where_it_stands(yard: Yard, lines: list[str], told: str) -> None:
    make_c_sdist(yard.sdists, "demo")
    path = write_recipe(yard.recipes, "demo", "test:", *(f"  {line}" for line in lines))
    with pytest.raises(NoWheelError) as caught:
        yard.build("demo", tested=True)
    (problem,) = caught.value.problems
    assert told in problem
    assert "after" not in problem
    assert f"recipe: {path}:3" in problem


def test_what_a_test_writes_to_its_wheels_does_not_reach_the_store(yard: Yard) -> None:
    make_sdist(yard.sdists, "demo", "1.0")
    write_recipe(yard.recipes, "demo", "pure: true", "test:", "  commands:", "    - for each in /mnt/wheels/*; do echo x >> $each; done")
    assert yard.build("demo", tested=True).made[0].proved
    kept = [path for path in (yard.store / "sha256").glob("*/*") if path.is_file()]
    assert len(kept) > 1
    assert [path.name for path in kept if file_digest(path) != path.name] == []


def test_a_target_that_cannot_be_run_here_is_built_and_not_tested(yard: Yard) -> None:
    make_sdist(yard.sdists, "demo", "1.0")
    write_recipe(yard.recipes, "demo", "pure: true", "test: {imports: [demo]}")
    made = yard.build("demo", targets=["cp312-win_amd64"], tested=True).made[0]
    assert (made.proved, made.wheel.filename) == ("", "demo-1.0-py3-none-any.whl")


def test_the_system_s_own_files_of_a_library_are_found_wherever_a_name_leads(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/x86_64-linux-gnu"
    folder.mkdir(parents=True)
    (folder / "libpq.so.5.15").write_text("")
    (folder / "libpq.so.5").symlink_to("libpq.so.5.15")
    (tmp_path / "lib").symlink_to("usr/lib")
    assert system_libraries(["libpq.so.5", "libgone.so.1"], tmp_path) == [folder / "libpq.so.5.15"]
