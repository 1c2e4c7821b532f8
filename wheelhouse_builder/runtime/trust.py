"""Whom to trust: OpenSSH's ``allowed_signers`` files (ssh-keygen(1), ALLOWED SIGNERS).

Each line: principals, options, key type, key, comment. A line that cannot be understood refuses the whole file, with its
number: nobody is left out in silence, and nobody is let in. Lines of certificate authorities and of keys that cannot be checked here are
understood and give no trust here.
"""

import base64
import binascii
import calendar
import re
import time
from typing import Dict, List, NamedTuple, Optional, Tuple

from . import sshsig
from .errors import KeyFailure, SignatureRefused
from .trusted_file import Unbelievable, because, read_trusted

_OTHER_KEYS = re.compile(
    r"(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r"|[a-z0-9-]+-cert-v01@openssh\.com"
    r"|" + re.escape(sshsig.MLDSA_87)
)
_WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
_OPTION = re.compile(r'([A-Za-z-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,|$)')
_TIME = re.compile(r"([0-9]{8})(?:([0-9]{4})([0-9]{2})?)?(Z?)")


class Signer(NamedTuple):
    """Someone whose signature was found good."""

    principal: str
    """As the trust file names them, usually an e-mail address."""
    public_key: bytes
    """Wire bytes, as :mod:`.sshsig` has them."""

    @property
    def algorithm(self) -> str:
        """The key's type: one of ``sshsig.KEY_TYPES``."""
        return sshsig.key_type(self.public_key)

    @property
    def fingerprint(self) -> str:
        """``SHA256:…``, as ``ssh-keygen -l`` prints it."""
        return sshsig.fingerprint(self.public_key)


class AllowedSigner(NamedTuple):
    """One line of the file that speaks of a key whose signatures can be checked here."""

    principal: str
    public_key: bytes
    """Wire bytes."""
    namespaces: Optional[str]
    """Pattern list that limits what the key may sign, or None: anything."""
    valid_after: Optional[float]
    """Seconds since 1970, or None; the same for the next."""
    valid_before: Optional[float]

    def problem(self, namespace: str, now: float) -> Optional[str]:
        """Why this line gives no trust for ``namespace`` at the time ``now``, or None if it does."""
        if self.namespaces is not None and not _matches(self.namespaces, namespace):
            return "is trusted for {!r}, not for {!r}".format(self.namespaces, namespace)
        if self.valid_after is not None and now < self.valid_after:
            return "is trusted from {} on".format(_date(self.valid_after))
        if self.valid_before is not None and now > self.valid_before:
            return "was trusted until {}".format(_date(self.valid_before))
        return None


class AllowedSigners(NamedTuple):
    """The keys that an administrator trusts. Made by :func:`read_allowed_signers`."""

    path: str
    """Where they were read, for messages."""
    lines: Tuple[AllowedSigner, ...]

    def trusts(self, public_key: bytes, namespace: str, now: float) -> Optional[Signer]:
        """Who holds ``public_key``, if its signatures count for ``namespace`` at the time ``now`` (seconds since 1970)."""
        for line in self.lines:
            if line.public_key == public_key and line.problem(namespace, now) is None:
                return Signer(line.principal, public_key)
        return None

    def why_not(self, public_key: bytes, namespace: str, now: float) -> str:
        """Why :meth:`trusts` says nobody; one clause, whose subject is the key."""
        problems = [line.problem(namespace, now) for line in self.lines if line.public_key == public_key]
        return next((problem for problem in problems if problem), "is not in {}".format(self.path))


def read_allowed_signers(path: str) -> AllowedSigners:
    """The trusted keys of the file at ``path``.

    Raises KeyFailure if the file cannot be read, has a line that cannot be understood (all such lines are named), or trusts no key.
    """
    text = _read(path)
    lines, problems = [], []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            found = _parse_line(line.strip(" \t\r"))
        except ValueError as error:
            problems.append("{}, line {}: {}.".format(path, number, error))
            continue
        if found is not None:
            lines.append(found)
    if problems:
        raise KeyFailure(*problems, hint="Each line is: principals [options] TYPE KEY. See ALLOWED SIGNERS in ssh-keygen(1).")
    if not lines:
        raise KeyFailure(
            "{} trusts no key of a type that can be checked here: {}.".format(path, ", ".join(sshsig.KEY_TYPES)),
            hint="Add a line such as: you@example.org ssh-ed25519 KEY, with the key of the .pub file that 'wheelhouse keygen' wrote.",
        )
    return AllowedSigners(path, tuple(lines))


def _read(path: str) -> str:
    hint = "Name the allowed_signers file that reached this host by another path than the bundle, or the directory that holds it."
    try:
        return read_trusted(path).decode("utf-8")
    except FileNotFoundError:
        raise KeyFailure("The trusted keys cannot be read from {}: there is no such file.".format(path), hint=hint) from None
    except Unbelievable as error:
        raise because(error, path, KeyFailure, hint) from None
    except UnicodeDecodeError:
        raise KeyFailure("{} is not UTF-8 text; it is no list of trusted keys.".format(path)) from None


def _parse_line(line: str) -> Optional[AllowedSigner]:
    """The line's key, or None if it has none for us. Raises ValueError with a clause for what it does not understand."""
    if not line or line.startswith("#"):
        return None
    principal, rest = _take_word(line)
    principal = principal.replace('"', "")
    if not principal or not rest:
        raise ValueError("it has no key")
    word, after = _take_word(rest)
    options: Dict[str, str] = {}
    if not _OTHER_KEYS.fullmatch(word):
        options = _parse_options(word)
        word, after = _take_word(after)
    return _parse_key(principal, options, word, after)


def _parse_key(principal: str, options: Dict[str, str], kind: str, rest: str) -> Optional[AllowedSigner]:
    if not _OTHER_KEYS.fullmatch(kind):
        raise ValueError("the key type {} is unknown".format(ascii(kind[:80])))
    after, before = _moment(options, "valid-after"), _moment(options, "valid-before")
    if after is not None and before is not None and before <= after:
        raise ValueError("valid-before is not later than valid-after")
    key = _decode_key(kind, _take_word(rest)[0])
    if kind not in sshsig.KEY_TYPES or "cert-authority" in options:
        return None
    return AllowedSigner(principal, key, options.get("namespaces"), after, before)


def _decode_key(kind: str, text: str) -> bytes:
    """The key's wire encoding, whose first field repeats its type."""
    try:
        key = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        key = b""
    name = kind.encode("ascii")
    if base64.b64encode(key).decode("ascii") != text or not key.startswith(len(name).to_bytes(4, "big") + name):
        raise ValueError("the {} key is damaged".format(kind))
    try:
        sshsig.require_key(key)
    except SignatureRefused:
        raise ValueError("the {} key is damaged".format(kind)) from None
    return key


def _take_word(text: str) -> Tuple[str, str]:
    """The first word, in which quotes protect spaces, and what follows it."""
    found = _WORD.match(text)
    if found is None:
        if text:
            raise ValueError("a quote is not closed")
        return "", ""
    rest = text[found.end() :]
    if rest.startswith('"'):
        raise ValueError("a quote is not closed")
    return found.group(), rest.lstrip(" \t")


def _parse_options(text: str) -> Dict[str, str]:
    options: Dict[str, str] = {}
    position = 0
    while position < len(text):
        found = _OPTION.match(text, position)
        if found is None:
            raise ValueError("{} is neither a key type nor an option".format(ascii(text[position : position + 80])))
        name, value = found.group(1).lower(), found.group(2)
        if name in options:
            raise ValueError("the option {} is there twice".format(name))
        options[name] = _option_value(name, value)
        position = found.end()
    if text.endswith(","):
        raise ValueError("the options end in a comma")
    return options


def _option_value(name: str, value: Optional[str]) -> str:
    if name not in ("cert-authority", "namespaces", "valid-after", "valid-before"):
        raise ValueError("the option {} is unknown".format(name))
    if (value is None) != (name == "cert-authority"):
        raise ValueError("the option {} {}".format(name, "needs a value in quotes" if value is None else "takes no value"))
    if value == "":
        raise ValueError("the option {} has an empty value".format(name))
    return (value or "").replace('\\"', '"')


def _moment(options: Dict[str, str], name: str) -> Optional[float]:
    """The option's time as seconds since 1970: YYYYMMDD[HHMM[SS]], in local time or, with Z, UTC."""
    if name not in options:
        return None
    found = _TIME.fullmatch(options[name])
    if found is None:
        raise ValueError("{} {} is no time such as 20261119, 202611191200 or 20261119120000Z".format(name, ascii(options[name])))
    day, minute, second, utc = found.groups()
    try:
        moment = time.strptime(day + (minute or "0000") + (second or "00"), "%Y%m%d%H%M%S")
        return float(calendar.timegm(moment)) if utc else time.mktime(moment)
    except (ValueError, OverflowError):
        raise ValueError("{} {} is no time".format(name, ascii(options[name]))) from None


def _date(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))


def _matches(patterns: str, word: str) -> bool:
    """Whether a pattern list of OpenSSH (ssh_config(5), PATTERNS) names ``word``: one does, and none with ``!`` does."""
    named = False
    for pattern in patterns.split(","):
        if _glob(pattern.lstrip("!")).fullmatch(word):
            if pattern.startswith("!"):
                return False
            named = True
    return named


def _glob(pattern: str) -> "re.Pattern[str]":
    parts: List[str] = [{"*": ".*", "?": "."}.get(character, re.escape(character)) for character in re.sub(r"\*+", "*", pattern)]
    return re.compile("".join(parts), re.DOTALL)
