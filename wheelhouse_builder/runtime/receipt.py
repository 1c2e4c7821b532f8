"""The receipt: a JSON file in the environment that says what was installed there, from which bundle, and who had signed it.

It is written before the environment is switched in, so there is none without it. What it says of RECORDs lets a later run tell whether
the environment is still what was installed.
"""

import hashlib
import json
import os
import time
from typing import Any, Dict, Optional, Sequence

from .bundle import VerifiedBundle
from .engine import Installation, Job
from .layout import MANIFEST
from .moments import text_of
from .switch import Folder

FILENAME = "wheelhouse-receipt.json"
FORMAT, VERSION = "wheelhouse-receipt", 1
MOST = 64 * 1024 * 1024
"""Bytes; a larger file is no receipt."""

Receipt = Dict[str, Any]


def make_receipt(
    job: Job, done: Installation, engine: str, records: Dict[str, Dict[str, str]], placed: Sequence[Dict[str, str]], replaces: Optional[str]
) -> Receipt:
    """What was installed: the installed ``records``, the files ``placed`` beside them, the release that it ``replaces``."""
    bundle, host = job.bundle, job.host
    return {
        "receipt": FORMAT,
        "version": VERSION,
        "bundle": {
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
            "digest": "sha256:" + bundle.digest,
            "manifest": "sha256:" + hashlib.sha256(bundle.control[MANIFEST]).hexdigest(),
            "channel": bundle.manifest.policy.channel,
            "sequence": bundle.manifest.policy.sequence,
        },
        "signers": [{"principal": each.principal, "fingerprint": each.fingerprint} for each in bundle.signers],
        "target": job.target.name,
        "environment": job.final,
        "replaces": replaces,
        "python": {"executable": host.executable, "interpreter": host.interpreter, "abi": host.abi, "platform": str(host.platform)},
        "engine": engine,
        "installed": text_of(time.time()),
        "files": list(placed),
        "distributions": [
            {
                "filename": each.filename,
                "project": each.project,
                "version": each.version,
                "sha256": each.sha256,
                "record": records[each.filename],
            }
            for each in done.distributions
        ],
    }


def write_receipt(environment: Folder, receipt: Receipt) -> bytes:
    """Write ``receipt`` into ``environment``, which has none; returns what was written."""
    content = (json.dumps(receipt, indent=2, sort_keys=True) + "\n").encode("ascii")
    environment.write(FILENAME, content)
    return content


def read_receipt(environment: str) -> Optional[Receipt]:
    """The receipt in ``environment``; None where there is none that could be one. Raises OSError."""
    path = os.path.join(environment, FILENAME)
    if not os.path.isfile(path):  # nor a pipe, which somebody put there and which never ends
        return None
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(MOST).decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("receipt") == FORMAT and _is_sound(found) else None


def _is_sound(found: Receipt) -> bool:
    """Whether it has what we read of it."""
    try:
        texts = [found["bundle"][key] for key in ("name", "version", "digest")]
        texts += [found[key] for key in ("target", "installed", "environment")]
        for each in found["distributions"]:
            texts += [each[key] for key in ("filename", "project", "version")] + [each["record"][key] for key in ("path", "sha256")]
        for each in found["files"]:
            texts += [each["path"], each["sha256"]]
    except (KeyError, TypeError):
        return False
    return found["version"] == VERSION and all(type(text) is str for text in texts) and type(found.get("replaces", "")) in (str, type(None))


def is_of(receipt: Receipt, bundle: VerifiedBundle, target: str) -> bool:
    """Whether ``receipt`` is for the content of ``bundle``, for ``target``."""
    return bool(receipt["bundle"]["digest"] == "sha256:" + bundle.digest and receipt["target"] == target)
