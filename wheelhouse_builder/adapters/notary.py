"""The notary: whether the signatures of attestations hold (PEP 740). The extra ``attestations`` brings the libraries that it asks.

The roots of trust are those that come with the installed sigstore. Nobody is asked over a network: what a build host reaches is what its
spec names. So attestations that newer keys of sigstore's services witness are refused until it is brought up to date.
"""

from __future__ import annotations

import logging

from wheelhouse_builder.errors import EnvironmentFailure

INSTALL = "Install what verifies them, `pip install 'wheelhouse-builder[attestations]'`, or take `attestations` out of the spec."


class Notary:
    """Knows the roots of trust. Raises EnvironmentFailure where it cannot."""

    def __init__(self) -> None:
        # Imported here: an extra brings it, and it takes a second.
        try:
            import pypi_attestations  # noqa: PLC0415
            import sigstore.verify  # noqa: PLC0415
        except ImportError as error:
            raise EnvironmentFailure("the spec asks for attestations, and nothing here can verify them", hint=INSTALL) from error
        logging.getLogger("sigstore").setLevel(logging.ERROR)  # it warns of what is meant: no network
        try:
            sigstore.verify.Verifier.production(offline=True)
        except Exception as error:
            raise EnvironmentFailure(f"sigstore has no roots of trust: {error}", hint="Is your cache directory writable?") from error
        self._library = pypi_attestations

    def problem(self, document: bytes, filename: str, sha256: str) -> str | None:
        """Why not each attestation in a provenance document is a good one of this file by the publisher that it names; or None."""
        try:
            provenance = self._library.Provenance.model_validate_json(document)
            file = self._library.Distribution(name=filename, digest=sha256)
            seen = [
                attestation.verify(bundle.publisher, file, offline=True)
                for bundle in provenance.attestation_bundles
                for attestation in bundle.attestations
            ]
        except Exception as error:  # noqa: BLE001 # whatever these libraries make of it, it was not found good
            return _reason(error)
        return None if seen else "there is none"


def _reason(error: Exception) -> str:
    """One line; of pydantic's reports the first sentence, which repeats nothing of the document."""
    errors = getattr(error, "errors", None)
    if callable(errors) and (found := errors(include_url=False, include_context=False, include_input=False)):
        return f"{'.'.join(map(str, found[0]['loc']))}: {found[0]['msg']}"
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
