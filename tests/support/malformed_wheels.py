"""Wheels with one defect each, built by functions that are named after it.

``MALFORMED`` has all of them, with words that the refusal must hold. Only those about the file name are called otherwise than FILENAME.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.support.wheels import record, wheel_members

FILENAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info/"
DATE = 0x0021
REGULAR = (stat.S_IFREG | 0o644) << 16


@dataclass(frozen=True, kw_only=True)
class Headers:
    """Fields of a member's local or central header, as they are to be written."""

    flags: int
    method: int
    crc: int
    compressed: int
    size: int
    name: bytes
    extra: bytes = b""
    needed: int = 20
    date: int = DATE


@dataclass(frozen=True, kw_only=True)
class RawMember:
    """A member, down to each field of its two headers."""

    local: Headers
    central: Headers
    stored: bytes
    """The bytes between the headers."""
    attributes: int = REGULAR
    comment: bytes = b""
    before: bytes = b""
    """Bytes before the local header that belong to nothing."""
    shift: int = 0
    """Added to the offset in the central header."""

    def both(self, **changes: object) -> RawMember:
        """The same change in both headers."""
        return replace(self, local=replace(self.local, **changes), central=replace(self.central, **changes))  # type: ignore[arg-type]

    def in_local(self, **changes: object) -> RawMember:
        """A change that the central header knows nothing of."""
        return replace(self, local=replace(self.local, **changes))  # type: ignore[arg-type]

    def in_central(self, **changes: object) -> RawMember:
        """A change that the local header knows nothing of."""
        return replace(self, central=replace(self.central, **changes))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class RawZip:
    """A ZIP file, down to each field; :meth:`build` writes it as it is told."""

    members: tuple[RawMember, ...]
    count: int | None = None
    size_shift: int = 0
    offset_shift: int = 0
    gap: bytes = b""
    """Bytes between the last member and the central directory."""
    directory_tail: bytes = b""
    comment: bytes = b""
    tail: bytes = b""
    left_out: frozenset[int] = field(default_factory=frozenset)
    """Members that the central directory does not have."""

    def build(self) -> bytes:
        """The file."""
        out = bytearray()
        directory = bytearray()
        for i, member in enumerate(self.members):
            out += member.before
            if i not in self.left_out:
                directory += central_header(member, len(out) + member.shift)
            out += local_header(member.local) + member.stored
        out += self.gap
        count = len(self.members) - len(self.left_out) if self.count is None else self.count
        end = end_record(count, len(directory) + self.size_shift, len(out) + self.offset_shift, self.comment)
        return bytes(out + directory + self.directory_tail + end + self.tail)


def local_header(headers: Headers) -> bytes:
    fixed = struct.pack(
        "<4s5H3L2H",
        b"PK\x03\x04",
        headers.needed,
        headers.flags,
        headers.method,
        0,
        headers.date,
        headers.crc,
        headers.compressed,
        headers.size,
        len(headers.name),
        len(headers.extra),
    )
    return fixed + headers.name + headers.extra


def central_header(member: RawMember, offset: int) -> bytes:
    headers = member.central
    fixed = struct.pack(
        "<4s6H3L5H2L",
        b"PK\x01\x02",
        3 << 8 | 20,
        headers.needed,
        headers.flags,
        headers.method,
        0,
        headers.date,
        headers.crc,
        headers.compressed,
        headers.size,
        len(headers.name),
        len(headers.extra),
        len(member.comment),
        0,
        0,
        member.attributes,
        offset,
    )
    return fixed + headers.name + headers.extra + member.comment


def end_record(count: int, size: int, offset: int, comment: bytes = b"") -> bytes:
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, offset, len(comment)) + comment


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def raw_member(name: str | bytes, data: bytes, *, method: int = 8) -> RawMember:
    """A good member."""
    encoded = name.encode() if isinstance(name, str) else name
    stored = raw_deflate(data) if method == 8 else data
    flags = 0 if encoded.isascii() else 1 << 11
    headers = Headers(flags=flags, method=method, crc=zlib.crc32(data), compressed=len(stored), size=len(data), name=encoded)
    return RawMember(local=headers, central=headers, stored=stored)


def good_members(**files: bytes) -> dict[str, bytes]:
    """The members of the good wheel that all others differ from in one point; ``files`` are added to its .dist-info, unless empty."""
    members = wheel_members("demo", "1.0")
    del members[INFO + "RECORD"]
    for name, data in files.items():
        members[INFO + name] = data
    return members


def recorded(members: dict[str, bytes]) -> dict[str, bytes]:
    """``members``, and a RECORD that is true to them."""
    return {**members, INFO + "RECORD": record(members, INFO + "RECORD").encode()}


def raw_zip(members: dict[str, bytes], *, method: int = 8) -> RawZip:
    return RawZip(members=tuple(raw_member(name, data, method=method) for name, data in members.items()))


def good_zip(*, method: int = 8) -> RawZip:
    return raw_zip(recorded(good_members()), method=method)


def good_wheel() -> bytes:
    return good_zip().build()


def with_files(files: dict[str, bytes]) -> bytes:
    """A wheel that is good but for the names of ``files``, which RECORD lists truly."""
    return raw_zip(recorded({**good_members(), **files})).build()


def with_record(change: Callable[[str], str]) -> bytes:
    """A wheel whose RECORD was changed."""
    members = recorded(good_members())
    members[INFO + "RECORD"] = change(members[INFO + "RECORD"].decode()).encode()
    return raw_zip(members).build()


def with_first(change: Callable[[RawMember], RawMember], *, method: int = 8) -> bytes:
    """A wheel whose first member, ``demo/__init__.py``, was changed."""
    archive = good_zip(method=method)
    return replace(archive, members=(change(archive.members[0]), *archive.members[1:])).build()


@dataclass(frozen=True, kw_only=True)
class Malformed:
    """A wheel with a defect."""

    build: Callable[[], bytes]
    words: str
    """What the refusal says, in part."""
    filename: str = FILENAME


MALFORMED: dict[str, Malformed] = {}


def malformed(words: str, *, filename: str = FILENAME) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    def register(build: Callable[[], bytes]) -> Callable[[], bytes]:
        MALFORMED[build.__name__] = Malformed(build=build, words=words, filename=filename)
        return build

    return register


# The file


@malformed("not a ZIP file")
def empty_file() -> bytes:
    return b""


@malformed("not a ZIP file")
def a_web_page_instead() -> bytes:
    return b"<!DOCTYPE html><html><body>Please log in</body></html>"


@malformed("does not end where the end record")
def bytes_before_the_archive() -> bytes:
    return b"#!/bin/sh\n" + good_wheel()


@malformed("follows bytes that belong to nothing")
def bytes_before_the_archive_with_shifted_offsets() -> bytes:
    archive = good_zip()
    first = replace(archive.members[0], before=b"#!/bin/sh\n")
    return replace(archive, members=(first, *archive.members[1:])).build()


@malformed("does not end with its end of central directory")
def bytes_after_the_archive() -> bytes:
    return good_wheel() + b"\n"


@malformed("not a ZIP file")
def cut_off_at_the_end_record() -> bytes:
    return good_wheel()[:-22]


@malformed("does not end with its end of central directory")
def last_byte_lost() -> bytes:
    return good_wheel()[:-1]


@malformed("two end of central directory records")
def end_record_inside_a_comment() -> bytes:
    archive = good_zip()
    return replace(archive, comment=end_record(0, 0, 0)).build()


@malformed("central directory")
def end_record_twice() -> bytes:
    return replace(good_zip(), tail=end_record(5, 1, 1)).build()


@malformed("central directory")
def one_wheel_behind_another() -> bytes:
    return good_wheel() + good_wheel()


@malformed("belong to nothing")
def gap_between_members() -> bytes:
    archive = good_zip()
    second = replace(archive.members[1], before=b"smuggled")
    return replace(archive, members=(archive.members[0], second, *archive.members[2:])).build()


@malformed("not directly behind the last member")
def gap_before_the_central_directory() -> bytes:
    return replace(good_zip(), gap=b"smuggled").build()


@malformed("does not end where the end record")
def gap_behind_the_central_directory() -> bytes:
    return replace(good_zip(), directory_tail=b"smuggled").build()


@malformed("something else than headers")
def rubbish_inside_the_central_directory() -> bytes:
    return replace(good_zip(), directory_tail=b"smuggled", size_shift=8).build()


@malformed("overlaps")
def two_members_share_their_bytes() -> bytes:
    archive = good_zip()
    first = archive.members[0]
    data = b"".join(local_header(member.local) + member.stored for member in archive.members)
    offsets = [0]
    for member in archive.members:
        offsets.append(offsets[-1] + len(local_header(member.local) + member.stored))
    directory = b"".join(central_header(member, offset) for member, offset in zip(archive.members, offsets, strict=False))
    directory += central_header(first.in_central(name=b"demo/twin.py"), 0)
    return data + directory + end_record(len(archive.members) + 1, len(directory), len(data))


@malformed("counts 9 members")
def wrong_count_of_members() -> bytes:
    return replace(good_zip(), count=9).build()


@malformed("follows bytes that belong to nothing")
def member_that_the_directory_does_not_know() -> bytes:
    return replace(good_zip(), left_out=frozenset({0})).build()


@malformed("part of a ZIP archive in several files")
def archive_in_several_parts() -> bytes:
    data = bytearray(good_wheel())
    data[-18] = 1
    return bytes(data)


# Members


@malformed("is there 2 times")
def same_name_twice() -> bytes:
    archive = good_zip()
    return replace(archive, members=(*archive.members, raw_member("demo/__init__.py", b"import evil\n"))).build()


@malformed("data descriptor")
def data_descriptor() -> bytes:
    def change(member: RawMember) -> RawMember:
        headers = member.central
        descriptor = struct.pack("<4s3L", b"PK\x07\x08", headers.crc, headers.compressed, headers.size)
        changed = member.both(flags=1 << 3).in_local(crc=0, compressed=0, size=0)
        return replace(changed, stored=member.stored + descriptor)

    return with_first(change)


@malformed("is encrypted")
def encrypted_member() -> bytes:
    return with_first(lambda member: member.both(flags=1))


@malformed("compression method 12")
def member_compressed_with_bzip2() -> bytes:
    return with_first(lambda member: member.both(method=12))


@malformed("unknown flags")
def unknown_flag() -> bytes:
    return with_first(lambda member: member.both(flags=1 << 13))


@malformed("disagree in its name")
def local_header_with_another_name() -> bytes:
    return with_first(lambda member: member.in_local(name=b"demo/__evil__.py"))


@malformed("disagree in its method")
def local_header_with_another_method() -> bytes:
    return with_first(lambda member: member.in_local(method=0))


@malformed("disagree in its flags")
def local_header_with_other_flags() -> bytes:
    return with_first(lambda member: member.in_local(flags=1 << 11))


@malformed("disagree in its time")
def local_header_with_another_date() -> bytes:
    return with_first(lambda member: member.in_local(date=DATE + 1))


@malformed("disagree in its CRC-32")
def local_header_with_another_crc() -> bytes:
    return with_first(lambda member: member.in_local(crc=1))


@malformed("disagree in its size")
def local_header_with_another_size() -> bytes:
    return with_first(lambda member: member.in_local(size=1))


@malformed("disagree in its compressed size")
def local_header_with_another_compressed_size() -> bytes:
    return with_first(lambda member: member.in_local(compressed=1))


@malformed("disagree in its version needed")
def local_header_that_needs_another_version() -> bytes:
    return with_first(lambda member: member.in_local(needed=45))


@malformed("no local header")
def local_header_missing() -> bytes:
    return b"PK\x03\x05" + good_wheel()[4:]


@malformed("CRC-32")
def wrong_crc_in_both_headers() -> bytes:
    return with_first(lambda member: member.both(crc=member.local.crc ^ 1))


@malformed("its header says 99")
def size_too_large_in_both_headers() -> bytes:
    return with_first(lambda member: member.both(size=99))


@malformed("is longer than the 3 bytes")
def size_too_small_in_both_headers() -> bytes:
    return with_first(lambda member: member.both(size=3))


@malformed("two sizes differ")
def stored_member_with_two_sizes() -> bytes:
    return with_first(lambda member: member.both(size=3), method=0)


@malformed("after the end of its deflate stream")
def bytes_behind_a_deflate_stream() -> bytes:
    return with_first(lambda member: replace(member.both(compressed=member.local.compressed + 4), stored=member.stored + b"evil"))


@malformed("deflate stream is cut off")
def deflate_stream_cut_off() -> bytes:
    return with_first(lambda member: replace(member.both(compressed=member.local.compressed - 2), stored=member.stored[:-2]))


@malformed("deflate stream is damaged")
def deflate_stream_damaged() -> bytes:
    return with_first(lambda member: replace(member, stored=b"\xff" * len(member.stored)))


@malformed("inflates from")
def bomb() -> bytes:
    return with_files({"demo/zeros.bin": bytes(80 << 20)})


@malformed("cannot inflate")
def size_that_no_deflate_stream_can_have() -> bytes:
    return with_first(lambda member: member.both(size=2 << 30))


@malformed("has a comment")
def comment_on_a_member() -> bytes:
    return with_first(lambda member: replace(member, comment=b"hello"))


@malformed("symbolic link")
def symbolic_link() -> bytes:
    return with_first(lambda member: replace(member, attributes=(stat.S_IFLNK | 0o777) << 16))


@malformed("no regular file")
def named_pipe() -> bytes:
    return with_first(lambda member: replace(member, attributes=(stat.S_IFIFO | 0o644) << 16))


@malformed("directory with contents")
def directory_with_contents() -> bytes:
    archive = good_zip()
    directory = replace(raw_member("demo/", b"evil", method=0), attributes=0x10)
    return replace(archive, members=(directory, *archive.members)).build()


@malformed("ZIP64 field")
def zip64_field_too_short() -> bytes:
    return with_first(lambda member: member.both(extra=struct.pack("<2HL", 1, 4, 0)))


@malformed("two values for one size")
def zip64_field_that_contradicts() -> bytes:
    return with_first(lambda member: member.both(extra=struct.pack("<2H2Q", 1, 16, 1, 1)))


@malformed("malformed or repeated extra field")
def extra_field_twice() -> bytes:
    return with_first(lambda member: member.both(extra=2 * struct.pack("<2H", 0x5455, 0)))


@malformed("malformed extra field")
def extra_field_cut_off() -> bytes:
    return with_first(lambda member: member.both(extra=b"\x55\x54\x00"))


@malformed("second name")
def second_name_in_an_extra_field() -> bytes:
    extra = struct.pack("<2HBL", 0x7075, 5 + 7, 1, 0) + b"evil.py"
    return with_first(lambda member: member.both(extra=extra))


@malformed("neither ASCII nor marked as UTF-8")
def name_in_an_unknown_encoding() -> bytes:
    return with_first(lambda member: member.both(name=b"demo/\xe9.py", flags=0))


# Names


@malformed("the part '..'")
def path_that_climbs_out() -> bytes:
    return with_files({"demo/../../evil.py": b""})


@malformed("begins or ends with a slash")
def absolute_path() -> bytes:
    return with_files({"/etc/evil": b""})


@malformed("the character")
def path_with_a_drive() -> bytes:
    return with_files({"C:/evil.py": b""})


@malformed("the character")
def path_with_backslashes() -> bytes:
    return with_files({"demo\\evil.py": b""})


@malformed("the character")
def path_with_a_control_character() -> bytes:
    return with_files({"demo/a\x07b.py": b""})


@malformed("Windows reserves")
def name_that_windows_reserves() -> bytes:
    return with_files({"demo/aux.py": b""})


@malformed("Windows reserves")
def name_that_windows_reserves_in_disguise() -> bytes:
    return with_files({"demo/COM¹.py": b""})


@malformed("ends in a dot or space")
def name_with_a_trailing_dot() -> bytes:
    return with_files({"demo/evil.py.": b""})


@malformed("same place")
def names_that_differ_in_case() -> bytes:
    return with_files({"demo/Data.py": b"", "demo/data.py": b""})


@malformed("normal form NFC")
def name_not_in_nfc() -> bytes:
    return with_files({"demo/cafe\u0301.py": b""})


@malformed("invisible character")
def name_with_a_bidi_override() -> bytes:
    return with_files({"demo/\u202eyp.py": b""})


@malformed("more than 255 bytes")
def name_too_long_for_file_systems() -> bytes:
    return with_files({"demo/" + "a" * 256: b""})


@malformed("and a directory of other files")
def file_that_is_a_directory_too() -> bytes:
    return with_files({"demo/data": b"", "demo/data/x.py": b""})


@malformed("same place")
def file_of_the_root_and_of_purelib() -> bytes:
    return with_files({"demo-1.0.data/purelib/demo/__init__.py": b"evil"})


# .dist-info


@malformed("has 0 .dist-info directories")
def dist_info_missing() -> bytes:
    return raw_zip({"demo/__init__.py": b""}).build()


@malformed("has 2 .dist-info directories")
def two_dist_infos() -> bytes:
    return with_files({"evil-1.0.dist-info/METADATA": b""})


@malformed("does not agree with the file name", filename="other-1.0-py3-none-any.whl")
def dist_info_of_another_project() -> bytes:
    return good_wheel()


@malformed("does not agree with the file name", filename="demo-1.1-py3-none-any.whl")
def dist_info_of_another_version() -> bytes:
    return good_wheel()


@malformed("does not agree with the file name")
def data_of_another_project() -> bytes:
    return with_files({"evil-1.0.data/purelib/evil.py": b""})


@malformed("is not one of")
def data_for_an_unknown_scheme() -> bytes:
    return with_files({"demo-1.0.data/startup/evil.pth": b""})


@malformed("not that of a wheel", filename="demo-1.0.whl")
def file_name_without_tags() -> bytes:
    return good_wheel()


@malformed("not that of a wheel", filename="../demo-1.0-py3-none-any.whl")
def file_name_with_a_path() -> bytes:
    return good_wheel()


@malformed("has no METADATA")
def metadata_missing() -> bytes:
    members = good_members()
    del members[INFO + "METADATA"]
    return raw_zip(recorded(members)).build()


@malformed("METADATA says that the project is 'other'")
def metadata_of_another_project() -> bytes:
    return raw_zip(recorded(good_members(METADATA=b"Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"))).build()


@malformed("METADATA says that the version is '1.1'")
def metadata_of_another_version() -> bytes:
    return raw_zip(recorded(good_members(METADATA=b"Metadata-Version: 2.1\nName: demo\nVersion: 1.1\n"))).build()


@malformed("2 lines Name")
def metadata_with_two_names() -> bytes:
    return raw_zip(recorded(good_members(METADATA=b"Metadata-Version: 2.1\nName: demo\nName: evil\nVersion: 1.0\n"))).build()


@malformed("METADATA cannot be read")
def metadata_not_utf8() -> bytes:
    return raw_zip(recorded(good_members(METADATA=b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nAuthor: \xe9\n"))).build()


@malformed("has no WHEEL")
def wheel_file_missing() -> bytes:
    members = good_members()
    del members[INFO + "WHEEL"]
    return raw_zip(recorded(members)).build()


@malformed("the wheel format is '2.0'")
def wheel_format_of_the_future() -> bytes:
    return raw_zip(recorded(good_members(WHEEL=b"Wheel-Version: 2.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"))).build()


@malformed("neither true nor false")
def purelib_neither_true_nor_false() -> bytes:
    return raw_zip(recorded(good_members(WHEEL=b"Wheel-Version: 1.0\nRoot-Is-Purelib: maybe\nTag: py3-none-any\n"))).build()


@malformed("WHEEL has the tags", filename="demo-1.0-cp312-cp312-win_amd64.whl")
def file_name_with_other_tags() -> bytes:
    return good_wheel()


@malformed("is no name for a script")
def script_that_climbs_out() -> bytes:
    return with_files({INFO + "entry_points.txt": b"[console_scripts]\n../../evil = demo:main\n"})


# RECORD


@malformed("has no RECORD")
def record_missing() -> bytes:
    return raw_zip(good_members()).build()


@malformed("is not in RECORD")
def record_empty() -> bytes:
    return with_record(lambda _: "")


@malformed("is not in RECORD")
def file_that_record_does_not_know() -> bytes:
    members = recorded(good_members())
    return raw_zip({**members, "demo/evil.py": b""}).build()


@malformed("which is not in the wheel")
def record_of_a_file_that_is_not_there() -> bytes:
    return with_record(lambda text: "demo/gone.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n" + text)


@malformed("another sha256")
def record_with_a_wrong_digest() -> bytes:
    return with_record(lambda text: text.replace("sha256=", "sha256=A", 1))


@malformed("RECORD says 99")
def record_with_a_wrong_size() -> bytes:
    return with_record(lambda text: text.replace("demo/__init__.py", "#", 1).replace(",20\n", ",99\n").replace("#", "demo/__init__.py", 1))


@malformed("RECORD has 'md5'")
def record_with_a_weak_digest() -> bytes:
    return with_record(lambda text: text.replace("sha256=", "md5=", 1))


@malformed("no digest")
def record_without_a_digest() -> bytes:
    return with_record(lambda text: "demo/__init__.py,,20\n" + text.partition("\n")[2])


@malformed("twice")
def record_with_a_line_twice() -> bytes:
    return with_record(lambda text: text.partition("\n")[0] + "\n" + text)


@malformed("malformed line")
def record_with_a_field_too_many() -> bytes:
    return with_record(lambda text: text.replace(",20\n", ",20,\n", 1))


@malformed("which can have none")
def record_with_its_own_digest() -> bytes:
    return with_record(lambda text: text.replace("RECORD,,", "RECORD,sha256=AAAA,4"))


@malformed("RECORD cannot be read")
def record_not_utf8() -> bytes:
    members = recorded(good_members())
    members[INFO + "RECORD"] = b"\xff\xfe"
    return raw_zip(members).build()
