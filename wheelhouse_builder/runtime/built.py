"""How a wheel that nobody published was made, as a manifest tells it: in SLSA's terms what was built, from what, by what."""

from typing import NamedTuple, Optional, Tuple


class Material(NamedTuple):
    """A file that went into a build."""

    filename: str
    url: str
    sha256: str


class BuiltBy(NamedTuple):
    """What said how to build it."""

    name: str
    sha256: str
    """Of all that it says of the build."""


class Toolchain(NamedTuple):
    """What built it."""

    name: str
    tools: Tuple[str, ...]
    """Interpreter, compiler, C library and the like, each with its version."""
    packages: Tuple[str, ...]
    """System packages, each with its version."""


class Graft(NamedTuple):
    """A library that was copied into the wheel."""

    member: str
    """Its path in the wheel."""
    library: str
    """The name that it had before."""
    sha256: str


class Need(NamedTuple):
    """A symbol that decides on which systems the wheel works."""

    member: str
    """The file of the wheel that asks for it."""
    symbol: str
    library: str
    version: str
    """As ``GLIBC_2.34``."""


class Repair(NamedTuple):
    """What made the wheel portable."""

    tool: str
    """With its version."""
    raw: str
    """Digest of the wheel before."""
    grafted: Tuple[Graft, ...]
    needs: Tuple[Need, ...]
    """Of each family of versions the newest."""


class ManifestBuilt(NamedTuple):
    """A wheel that the packer built."""

    filename: str
    sdist: Material
    recipe: BuiltBy
    toolchain: Toolchain
    materials: Tuple[Material, ...]
    """Build requirements and the sources of C libraries, by file name."""
    repair: Optional[Repair]
    """None: it needed none."""
