"""README.txt: what someone finds on the far side who unpacks the bundle with tar alone. Plain ASCII, half a page."""

from __future__ import annotations

from wheelhouse_builder.pack.contents import Contents
from wheelhouse_builder.runtime.agreement import readme_head
from wheelhouse_builder.runtime.layout import NAMESPACE
from wheelhouse_builder.runtime.manifest import CATALOGUE

_TEXT = """\
This is a wheelhouse bundle: Python distributions, chosen and locked for what
is named above, and signed as one file. Nothing below needs a network, and the
file itself needs nothing but Python 3.6 or newer. FILE is the bundle; TRUST is
an OpenSSH allowed_signers file that reached this host by another path.

{commands}

The file cannot vouch for itself. To check its signature with a program that
did not come with it:

  python3 -m zipfile -e FILE check
  ssh-keygen -Y verify -f TRUST -I PRINCIPAL -n {namespace} \\
      -s check/signatures/*.sig < check/manifest.json

where PRINCIPAL is the first word of the key's line in TRUST. manifest.json
holds the digest of all the rest. "check-novalidate" proves nothing.

{usage}

Beside this text skeletons/ and pool/ hold the wheels in a denser form, if they
are there; "unpack" turns them into the wheels again, bit for bit.
"""


_APPLICATION = (
    """\
  python3 FILE verify --trust TRUST
  python3 FILE unpack DIRECTORY --trust TRUST
  python3 FILE install --venv DIRECTORY --trust TRUST""",
    """\
An unpacked bundle has the wheels in wheels/ and the locks in targets/. Other
installers can use them, too; in the unpacked directory:

  pip install --no-index --find-links wheels --require-hashes \\
      -r targets/TARGET/requirements.txt
  pip install --no-index -r targets/TARGET/pylock.toml      (from pip 26.1 on)
  uv pip sync --offline targets/TARGET/pylock.toml""",
)
_CATALOGUE = (
    """\
  python3 FILE verify --trust TRUST
  python3 FILE unpack DIRECTORY --target all --trust TRUST""",
    """\
It is a catalogue: a shelf of projects, each with all that it requires. When
it is unpacked, the wheels are in wheels/; any index server can offer them, and
pip installs from there as it is, in the unpacked directory:

  pip install --no-index --find-links wheels PROJECT""",
)


def readme_text(contents: Contents) -> str:
    """The text for this bundle."""
    head = readme_head(contents.name, contents.version, [lock.target.name for lock in contents.locks])
    commands, usage = _CATALOGUE if contents.kind == CATALOGUE else _APPLICATION
    return head + _TEXT.format(commands=commands, usage=usage, namespace=NAMESPACE)
