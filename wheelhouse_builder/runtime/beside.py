"""Files that are put into an environment beside the distributions: settings, units of the service manager, what its administrators need."""

import hashlib
import os
from contextlib import closing
from typing import Dict, List

from .bundle import VerifiedBundle
from .engine import Job
from .errors import BundleRefused
from .layout import placed_entry
from .payload import decoder_for, frames_with, read_entries
from .switch import Folder

Placed = Dict[str, str]
"""As the receipt tells it: ``path`` below the environment, ``sha256``, ``mode``."""


def place_files(job: Job, root: Folder) -> List[Placed]:
    """Write the files of the bundle below ``root``, the environment; what was written. Raises BundleRefused."""
    manifest = job.bundle.manifest
    if not manifest.placed:
        return []
    contents = _read(job.bundle, job.scratch)
    placed = []
    for each in manifest.placed:
        path = placed_entry(each.path)
        os.makedirs(os.path.join(root.path, *path.split("/")[:-1]), exist_ok=True)
        root.write(path, contents[path], int(each.mode, 8))
        placed.append({"path": path, "sha256": hashlib.sha256(contents[path]).hexdigest(), "mode": each.mode})
    return placed


def _read(bundle: VerifiedBundle, scratch: str) -> Dict[str, bytes]:
    """The content of each file, by its path in the payload (checks 6 and 7)."""
    wanted = {each.path: each.sha256 for each in bundle.manifest.files}
    paths = {placed_entry(each.path) for each in bundle.manifest.placed}
    folder = os.path.join(scratch, "beside")
    os.mkdir(folder, 0o700)
    decoder = decoder_for(bundle, folder)
    found = {}
    for index in frames_with(bundle.manifest, paths):
        with closing(read_entries(bundle, index, decoder)) as entries:
            found.update({path: b"".join(content) for path, _, content in entries if path in paths})
    wrong = sorted(path for path in paths if hashlib.sha256(found[path]).hexdigest() != wanted[path])
    if wrong:
        raise BundleRefused(*["%s: SHA-256 is not what the manifest says." % path for path in wrong], hint="Nothing was changed.")
    return found
