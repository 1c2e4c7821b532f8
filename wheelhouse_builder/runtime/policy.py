"""Under which conditions an administrator takes a bundle: the trust store.

A trust store is a directory with an ``allowed_signers`` file, which says whose keys are trusted, and, if that is not all there is to say,
a ``policy.json``::

    {"version": 3,                                   grows with each change; an older one than this host has used is refused
     "threshold": 2,                                 so many people must have signed; 1 if left out, as everything below may be
     "roles": {"reviewer": {"required": 1, "holders": ["ann@example.org", "SHA256:…"]}},
     "algorithms": ["ssh-ed25519"],                  signatures of other types do not count
     "require_algorithms": ["ssh-ed25519", "mldsa87@wheelhouse"],     of everybody who is to count: hybrid signatures
     "channels": ["stable"],                         of which a bundle must be
     "audience": "restricted-net",                   what this network is called
     "max_age_days": 180,                            a bundle's as_of must not be older
     "revoked": {"version": 7, "keys": ["SHA256:…"]}}

People are counted, not keys: two keys of one principal may lie in one pocket, and a threshold is there for the day on which a pocket is
picked. So the same key twice is one, two keys of one principal are one, and one person fills one role.
"""

import os
import re
from typing import Any, Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from . import sshsig
from .errors import KeyFailure, SignatureRefused
from .manifest import Manifest
from .moments import day_of, later, seconds
from .trust import AllowedSigners, Signer, read_allowed_signers
from .trusted_file import Unbelievable, because, parse_object, read_trusted, require_private_directory

ALLOWED_SIGNERS = "allowed_signers"
POLICY = "policy.json"
DAY = 86400
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_PATTERN = re.compile(r"[*?!]")
_FIRST_TIME = (
    "Carry the allowed_signers file in by another path than the bundle; 'wheelhouse keygen' wrote it beside the key. "
    "Compare its fingerprint with the one that the sender tells you by voice or on paper, then place it there, writable by root alone, "
    "or name it with --trust."
)


class Role(NamedTuple):
    """A duty that must have been done by somebody of a list."""

    name: str
    required: int
    """How many people."""
    holders: FrozenSet[str]
    """Principals, and fingerprints of keys."""


class Policy(NamedTuple):
    """What an administrator asks of a bundle beyond one good signature."""

    version: Optional[int] = None
    """None: there is no policy.json."""
    threshold: int = 1
    roles: Tuple[Role, ...] = ()
    algorithms: Optional[Tuple[str, ...]] = None
    """Types of key that count; None: all that this reader can check."""
    require_algorithms: Tuple[str, ...] = ()
    channels: Optional[Tuple[str, ...]] = None
    audience: Optional[str] = None
    max_age_days: Optional[int] = None
    revoked_version: Optional[int] = None
    revoked: FrozenSet[str] = frozenset()
    """Fingerprints."""


class Trust(NamedTuple):
    """Whom an administrator trusts, and under which conditions. Made by :func:`read_trust`."""

    signers: AllowedSigners
    policy: Policy = Policy()

    def require_enough(self, good: Sequence[Signer]) -> None:
        """Raise SignatureRefused unless those whose signatures are ``good`` are enough (check 2)."""
        counted, problems = [], []
        for signer in good:
            why = self.why_not_counted(signer)
            if why:
                problems.append("The signature by {} ({}) does not count: {}.".format(signer.principal, signer.fingerprint, why))
            else:
                counted.append(signer)
        people = []
        for person in _people(counted):
            lacking = sorted(set(self.policy.require_algorithms) - {signer.algorithm for signer in person})
            if lacking:
                problems.append("{} does not count: no signature of type {}.".format(person[0].principal, " and ".join(lacking)))
            else:
                people.append(person)
        shortages = self._shortages(people)
        if shortages:
            raise SignatureRefused(
                *(shortages + problems), hint="Ask the sender for the missing signatures: 'wheelhouse sign FILE' adds one."
            )

    def why_not_counted(self, signer: Signer) -> Optional[str]:
        """Why a signature by ``signer`` does not count, though it is good and trusted; one clause; None if it does."""
        if signer.fingerprint in self.policy.revoked:
            return "the key is revoked"
        if self.policy.algorithms is not None and signer.algorithm not in self.policy.algorithms:
            return "{} is none of {}".format(signer.algorithm, ", ".join(self.policy.algorithms))
        return None

    def _shortages(self, people: Sequence[Sequence[Signer]]) -> List[str]:
        found = []
        if len(people) < self.policy.threshold:
            found.append("Signed by {} of the {} people that the trust store asks for.".format(len(people), self.policy.threshold))
        unfilled = _unfilled(self.policy.roles, people)
        return found + ["No good signature by somebody else in the role of {}.".format(name) for name in unfilled]

    def terms_problems(self, manifest: Manifest, now: float) -> List[str]:
        """Why a bundle is not for this host or not for this time, ``now`` in seconds since 1970 (check 4)."""
        problems, terms, policy = [], manifest.policy, self.policy
        if policy.channels is not None and terms.channel not in policy.channels:
            problems.append("It is of {}, this host takes {}.".format(_channel(terms.channel), ", ".join(policy.channels)))
        if (terms.audience or policy.audience) and policy.audience not in terms.audience:
            here = "this host is {!r}".format(policy.audience) if policy.audience else "no {} says what this host is".format(POLICY)
            problems.append("It is meant for {}; {}.".format(", ".join(map(repr, terms.audience)) or "nobody by name", here))
        now = later(now, manifest.as_of)  # a clock that is older than the bundle is wrong
        if terms.not_after is not None and now > seconds(terms.not_after):
            problems.append("It was not to be used after {}, and today is {}.".format(terms.not_after, day_of(now)))
        if policy.max_age_days is not None and (manifest.as_of is None or now > seconds(manifest.as_of) + policy.max_age_days * DAY):
            age = "as of {}".format(manifest.as_of) if manifest.as_of else "of no known age"
            problems.append("It is {}, this host takes none older than {} days on {}.".format(age, policy.max_age_days, day_of(now)))
        return problems


def read_trust(path: Optional[str]) -> Trust:
    """The trust store at ``path``: an allowed_signers file, or a directory with one and perhaps a policy.json; None: this host's own.

    Raises KeyFailure with all that is wrong.
    """
    place = path or default_place()
    if not os.path.isdir(place):
        if path is None:
            raise KeyFailure("This host trusts nobody yet: there is no {}.".format(place), hint=_FIRST_TIME)
        _require_alone(place)
        return Trust(read_allowed_signers(place))
    try:
        require_private_directory(place)
    except Unbelievable as error:
        raise because(error, place, KeyFailure, _FIRST_TIME) from None
    signers = read_allowed_signers(os.path.join(place, ALLOWED_SIGNERS))
    policy = read_policy(os.path.join(place, POLICY))
    problems = _misfits(signers, policy)
    if problems:
        raise KeyFailure(*problems, hint="Mend {} or the {} beside it.".format(os.path.join(place, POLICY), ALLOWED_SIGNERS))
    return Trust(signers, policy)


def _require_alone(path: str) -> None:
    """Raise KeyFailure for the allowed_signers of a trust store whose policy would not be heard."""
    folder, name = os.path.split(os.path.abspath(path))
    if name == ALLOWED_SIGNERS and os.path.lexists(os.path.join(folder, POLICY)):
        raise KeyFailure("{} has a {} beside it, which would not count.".format(path, POLICY), hint="Name the directory: {}".format(folder))


def default_place() -> str:
    """Where this host's trust store lies."""
    if os.name == "nt":
        return os.path.join(os.environ.get("PROGRAMDATA") or "C:\\ProgramData", "wheelhouse")
    return "/etc/wheelhouse"


def read_policy(path: str) -> Policy:
    """The policy at ``path``, or the one that asks for nothing if there is no such file. Raises KeyFailure with all that is wrong."""
    hint = "FORMAT.md shows one, in its section on trust. Without the file, one good signature is enough."
    if not os.path.lexists(path):
        return Policy()
    try:
        document = parse_object(read_trusted(path))
    except FileNotFoundError:  # a link to where nothing is: what it asks for is not known
        raise KeyFailure("{} leads to no file.".format(path), hint=hint) from None
    except Unbelievable as error:
        raise because(error, path, KeyFailure, hint) from None
    page = _Page()
    policy = page.policy(document)
    if page.problems:
        raise KeyFailure(*["{}: {}.".format(path, problem) for problem in page.problems], hint=hint)
    return policy


class _Page:
    """The document that is being read, and the problems seen so far. What has one is read as nothing."""

    def __init__(self) -> None:
        self.problems: List[str] = []

    def policy(self, document: Dict[str, Any]) -> Policy:
        """The whole."""
        known = ("version", "threshold", "roles", "algorithms", "require_algorithms", "channels", "audience", "max_age_days", "revoked")
        got = self.keys(document, "", known, ("version",))
        revoked = self.keys(got["revoked"], "revoked", ("version", "keys"), ("version", "keys")) if "revoked" in got else {}
        return Policy(
            version=self.number(got.get("version", 0), "version", 0),
            threshold=self.number(got.get("threshold", 1), "threshold", 1),
            roles=self.roles(got.get("roles", {})),
            algorithms=self.algorithms(got["algorithms"], "algorithms") if "algorithms" in got else None,
            require_algorithms=self.algorithms(got["require_algorithms"], "require_algorithms") if "require_algorithms" in got else (),
            channels=self.names(got["channels"], "channels", _NAME, "a channel") if "channels" in got else None,
            audience=self.name(got["audience"], "audience", _NAME, "a name") if "audience" in got else None,
            max_age_days=self.number(got["max_age_days"], "max_age_days", 1) if "max_age_days" in got else None,
            revoked_version=self.number(revoked["version"], "revoked.version", 0) if "version" in revoked else None,
            revoked=self.revoked(revoked.get("keys", [])),
        )

    def tell(self, where: str, why: str) -> None:
        """Note a problem."""
        self.problems.append("{}: {}".format(where, why) if where else why)

    def keys(self, value: Any, where: str, known: Sequence[str], required: Sequence[str]) -> Dict[str, Any]:
        """An object without unknown keys."""
        if type(value) is not dict:
            self.tell(where, "it is no object")
            return {}
        for key in sorted(set(value) - set(known)):
            self.tell(where, "the key {} is unknown".format(ascii(key)))
        for key in required:
            if key not in value:
                self.tell(where, "the key {!r} is missing".format(key))
        return value

    def number(self, value: Any, where: str, least: int) -> int:
        """A whole number."""
        if type(value) is int and value >= least:
            return value
        self.tell(where, "it is no whole number from {} on".format(least))
        return least

    def name(self, value: Any, where: str, pattern: "re.Pattern[str]", what: str) -> str:
        """A string that ``pattern`` describes."""
        if type(value) is str and pattern.fullmatch(value):
            return value
        self.tell(where, "{} is not {}".format(ascii(value)[:80], what))
        return ""

    def names(self, value: Any, where: str, pattern: "re.Pattern[str]", what: str) -> Tuple[str, ...]:
        """A list of such, not empty, none twice."""
        if type(value) is not list or not value:
            self.tell(where, "it is no list, or an empty one")
            return ()
        found = tuple(self.name(item, "{}[{}]".format(where, index), pattern, what) for index, item in enumerate(value))
        if len(set(found)) != len(found):
            self.tell(where, "something is there twice")
        return found

    def algorithms(self, value: Any, where: str) -> Tuple[str, ...]:
        """Types of key that this reader can check: a misspelt one must not pass for one that nobody uses."""
        known = re.compile("|".join(map(re.escape, sshsig.KEY_TYPES)))
        return self.names(value, where, known, "one of " + ", ".join(sshsig.KEY_TYPES))

    def revoked(self, value: Any) -> FrozenSet[str]:
        """Fingerprints; the list may be empty, so that its version can begin to count."""
        return frozenset(self.names(value, "revoked.keys", _FINGERPRINT, "a fingerprint such as SHA256:…")) if value != [] else frozenset()

    def roles(self, value: Any) -> Tuple[Role, ...]:
        """All roles, by name."""
        if type(value) is not dict:
            self.tell("roles", "it is no object")
            return ()
        return tuple(self.role(name, value[name], "roles.{}".format(ascii(name)[1:-1])) for name in sorted(value))

    def role(self, name: str, value: Any, where: str) -> Role:
        """One role."""
        self.name(name, where, _NAME, "a name of letters, digits and . _ -")
        got = self.keys(value, where, ("required", "holders"), ("required", "holders"))
        required = self.number(got.get("required", 1), where + ".required", 1)
        holders = self.names(got.get("holders", ["?"]), where + ".holders", re.compile(r"[^\s*?!,\"]+|\?"), "a principal or a fingerprint")
        return Role(name, required, frozenset(map(_same_case, holders)))


# People


def _people(signers: Iterable[Signer]) -> List[List[Signer]]:
    """The signers, those together who share a principal."""
    people: List[List[Signer]] = []
    for signer in signers:
        same = [person for person in people if any(_names(signer.principal) & _names(other.principal) for other in person)]
        people = [person for person in people if person not in same]
        people.append([other for person in same for other in person] + [signer])
    return people


def _names(principals: str) -> FrozenSet[str]:
    """The names in a list of principals."""
    return frozenset(map(_same_case, principals.split(",")))


def _same_case(name: str) -> str:
    return name if _FINGERPRINT.fullmatch(name) else name.lower()


def _may(role: Role, person: Sequence[Signer]) -> bool:
    """Whether one of the person's names or keys holds the role."""
    return any(role.holders & (_names(signer.principal) | {signer.fingerprint}) for signer in person)


def _unfilled(roles: Sequence[Role], people: Sequence[Sequence[Signer]]) -> List[str]:
    """The roles, as often as somebody is missing, when each person fills at most one (a bipartite matching, by augmenting paths)."""
    places = [role for role in roles for _ in range(min(role.required, len(people) + 1))]
    taken: Dict[int, int] = {}  # person → place

    def seat(place: int, seen: List[int]) -> bool:
        for index, person in enumerate(people):
            if index not in seen and _may(places[place], person):
                seen.append(index)
                if index not in taken or seat(taken[index], seen):
                    taken[index] = place
                    return True
        return False

    return [places[place].name for place in range(len(places)) if not seat(place, [])]


def _misfits(signers: AllowedSigners, policy: Policy) -> List[str]:
    """What no bundle could ever fulfil, and what could not be counted."""
    known = frozenset(name for line in signers.lines for name in _names(line.principal))
    keys = {sshsig.fingerprint(line.public_key) for line in signers.lines}
    problems = [
        "The role {} names {}, who is not in {}.".format(role.name, holder, signers.path)
        for role in policy.roles
        for holder in sorted(role.holders - known - keys)
    ]
    if policy.threshold > 1 or policy.roles:
        problems += [
            "{}: the principal {} is a pattern, and people are to be counted.".format(signers.path, line.principal)
            for line in signers.lines
            if _PATTERN.search(line.principal)
        ]
    everybody = len(_people(Signer(line.principal, line.public_key) for line in signers.lines))
    if everybody < policy.threshold:
        problems.append("The threshold is {}, and {} names {} people.".format(policy.threshold, signers.path, everybody))
    return problems


def _channel(channel: Optional[str]) -> str:
    return "no channel" if channel is None else "the channel {!r}".format(channel)
