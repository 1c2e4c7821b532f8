"""What a spec asks of attestations: the word of those who publish a distribution that it is theirs (PEP 740)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.utils import NormalizedName

OFF, OFFERED, REQUIRED = MODES = ("off", "offered", "required")


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """What is asked of one distribution."""

    mode: str
    """One of :data:`MODES`: nothing; that what the index offers holds; that, and that it offers something."""
    publisher: str = ""
    """Who alone may have published it: a name, or its beginning, as :mod:`~wheelhouse_builder.runtime.attested` has it; empty: anybody."""

    def admits(self, publisher: str) -> bool:
        """Whether it may be from ``publisher``."""
        return not self.publisher or f"{publisher}/".startswith(f"{self.publisher}/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Attestations:
    """What is asked of all of them."""

    others: Demand = field(default_factory=lambda: Demand(mode=OFF))
    """Of those projects that are not named."""
    projects: Mapping[NormalizedName, Demand] = field(default_factory=dict)

    @property
    def asked(self) -> bool:
        """Whether anything is asked of anybody."""
        return any(demand.mode != OFF for demand in (self.others, *self.projects.values()))

    def of(self, project: NormalizedName) -> Demand:
        """What is asked of the distributions of ``project``."""
        return self.projects.get(project, self.others)
