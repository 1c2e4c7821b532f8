"""Compiled code: for which machine it is, and which C library it needs, as the file itself says (ELF, PE, Mach-O).

A wheel's tags promise that its code runs on a platform. Whoever renames a wheel, or builds it on a host that is newer than the tag says,
breaks the promise, and it shows only when the module is imported. What is read here is little and bounded; the code is never run.
"""

import re
import struct
from typing import BinaryIO, Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

ELF, PE, MACH_O = "ELF", "PE", "Mach-O"
HEAD_SIZE = 4096
"""Bytes from the beginning that tell what a file is; of an ELF file more is needed."""

_MODULE = re.compile(r"\.(?:so|pyd|dylib)(?:\.[0-9]+)*$")
_MANYLINUX = re.compile(r"manylinux_([0-9]+)_([0-9]+)_([a-z0-9_]+)")
_LINUX = re.compile(r"(?:linux|(?P<musl>musl)linux_[0-9]+_[0-9]+)_(?P<machine>[a-z0-9_]+)")
_MACOS = re.compile(r"macosx_[0-9]+_[0-9]+_([a-z0-9_]+)")
_LEGACY = {"manylinux1": "manylinux_2_5", "manylinux2010": "manylinux_2_12", "manylinux2014": "manylinux_2_17"}
"""PEP 600."""
_WINDOWS = {"win32": "x86", "win_amd64": "x86_64", "win_arm64": "arm64"}
_FAT = {"universal2": ("x86_64", "arm64"), "intel": ("x86_64", "i386"), "universal": ("i386", "ppc")}

# (class, little-endian, e_machine); the e_flags of ARM's float ABI are left out
_ELF_MACHINES = {
    (2, True, 62): "x86_64", (1, True, 3): "i686", (2, True, 183): "aarch64", (1, True, 40): "armv7l", (2, True, 21): "ppc64le",
    (2, False, 22): "s390x", (2, True, 243): "riscv64", (2, True, 258): "loongarch64", (2, False, 21): "ppc64",
}  # fmt: skip
_SAME_MACHINE = {"armv6l": "armv7l", "armv8l": "armv7l"}
_PE_MACHINES = {0x14C: "x86", 0x8664: "x86_64", 0xAA64: "arm64"}
_MACH_O_MACHINES = {0x01000007: "x86_64", 0x0100000C: "arm64", 7: "i386", 18: "ppc", 0x01000012: "ppc64"}
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_STRSZ, _DT_VERNEED, _DT_VERNEEDNUM = 5, 10, 0x6FFFFFFE, 0x6FFFFFFF
_WEAK = 2
_MANY = 4096
_MAX_STRINGS = 64 << 20
_GLIBC = re.compile(rb"GLIBC_([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]+)?")

Version = Tuple[int, int]


class Malformed(ValueError):
    """The file is not what its first bytes promise; a clause."""


class Code(NamedTuple):
    """What a file of compiled code says of itself."""

    format: str
    machines: FrozenSet[str]
    """As wheel tags call them; a universal file of macOS has several."""
    glibc: Optional[Version] = None
    """The newest version of the GNU C library whose symbols it needs; None: it needs none."""


class Promise(NamedTuple):
    """What a wheel's platform tags say of its code."""

    machines: Dict[str, FrozenSet[str]]
    """By format. Where a format is missing, no tag is for it."""
    glibc: Optional[Version]
    """No newer one may be needed; None: nothing is said."""
    musl: bool
    """Nothing of the GNU C library may be needed."""


def is_module(name: str) -> bool:
    """Whether an interpreter, or the loader for it, would load the member ``name``."""
    return _MODULE.search(name) is not None


def promise(platforms: Iterable[str]) -> Optional[Promise]:
    """What the platform tags promise; None if one of them is not known here, or means any platform."""
    machines: Dict[str, Set[str]] = {}
    floors: List[Version] = []
    musl: List[bool] = []
    for platform in platforms:
        known = _promised(platform)
        if known is None:
            return None
        kind, names, floor, is_musl = known
        machines.setdefault(kind, set()).update(names)
        musl.append(is_musl)
        if floor is not None:
            floors.append(floor)
    return Promise({kind: frozenset(names) for kind, names in machines.items()}, min(floors, default=None), bool(musl) and all(musl))


def _promised(platform: str) -> Optional[Tuple[str, Tuple[str, ...], Optional[Version], bool]]:
    """Format, machines, the C library's version, and whether it is musl."""
    if platform in _WINDOWS:
        return PE, (_WINDOWS[platform],), None, False
    found = _MACOS.fullmatch(platform)
    if found:
        return MACH_O, _FAT.get(found.group(1), (found.group(1),)), None, False
    name, _, rest = platform.partition("_")
    found = _MANYLINUX.fullmatch("{}_{}".format(_LEGACY.get(name, name), rest))
    if found:
        return ELF, (_machine(found.group(3)),), (int(found.group(1)), int(found.group(2))), False
    found = _LINUX.fullmatch(platform)
    return (ELF, (_machine(found.group("machine")),), None, bool(found.group("musl"))) if found else None


def _machine(name: str) -> str:
    return _SAME_MACHINE.get(name, name)


def problem(code: Code, promised: Promise) -> Optional[str]:
    """Why ``code`` does not keep what the tags promised, or None if it does; a clause whose subject is the file."""
    wanted = promised.machines.get(code.format)
    if wanted is None:
        return "is {} code, and no tag of the wheel is for it".format(code.format)
    if not (code.machines & wanted if code.format != MACH_O else code.machines >= wanted):
        return "is for {}, the tags say {}".format(_listed(code.machines), _listed(wanted))
    if code.glibc is not None and promised.musl:
        return "needs the GNU C library, the tags say musl"
    if code.glibc is not None and promised.glibc is not None and code.glibc > promised.glibc:
        return "needs glibc {}.{}, the tags say {}.{}".format(*(code.glibc + promised.glibc))
    return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "no known machine"


def format_of(head: bytes) -> Optional[str]:
    """What kind of code begins with ``head``, or None if it is none."""
    if head[:4] == b"\x7fELF":
        return ELF
    if head[:2] == b"MZ":
        return PE
    if head[:4] in _MACH_O_MAGICS:
        return MACH_O
    return None


def read_code(file: BinaryIO) -> Optional[Code]:
    """What the seekable ``file`` says of itself; None: it is no compiled code. Raises Malformed."""
    file.seek(0)
    head = file.read(HEAD_SIZE)
    kind = format_of(head)
    try:
        if kind == PE:
            return _read_pe(head)
        if kind == MACH_O:
            return _read_mach_o(head)
        return _Elf(file, head).code() if kind == ELF else None
    except (struct.error, IndexError):
        raise Malformed("is cut off") from None


def _read_pe(head: bytes) -> Code:
    (offset,) = struct.unpack_from("<I", head, 0x3C)
    if head[offset : offset + 4] != b"PE\0\0":
        raise Malformed("has no PE header where one should be")
    (machine,) = struct.unpack_from("<H", head, offset + 4)
    return Code(PE, _known(_PE_MACHINES, [machine]))


_MACH_O_MAGICS = {b"\xce\xfa\xed\xfe": "<", b"\xcf\xfa\xed\xfe": "<", b"\xca\xfe\xba\xbe": ">", b"\xca\xfe\xba\xbf": ">"}
"""Little-endian code of one machine, and universal files."""


def _read_mach_o(head: bytes) -> Code:
    order, (number,) = _MACH_O_MAGICS[head[:4]], struct.unpack_from(_MACH_O_MAGICS[head[:4]] + "I", head, 4)
    if order == "<":
        return Code(MACH_O, _known(_MACH_O_MACHINES, [number]))
    if number > 30:
        raise Malformed("has {} architectures".format(number))
    size = 20 if head[3] == 0xBE else 32
    return Code(MACH_O, _known(_MACH_O_MACHINES, [struct.unpack_from(">I", head, 8 + size * index)[0] for index in range(number)]))


def _known(names: Dict[int, str], numbers: Iterable[int]) -> FrozenSet[str]:
    return frozenset(names.get(number, "machine {:#x}".format(number)) for number in numbers)


class _Elf:
    """An ELF file: its header, its segments, and the versions that its dynamic section needs (gABI; LSB, symbol versioning)."""

    def __init__(self, file: BinaryIO, head: bytes) -> None:
        self._file = file
        self._wide, self._order = head[4] == 2, "<" if head[5] == 1 else ">"
        layout = self._order + ("HHIQQQIHHH" if self._wide else "HHIIIIIHHH")
        self._type, self._machine, _, _, self._segments_at, _, _, _, self._segment_size, self._segment_count = struct.unpack_from(
            layout, head, 16
        )

    def code(self) -> Code:
        """What the file says of itself."""
        key = (2 if self._wide else 1, self._order == "<", self._machine)
        name = _ELF_MACHINES.get(key, "machine {}".format(self._machine))
        return Code(ELF, frozenset([name]), max(self._glibc_versions(), default=None))

    def _at(self, offset: int, size: int) -> bytes:
        try:
            self._file.seek(offset)
        except (OverflowError, ValueError, OSError):
            raise Malformed("points beyond itself") from None
        data = self._file.read(size)
        if len(data) != size:
            raise Malformed("is cut off")
        return data

    def _segments(self) -> Iterator[Tuple[int, int, int, int]]:
        """Type, offset, address and size of each."""
        layout = struct.Struct(self._order + ("IIQQQQQQ" if self._wide else "IIIIIIII"))
        if self._segment_count and self._segment_size != layout.size:
            raise Malformed("has segment headers of {} bytes".format(self._segment_size))
        table = self._at(self._segments_at, layout.size * self._segment_count)
        for fields in layout.iter_unpack(table):
            yield (fields[0], fields[2], fields[3], fields[5]) if self._wide else (fields[0], fields[1], fields[2], fields[4])

    def _glibc_versions(self) -> Iterator[Version]:
        segments = list(self._segments())
        dynamic = next((segment for segment in segments if segment[0] == _PT_DYNAMIC), None)
        entries = {} if dynamic is None else self._dynamic(dynamic[1], dynamic[3])
        if _DT_VERNEED not in entries:
            return
        strings = self._at(_offset(segments, entries.get(_DT_STRTAB, 0)), min(entries.get(_DT_STRSZ, 0), _MAX_STRINGS))
        for name in self._needed(_offset(segments, entries[_DT_VERNEED]), entries.get(_DT_VERNEEDNUM, 0)):
            found = _GLIBC.fullmatch(strings[name : strings.find(b"\0", name)])
            if found:
                yield int(found.group(1)), int(found.group(2))

    def _dynamic(self, offset: int, size: int) -> Dict[int, int]:
        layout = struct.Struct(self._order + ("QQ" if self._wide else "II"))
        data = self._at(offset, min(size - size % layout.size, _MANY * layout.size))
        return dict(reversed([(entry[0], entry[1]) for entry in layout.iter_unpack(data)]))

    def _needed(self, offset: int, libraries: int) -> Iterator[int]:
        """Where in the strings the name of each needed version stands; what is only wished for (weak) is left out."""
        budget = _MANY
        for _ in range(libraries):
            _, count, _, first, following = struct.unpack(self._order + "HHIII", self._at(offset, 16))
            budget -= 1 + count
            if budget < 0:
                raise Malformed("needs more than {} versions".format(_MANY))
            place = offset + first
            for _ in range(count):
                _, flags, _, name, next_ = struct.unpack(self._order + "IHHII", self._at(place, 16))
                if not flags & _WEAK:
                    yield name
                place += next_
            offset += following


def _offset(segments: Iterable[Tuple[int, int, int, int]], address: int) -> int:
    """Where in the file what is loaded to ``address`` stands."""
    for kind, offset, start, size in segments:
        if kind == _PT_LOAD and start <= address < start + size:
            return offset + address - start
    raise Malformed("has no segment for what it needs")
