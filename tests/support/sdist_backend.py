"""The build backend inside the sdists of the tests (PEP 517): packs the tree as a pure wheel, needs nothing but Python."""

from __future__ import annotations

import base64
import email.parser
import hashlib
import re
import zipfile
from pathlib import Path

NOT_PACKED = ("PKG-INFO", "pyproject.toml", "sdist_backend.py")
Settings = dict[str, object] | None


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:  # noqa: ARG001
    metadata = Path("PKG-INFO").read_bytes()
    headers = email.parser.BytesParser().parsebytes(metadata)
    stem = re.sub(r"[-_.]+", "_", headers["Name"]).lower() + "-" + headers["Version"]
    members = {path.as_posix(): path.read_bytes() for path in sorted(Path().rglob("*.*")) if path.is_file() and path.name not in NOT_PACKED}
    members[f"{stem}.dist-info/METADATA"] = metadata
    members[f"{stem}.dist-info/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    lines = [_record_line(name, data) for name, data in members.items()] + [f"{stem}.dist-info/RECORD,,", ""]
    members[f"{stem}.dist-info/RECORD"] = "\n".join(lines).encode()
    filename = f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory, filename), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return filename


def _record_line(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"
