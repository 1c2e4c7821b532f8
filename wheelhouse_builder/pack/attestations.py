"""Attestations as they travel: the provenance documents of the index, as they came, for whoever wants to verify them again."""

from __future__ import annotations

from wheelhouse_builder.pack.contents import Contents
from wheelhouse_builder.runtime.layout import attestations_entry


def attestations_files(contents: Contents) -> dict[str, bytes]:
    """By payload path; wheels of which nothing was attested, or asked, have none."""
    return {
        attestations_entry(filename): wheel.attestations for filename, wheel in contents.wheels.items() if wheel.attestations is not None
    }
