"""ELF: needed libraries, search paths and versions of symbols, read by pyelftools."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from elftools.elf.dynamic import DynamicSegment, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection

from wheelhouse_builder.repair.code import Code, Versioned
from wheelhouse_builder.runtime.native import ELF

WEAK = 2
"""A version that is only wished for."""


def read_elf(path: Path, machines: frozenset[str]) -> Code:
    """Read the file at ``path``; what pyelftools raises for a malformed one passes."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        tags = [tag for segment in elf.iter_segments("PT_DYNAMIC") for tag in cast("DynamicSegment", segment).iter_tags()]
        return Code(
            format=ELF,
            machines=machines,
            libraries=tuple(_texts(tags, "needed")),
            name=next(_texts(tags, "soname"), ""),
            rpaths=tuple(path for kind in ("rpath", "runpath") for text in _texts(tags, kind) for path in text.split(":")),
            versions=tuple(version for version, _ in _versions(elf)),
        )


def symbols_of(path: Path, wanted: Collection[Versioned]) -> Mapping[Versioned, str]:
    """For each of the ``wanted`` versions, the first symbol (by name) that asks for it; none where the file names none."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        indexes = {index: version for version, index in _versions(elf) if version in wanted}
        found: dict[Versioned, str] = {}
        for index, name in _versioned_symbols(elf):
            version = indexes.get(index)
            if version and (version not in found or name < found[version]):
                found[version] = name
        return found


def _texts(tags: Iterable[DynamicTag], kind: str) -> Iterator[str]:
    """What each tag of a kind says; pyelftools has it as an attribute of that name."""
    for tag in tags:
        if tag.entry.d_tag == f"DT_{kind.upper()}":
            yield str(getattr(tag, kind))


def _versions(elf: ELFFile) -> Iterator[tuple[Versioned, int]]:
    """Each needed version, and the number that symbols refer to it by."""
    section = elf.get_section_by_name(".gnu.version_r")
    if not isinstance(section, GNUVerNeedSection):
        return
    for library, versions in section.iter_versions():
        for version in versions:
            if not version.entry.vna_flags & WEAK:
                yield Versioned(library=str(library.name), version=version.name), version.entry.vna_other


def _versioned_symbols(elf: ELFFile) -> Iterator[tuple[int, str]]:
    """Number of the version, and name, of each symbol that is looked for elsewhere."""
    numbers, symbols = elf.get_section_by_name(".gnu.version"), elf.get_section_by_name(".dynsym")
    if isinstance(numbers, GNUVerSymSection) and isinstance(symbols, SymbolTableSection):
        for number, symbol in zip(numbers.iter_symbols(), symbols.iter_symbols(), strict=False):
            if symbol.entry.st_shndx == "SHN_UNDEF" and isinstance(number.entry.ndx, int):
                yield number.entry.ndx & 0x7FFF, symbol.name
