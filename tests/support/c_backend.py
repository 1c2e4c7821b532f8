"""A build backend within sdists of the tests (PEP 517) that compiles each C file of the tree into an extension; nothing but $CC is needed.

A file ``swallow`` in the tree makes it do what some projects do: leave the extension out when the compiler fails.
"""

from __future__ import annotations

import base64
import email.parser
import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

Settings = dict[str, object] | None


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:  # noqa: ARG001
    metadata = Path("METADATA" if Path("METADATA").exists() else "PKG-INFO").read_bytes()
    headers = email.parser.BytesParser().parsebytes(metadata)
    stem = re.sub(r"[-_.]+", "_", headers["Name"]).lower() + "-" + headers["Version"]
    members = {path.as_posix(): path.read_bytes() for path in sorted(Path().glob("*/*.py"))}
    for source in sorted(Path().glob("*/*.c")):
        made = source.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
        if compiled(source, made):
            members[made.as_posix()] = made.read_bytes()
    native = any(name.endswith(".so") for name in members)
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    platform = sysconfig.get_platform().replace("-", "_")  # the target's, where it is another machine
    tag = f"{python}-{python}-{platform}" if native else "py3-none-any"
    members[f"{stem}.dist-info/METADATA"] = metadata
    pure = "false" if native else "true"
    members[f"{stem}.dist-info/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
    lines = [_record_line(name, data) for name, data in members.items()] + [f"{stem}.dist-info/RECORD,,", ""]
    members[f"{stem}.dist-info/RECORD"] = "\n".join(lines).encode()
    filename = f"{stem}-{tag}.whl"
    with zipfile.ZipFile(Path(wheel_directory, filename), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return filename


def compiled(source: Path, made: Path) -> bool:
    flags = [*os.environ["CFLAGS"].split(), "-fPIC", f"-I{sysconfig.get_path('include')}"]
    linked = Path("LIBS").read_text().split() if Path("LIBS").exists() else []
    command = [os.environ["CC"], "-shared", *flags, str(source), *os.environ["LDFLAGS"].split(), *linked, "-o", str(made)]
    return subprocess.run(command, check=not Path("swallow").exists()).returncode == 0


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:  # noqa: ARG001
    folder = Path(metadata_directory, "project.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_bytes(Path("METADATA" if Path("METADATA").exists() else "PKG-INFO").read_bytes())
    return folder.name


def _record_line(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"
