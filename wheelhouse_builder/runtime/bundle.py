"""Reading a bundle: opened once, believed only as far as it is signed.

:func:`verify` is the only way to a :class:`VerifiedBundle`, and nothing unpacks or installs from anything else.
"""

import hashlib
import os
import re
import struct
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from . import sshsig
from .control import END_SIZE, compressed_part, control_size, decode_control, inflated, is_deflated, is_end_record
from .errors import BundleRefused, SignatureRefused
from .layout import (
    CHUNK_SIZE,
    DECODERS,
    MANIFEST,
    MAX_MANIFEST_SIZE,
    MAX_SIGNATURES,
    NAMESPACE,
    SIGNATURES,
    SKIPPABLE_HEADER_SIZE,
    SKIPPABLE_MAGIC,
)
from .manifest import Manifest, content_digest, parse_manifest
from .memory import Memory
from .policy import Trust
from .progress import NoProgress, Progress
from .source import Source
from .sshsig import Sshsig
from .trust import Signer
from .volumes import open_source

_MOST_HASHERS = 4
"""Chunks that are hashed at the same time; no medium is faster, and each takes 4 MiB of memory."""
_FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
"""With which the payload begins (zstd)."""
_LONGEST_TAIL = 1 << 16
"""Bytes at the end of a file that are looked through for what was added to it, to say so."""
_SIGNATURE_NAME = re.compile(re.escape(SIGNATURES) + r"[0-9a-f]{32}\.sig")
_SAYS_NOTHING = "The file is cut off, was changed, or is no bundle. Copy it again and compare its SHA-256 with the sender's."


class Bundle(NamedTuple):
    """What a file says of itself. **Nothing of it is verified**: good for a look, never for an installation."""

    file: Source
    """Where it was read; closed."""
    manifest: Manifest
    digest: str
    """Content digest: the bundle's identity."""
    control: Dict[str, bytes]
    """Members of the control part, by name, as :mod:`control` decodes them."""
    claims: Tuple[str, ...]
    """Fingerprints of the keys that the signatures name."""


class VerifiedBundle:
    """A bundle whose manifest is signed by a trusted key, with its file held open. Made by :func:`verify` alone."""

    def __init__(self, opened: "_Opened", manifest: Manifest, control: Dict[str, bytes], signers: Tuple[Signer, ...]) -> None:
        self.manifest = manifest
        self.digest = content_digest(manifest.document)
        """Content digest: the bundle's identity."""
        self.signers = signers
        """Whose good signatures it carries; at least one."""
        self.control = control
        """Contents of the control part's members, by name; each is named by the manifest or is the manifest or a signature."""
        self.frame_offsets = _frame_offsets(manifest)
        """Where in the file each frame of the payload begins."""
        self.path = opened.file.path
        self.size = opened.file.size
        """Bytes of the whole file."""
        self.file = opened.file
        """Held open: the bundle's bytes."""

    def chunks(self, frame: int) -> Iterator[bytes]:
        """The compressed bytes of a frame, at most 4 MiB at a time, none before its digest was found right (check 6).

        Raises BundleRefused at the first chunk that is not the signed one. May run in several threads at once.
        """
        for place in self.places(frame):
            yield self.chunk(place)

    def places(self, frame: int) -> Iterator["_Place"]:
        """Where the chunks of a frame lie."""
        size = self.manifest.frames[frame].size
        for index, digest in enumerate(self.manifest.frames[frame].chunks):
            start = index * CHUNK_SIZE
            yield _Place(self.frame_offsets[frame] + start, min(CHUNK_SIZE, size - start), digest)

    def chunk(self, place: "_Place") -> bytes:
        """The bytes of one chunk. Raises BundleRefused when they are not the signed ones."""
        offset, size, digest = place
        data = self.file.read(offset, size)
        if hashlib.sha256(data).hexdigest() == digest:
            return data
        if self.file.heal():
            data = self.file.read(offset, size)
            if hashlib.sha256(data).hexdigest() == digest:
                return data
        raise BundleRefused(
            "{}: {} bytes from here on are not what was signed.".format(self.file.place(offset), size),
            hint="The file was damaged or changed on its way. Copy it again.",
        )

    def close(self) -> None:
        """Close the file; no chunk can be read any more."""
        self.file.close()

    def __enter__(self) -> "VerifiedBundle":  # noqa: PYI034 - typing.Self is not in Python 3.6
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Place(NamedTuple):
    """Where a chunk lies in the file, its bytes, and the digest that was signed."""

    offset: int
    size: int
    digest: str


def verify(
    path: str,
    trust: Trust,
    progress: Optional[Progress] = None,
    *,
    memory: Optional[Memory] = None,
    volumes: Sequence[str] = (),
    payload: bool = True,
    policy: bool = True,
    now: Optional[float] = None,
) -> VerifiedBundle:
    """The bundle at ``path``, after these checks (FORMAT.md, section 8), in this order.

    1. The file is opened once; end record, skippable header and control part agree; every length is capped before it is read.
    2. Signatures over the exact manifest bytes: enough trusted people, the right namespace, allowed algorithms, no revoked key.
    3. The manifest parses strictly; its version is known; the control part's files are those that it names.
    4. Policy: channel, audience, not-after; the sequence is not lower than what ``memory`` has seen.
    5. The payload's size is the sum of the frames; nothing stands between or after.
    6. The digest of each chunk, before it is decompressed. With ``payload=False`` the reader makes this check as it goes:
       :meth:`VerifiedBundle.chunks` yields nothing unchecked.

    ``volumes`` are further places where volumes lie: see :func:`~volumes.open_source`.
    ``policy=False`` leaves out check 4: a delta vouches for what is taken from its base, however old that is.
    ``memory`` is what this host has seen before; None: nothing.
    ``now`` is the time at which trust must hold, in seconds since 1970; by default this host's clock.
    Raises BundleRefused, SignatureRefused, KeyFailure when the trust store is older than one that this host has used, or EnvironmentFailure
    when the file cannot be opened or read.
    """
    moment = time.time() if now is None else now
    if memory is not None:
        memory.require_current_policy(trust.policy)
        moment = memory.now(moment)
    opened = _open(path, volumes)  # 1
    try:
        found = _check_signatures(opened.control, trust, moment)  # 2
        manifest, contents = _read_manifest(opened.control)  # 3
        if policy:
            _check_policy(manifest, trust, memory, moment)  # 4
        _check_payload_size(manifest, opened)  # 5
        bundle = VerifiedBundle(opened, manifest, contents, found)
        if payload:
            _check_payload(bundle, progress or NoProgress())  # 6
    except BaseException:
        opened.file.close()
        raise
    return bundle


def open_bundle(path: str, volumes: Sequence[str] = ()) -> Bundle:
    """What the file at ``path``, or its volumes, says of itself, after checks 1, 3 and 5 of :func:`verify`: **unverified**.

    Raises BundleRefused, SignatureRefused for a malformed signature, or EnvironmentFailure.
    """
    opened = _open(path, volumes)
    try:
        manifest, _ = _read_manifest(opened.control)
        _check_payload_size(manifest, opened)
        claims = tuple(sshsig.fingerprint(each.public_key) for each in _read_signatures(opened.control))
    finally:
        opened.file.close()
    return Bundle(opened.file, manifest, content_digest(manifest.document), opened.control, claims)


# Check 1: the file


class _Opened(NamedTuple):
    """A file that is built like a bundle (check 1)."""

    file: Source
    payload_size: int
    control: Dict[str, bytes]


def _open(path: str, volumes: Sequence[str]) -> _Opened:
    file = open_source(path, volumes)
    try:
        payload_size, control = _read_soundly(file)
    except BaseException:
        file.close()
        raise
    return _Opened(file, payload_size, control)


def _read_soundly(file: Source) -> Tuple[int, Dict[str, bytes]]:
    """The same as :func:`_read_control`; once more where a damaged volume could be replaced."""
    try:
        return _read_control(file)
    except BundleRefused:
        if not file.heal():
            raise
    return _read_control(file)


def _read_control(file: Source) -> Tuple[int, Dict[str, bytes]]:
    """The payload's size, from where the control part begins, and the control part's members."""
    if file.size < SKIPPABLE_HEADER_SIZE + END_SIZE:
        raise _no_bundle(file.path, "it is too short")
    size = _control_size(file)
    payload_size = file.size - size - SKIPPABLE_HEADER_SIZE
    if payload_size < 0:
        raise _no_bundle(file.path, "its end record tells of more than the file holds")
    data = file.read(payload_size, SKIPPABLE_HEADER_SIZE + size)
    if data[:SKIPPABLE_HEADER_SIZE] != SKIPPABLE_MAGIC + struct.pack("<I", size):
        raise _no_bundle(file.path, "its control part does not begin where its end record says")
    return payload_size, decode_control(data[SKIPPABLE_HEADER_SIZE:])


def _control_size(file: Source) -> int:
    """The length in bytes of the control part, from the end of the file."""
    end = file.read(file.size - END_SIZE, END_SIZE)
    if is_end_record(end):
        return control_size(end)
    if file.read(0, len(_FRAME_MAGIC)) != _FRAME_MAGIC:
        raise _no_bundle(file.path, "it neither begins nor ends as one")
    tail = file.read(max(0, file.size - _LONGEST_TAIL), min(file.size, _LONGEST_TAIL))
    places = (len(tail) - at for at in range(len(tail) - END_SIZE, 0, -1) if is_end_record(tail[at : at + END_SIZE]))
    more = next(places, END_SIZE) - END_SIZE
    raise _no_bundle(file.path, "{} bytes stand behind its end".format(more) if more else "it is cut off, or damaged at its end")


def _no_bundle(path: str, why: str) -> BundleRefused:
    return BundleRefused("{} is no bundle: {}.".format(path, why), hint=_SAYS_NOTHING)


# Check 2: the signatures


def _check_signatures(control: Dict[str, bytes], trust: Trust, now: float) -> Tuple[Signer, ...]:
    """The trusted signers of the manifest's bytes: all must be good, and they must be enough."""
    signers = trust.signers
    message = _manifest_bytes(control)
    good: List[Signer] = []
    ignored: List[str] = []
    for each in _read_signatures(control):
        signer = signers.trusts(each.public_key, NAMESPACE, now)
        if signer is None:
            ignored.append(
                "It is signed by {}, which {}.".format(
                    sshsig.fingerprint(each.public_key), signers.why_not(each.public_key, NAMESPACE, now)
                )
            )
            continue
        _require_good(each, signer, message)
        good.append(signer)
    if not good:
        raise SignatureRefused(
            "The bundle has no good signature by a trusted key.",
            *(ignored or ["It is not signed."]),
            hint="Ask the sender, by another path than the bundle's, for the fingerprint of the key that signs. Trust it only then.",
        )
    trust.require_enough(good)
    return tuple(good)


def _read_signatures(control: Dict[str, bytes]) -> List[Sshsig]:
    """All signatures, well-formed, each under the name that its key gives it."""
    names = [name for name in control if name.startswith(SIGNATURES)]
    if len(names) > MAX_SIGNATURES:
        raise _bad_member("the bundle has {} signatures, {} are allowed".format(len(names), MAX_SIGNATURES))
    found = []
    for name in names:
        if not _SIGNATURE_NAME.fullmatch(name):
            raise _bad_member("{} is not named as a signature is".format(name))
        signature = sshsig.parse(control[name])
        if sshsig.member_name(signature.public_key) != name:
            raise _bad_member("{} holds a signature by another key than its name says".format(name))
        if signature.namespace != NAMESPACE:
            raise _bad_member("{} is for {}, not for {!r}".format(name, ascii(signature.namespace[:80]), NAMESPACE))
        found.append(signature)
    return found


def _require_good(signature: Sshsig, signer: Signer, message: bytes) -> None:
    if not sshsig.verify(signature, message):
        raise _bad_signature(signer, "is wrong: the manifest is not what was signed")


def _bad_signature(signer: Signer, why: str) -> SignatureRefused:
    return SignatureRefused(
        "The signature by {} ({}) {}.".format(signer.principal, signer.fingerprint, why),
        hint="The bundle was damaged or changed on its way. Copy it again; if it stays so, tell the sender.",
    )


def _bad_member(why: str) -> SignatureRefused:
    return SignatureRefused("{}.".format(why[0].upper() + why[1:]), hint=_SAYS_NOTHING)


# Check 4: the policy


def _check_policy(manifest: Manifest, trust: Trust, memory: Optional[Memory], now: float) -> None:
    problems = trust.terms_problems(manifest, now)
    if problems:
        raise BundleRefused(
            *problems, hint="Is it the right bundle, and are this host's trust store and clock right? Ask its sender for a newer one."
        )
    if memory is not None:
        memory.require_current(manifest, content_digest(manifest.document))


# Checks 3, 5 and 6: the manifest, and that the file is what it names


def _manifest_bytes(control: Dict[str, bytes]) -> bytes:
    if MANIFEST not in control:
        raise BundleRefused("The bundle has no {}.".format(MANIFEST), hint=_SAYS_NOTHING)
    data = control[MANIFEST]
    if len(data) > MAX_MANIFEST_SIZE:
        raise BundleRefused("The manifest has {} bytes, {} are allowed.".format(len(data), MAX_MANIFEST_SIZE), hint=_SAYS_NOTHING)
    return data


def _read_manifest(control: Dict[str, bytes]) -> Tuple[Manifest, Dict[str, bytes]]:
    """The manifest, and the content of each control member, which is what the manifest names."""
    manifest = parse_manifest(_manifest_bytes(control))
    wanted = {each.path: each for each in manifest.control}
    names = set(wanted) | ({DECODERS} if manifest.decoders else set())
    own = [name for name in control if name != MANIFEST and not name.startswith(SIGNATURES)]
    problems = ["The control part lacks {}.".format(name) for name in sorted(names - set(own))]
    problems += ["The control part holds {}, which the manifest does not name.".format(name) for name in sorted(set(own) - names)]
    if not problems and compressed_part(control) != (manifest.compressed.size, manifest.compressed.sha256):
        problems.append("What stands compressed in the control part is not what the manifest names.")
    if problems:
        raise _damaged(problems)
    contents = {name: inflated(name, data, wanted[name].size) if is_deflated(name) else data for name, data in control.items()}
    found = {name: (len(contents[name]), hashlib.sha256(contents[name]).hexdigest()) for name in wanted}
    problems = [name for name in sorted(found) if found[name] != (wanted[name].size, wanted[name].sha256)]
    if problems:
        raise _damaged(["{} in the control part is not what the manifest names.".format(name) for name in problems])
    return manifest, contents


def _damaged(problems: Sequence[str]) -> BundleRefused:
    return BundleRefused(*problems, hint="The file was damaged or changed on its way. Copy it again.")


def _check_payload_size(manifest: Manifest, opened: _Opened) -> None:
    if opened.file.identity not in (None, content_digest(manifest.document)):
        raise BundleRefused(
            "{}: the volumes say that they hold sha256:{}, and hold sha256:{}.".format(
                opened.file.path, opened.file.identity, content_digest(manifest.document)
            ),
            hint="The volumes were damaged or changed on their way. Copy them again.",
        )
    if manifest.payload_size != opened.payload_size:
        raise BundleRefused(
            "{}: the payload has {} bytes, the manifest names {}.".format(opened.file.path, opened.payload_size, manifest.payload_size),
            hint="The file is cut off or was changed. Copy it again.",
        )


def _check_payload(bundle: VerifiedBundle, progress: Progress) -> None:
    """Check 6 on several cores, in the order of the file, which discs and sticks read best."""
    cores = min(_MOST_HASHERS, os.cpu_count() or 1)
    with progress.step("verifying", total=bundle.manifest.payload_size, unit="B") as step, ThreadPoolExecutor(cores) as threads:
        running: "Deque[Future[bytes]]" = deque()
        for place in chain.from_iterable(map(bundle.places, range(len(bundle.manifest.frames)))):
            running.append(threads.submit(bundle.chunk, place))
            if len(running) > 2 * cores:
                step.advance(len(running.popleft().result()))
        while running:
            step.advance(len(running.popleft().result()))


def _frame_offsets(manifest: Manifest) -> Tuple[int, ...]:
    offsets, offset = [], 0
    for frame in manifest.frames:
        offsets.append(offset)
        offset += frame.size
    return tuple(offsets)
