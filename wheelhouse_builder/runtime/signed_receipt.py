"""Receipts that are signed: whoever gets one can tell who vouches for it, on a host where nobody can install anything for that.

The standard library signs nothing, so OpenSSH does, where it is there: ``wheelhouse-receipt.json.sig`` beside the receipt is what
``ssh-keygen -Y sign`` makes of it, in a namespace of its own. It is checked as signatures of bundles are, or by ``ssh-keygen -Y verify``.
"""

import os
import shutil
import subprocess
import sys
import time
from typing import NamedTuple, Optional

from .child import LAST_LINES, clean_environment
from .errors import EnvironmentFailure, KeyFailure, SignatureRefused
from .layout import MAX_SIGNATURE_SIZE
from .policy import Trust
from .receipt import FILENAME, MOST
from .sshsig import KEY_TYPES, Sshsig, fingerprint, parse, verify
from .trust import Signer

NAMESPACE = "wheelhouse-receipt-v1"
"""A signature of a bundle is none of a receipt, and the other way round."""
SIGNATURE = FILENAME + ".sig"
_AGENT = "SSH_AUTH_SOCK"


class ReceiptKey(NamedTuple):
    """What signs receipts on this host."""

    program: str
    """Path of ssh-keygen."""
    path: str
    """Of the private key, or of a public one whose private half the agent holds."""


def receipt_key(path: str) -> ReceiptKey:
    """The key at ``path``. Raises EnvironmentFailure where there is no ssh-keygen, KeyFailure where there is no key."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise EnvironmentFailure(
            "Receipts are signed by ssh-keygen, which this host does not have.",
            hint="Nothing was changed. Install the client of OpenSSH, or leave out --sign-receipt.",
        )
    if not os.path.isfile(path):
        raise KeyFailure("%s is no file, so no key to sign receipts with." % path, hint="Nothing was changed. Name a key of ssh-keygen's.")
    return ReceiptKey(os.path.abspath(program), os.path.abspath(path))


def signed(receipt: bytes, key: ReceiptKey, scratch: str) -> bytes:
    """The signature over a receipt, made in the private directory ``scratch``. Raises KeyFailure."""
    paper = os.path.join(scratch, "receipt-to-sign")
    with open(paper, "wb") as file:
        file.write(receipt)
    env = dict(clean_environment(scratch), **{name: os.environ[name] for name in (_AGENT,) if name in os.environ})
    done = subprocess.run(
        [key.program, "-Y", "sign", "-f", key.path, "-n", NAMESPACE, paper],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # without a terminal nobody is asked for a passphrase
        check=False,
    )
    if done.returncode or not os.path.isfile(paper + ".sig"):
        said = done.stdout.decode(sys.getfilesystemencoding(), "replace").splitlines()[-LAST_LINES:]
        raise _unsigned("ssh-keygen could not sign the receipt with %s." % key.path, *["  " + line.rstrip() for line in said])
    with open(paper + ".sig", "rb") as file:
        signature = file.read().replace(b"\r\n", b"\n")
    if not _fits(parse(signature), receipt):
        raise _unsigned("The key %s makes signatures that cannot be checked here." % key.path)
    return signature


def signature_in(environment: str) -> Optional[Sshsig]:
    """The good signature over the receipt in ``environment``, by whomever; None where there is none. Raises OSError."""
    paths = [os.path.join(environment, name) for name in (FILENAME, SIGNATURE)]
    if not all(map(os.path.isfile, paths)):  # nor pipes, which somebody put there and which never end
        return None
    try:
        with open(paths[0], "rb") as receipt, open(paths[1], "rb") as file:
            signature = parse(file.read(MAX_SIGNATURE_SIZE + 1))
            return signature if _fits(signature, receipt.read(MOST)) else None
    except (FileNotFoundError, SignatureRefused):
        return None


def signer_of(environment: str, trust: Trust) -> Signer:
    """Who vouches for the receipt in ``environment``. Raises SignatureRefused when it is nobody whom ``trust`` names."""
    signature = signature_in(environment)
    path = os.path.join(environment, FILENAME)
    if signature is None:
        raise _refused("%s has no good signature beside it." % path)
    now = time.time()
    signer = trust.signers.trusts(signature.public_key, NAMESPACE, now)
    if signer is None:
        untrusted = trust.signers.why_not(signature.public_key, NAMESPACE, now)
        raise _refused("%s is signed by the key %s, which %s." % (path, fingerprint(signature.public_key), untrusted))
    uncounted = trust.why_not_counted(signer)
    if uncounted:
        raise _refused("%s is signed by %s (%s): %s." % (path, signer.principal, signer.fingerprint, uncounted))
    return signer


def _fits(signature: Sshsig, receipt: bytes) -> bool:
    return signature.namespace == NAMESPACE and verify(signature, receipt)


def _refused(problem: str) -> SignatureRefused:
    return SignatureRefused(problem, hint="Receipts are signed by `install --sign-receipt KEY`, in the namespace %s." % NAMESPACE)


def _unsigned(*problems: str) -> KeyFailure:
    hint = "Nothing was changed. A key without a passphrase, or one that ssh-agent holds, is needed, of one of these types: %s."
    return KeyFailure(*problems, hint=hint % ", ".join(KEY_TYPES))
