"""How hard to work on a small file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zstandard import ZstdCompressionParameters, ZstdCompressor

from wheelhouse_builder.errors import UsageError

MAX_WINDOW_LOG = 27
"""FORMAT.md, section 6: decoders refuse larger windows by default, and larger ones gained nothing when measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """A level of compression, and how contents are grouped for it."""

    level: int
    """zstd's."""
    long_distance: bool
    """Whether zstd also looks for long matches far back; costs a little at the middle levels and gains at the high ones."""
    share_below: int
    """Projects with fewer raw bytes than this share the first frames: smaller, but every target must read these."""
    thorough: bool = False
    """Whether to try the filter for machine code, and to leave out digests that follow: packing and unpacking take longer then."""
    search: Mapping[str, int] = field(default_factory=dict)
    """Parameters of zstd's other than its level's own."""

    def compressor(self, size: int) -> ZstdCompressor:
        """A compressor for one frame of ``size`` bytes."""
        parameters = ZstdCompressionParameters.from_level(
            self.level,
            source_size=size,
            window_log=MAX_WINDOW_LOG,
            enable_ldm=self.long_distance,
            **self.search,
            write_content_size=True,
            write_checksum=True,
        )
        return ZstdCompressor(compression_params=parameters)


EFFORTS = {
    "fast": Effort(level=3, long_distance=True, share_below=4 << 20),
    "balanced": Effort(level=12, long_distance=False, share_below=4 << 20),
    "max": Effort(level=22, long_distance=True, share_below=32 << 20, thorough=True, search={"chain_log": 26, "hash_log": 24}),
}
"""With its own tables, level 22 would take 0.9 GB for each thread; with these it takes half of that."""


def effort_named(name: str) -> Effort:
    """The effort called ``name``. Raises UsageError."""
    if name not in EFFORTS:
        raise UsageError(f"there is no effort {name!r}", hint=f"choose one of {', '.join(EFFORTS)}")
    return EFFORTS[name]
