"""Fetched wheels → the same, with what their publishers attest of them (PEP 740), as far as the spec asks for that.

What an index offers is verified, or the wheel is refused. What is required and not offered is missing, and the wheel is refused, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from wheelhouse_builder.adapters.index import CONNECTIONS, IndexFile, InMemory, is_absent, shown
from wheelhouse_builder.adapters.notary import Notary
from wheelhouse_builder.adapters.router import Client, Several
from wheelhouse_builder.errors import DistributionError, IndexFailure
from wheelhouse_builder.model.attestations import OFF, REQUIRED, Attestations, Demand
from wheelhouse_builder.model.distribution import LockedSdist, Wheel
from wheelhouse_builder.reporter import Reporter
from wheelhouse_builder.runtime.attested import read_attestations
from wheelhouse_builder.runtime.layout import MAX_ATTESTATIONS

HINT = (
    "An attestation says who published a file, and these do not say what the spec asks. Find out why from the people who publish it;"
    " `attestations` in wheelhouse.yaml says what is asked of which project."
)


def attest(
    wheels: Mapping[str, Wheel], asked: Attestations, *, notary: Notary, client: Client, offers: Several, reporter: Reporter
) -> dict[str, Wheel]:
    """Verify the attestations that ``offers`` have of ``wheels``, by file name; they are kept with each wheel.

    Raises DistributionError with the problems of all wheels, IndexFailure.
    """
    work = [wheel for wheel in wheels.values() if asked.of(wheel.project).mode != OFF]
    attested, problems = dict(wheels), []
    with reporter.step("asking for attestations", total=len(work), unit="") as step, ThreadPoolExecutor(CONNECTIONS, "attest") as threads:
        for wheel, answer in zip(work, threads.map(lambda wheel: _offered(wheel, client, offers), work), strict=True):
            problem = _problem(wheel, answer, asked.of(wheel.project), notary)
            if problem:
                problems.append(f"{wheel.filename}: {problem}")
            attested[wheel.filename] = replace(wheel, attestations=answer if isinstance(answer, bytes) else None)
            step.advance()
    if problems:
        raise DistributionError(*problems, hint=HINT)
    return attested


def attest_sdists(
    sdists: Iterable[LockedSdist], asked: Attestations, *, notary: Notary, client: Client, offers: Several, reporter: Reporter
) -> None:
    """Verify the attestations of what is going to be built, as those of wheels. Raises DistributionError, IndexFailure."""
    files = {
        sdist.filename: Wheel(
            project=sdist.project,
            version=sdist.version,
            filename=sdist.filename,
            sha256=sdist.sha256,
            size=sdist.size or 0,
            path=Path(),  # attestations are of a digest, not of bytes
            url=sdist.url,
        )
        for sdist in sdists
    }
    if files:
        attest(files, asked, notary=notary, client=client, offers=offers, reporter=reporter)


def _offered(wheel: Wheel, client: Client, offers: Several) -> bytes | str | None:
    """The provenance document of ``wheel`` as the index has it; a sentence about one that cannot be had; None: it offers none."""
    file = _on_the_index(wheel, offers)
    if file is None or file.provenance is None:
        return None
    if urlsplit(file.provenance).scheme not in ("http", "https"):
        return f"its attestations are said to lie at {shown(file.provenance)}, which no index has"
    document = _Document()
    try:
        client.download(file.provenance, document)
    except DistributionError as error:
        return str(error)
    return bytes(document.data)


def _on_the_index(wheel: Wheel, offers: Several) -> IndexFile | None:
    try:
        files = offers.files("", wheel.project)
    except IndexFailure as failure:
        if is_absent(failure):
            return None
        raise
    same = (file for file in files if file.filename == wheel.filename and file.hashes.get("sha256", wheel.sha256) == wheel.sha256)
    return next(same, None)


def _problem(wheel: Wheel, answer: bytes | str | None, demand: Demand, notary: Notary) -> str | None:
    """Why the wheel is not what the spec asks; None: it is."""
    if isinstance(answer, str):
        return answer
    if answer is None:
        return "the index offers no attestation of it, and the spec requires one" if demand.mode == REQUIRED else None
    try:
        attested = read_attestations(answer, wheel.sha256)
    except ValueError as error:
        return f"its attestations are not good: {error}"
    if reason := notary.problem(answer, wheel.filename, wheel.sha256):
        return f"its attestations are not good: {reason}"
    if not demand.admits(attested.publisher):
        return f"it was published by {attested.publisher}, and the spec wants {demand.publisher}"
    return None


class _Document(InMemory):
    """As long as it is not too long."""

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.size > MAX_ATTESTATIONS:
            raise DistributionError(f"its attestations have more than {MAX_ATTESTATIONS} bytes")
