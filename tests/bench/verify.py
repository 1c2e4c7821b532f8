"""Verifying with the reader that a bundle carries, beside hashing the same bytes once."""

from __future__ import annotations

import random
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.measure import Contender, compare, table
from tests.support.cli import environment, wheelhouse
from tests.support.contents import make_contents
from tests.support.wheels import make_wheel
from wheelhouse_builder.adapters.keys import load_signers
from wheelhouse_builder.pack import pack

WHEELS, WHEEL_SIZE = 24, 32 << 20
"""768 MiB of what no compressor makes smaller."""
HASH = "import hashlib, sys; hashlib.file_digest(open(sys.argv[1], 'rb', buffering=0), 'sha256')"


def bench() -> str:
    """Medians of five rounds, the file in the page cache for both."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        bundle = str(_bundle(folder))
        env = environment(folder)
        trust = str(folder / "key.allowed_signers")
        contenders = [
            Contender(name="verify", command=(sys.executable, "-I", bundle, "verify", "--trust", trust), env=env),
            Contender(name="sha256", command=(sys.executable, "-I", "-c", HASH, bundle), env=env),
        ]
        return table(compare(contenders), peer="sha256")


def _nobody(_: object) -> bytes:
    raise AssertionError("this key has no passphrase")


def _bundle(folder: Path) -> Path:
    """A plain bundle of large wheels."""
    noise = random.Random(4)
    wheels = [
        make_wheel(folder, f"big-{number}", "1.0", files={f"big_{number}.bin": noise.randbytes(WHEEL_SIZE)}, compression=zipfile.ZIP_STORED)
        for number in range(WHEELS)
    ]
    wheelhouse("keygen", "--key", "key", cwd=folder)
    contents = make_contents(folder / "pip", *wheels)
    return pack(contents, folder / "big.whb", signers=load_signers(folder / "key", ask=_nobody), plain=True, effort="fast").path
