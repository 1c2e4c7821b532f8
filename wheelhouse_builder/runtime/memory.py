"""What this host has seen, so that nobody can show it something older: the state file.

It holds, for each channel, the highest sequence that was unpacked or installed here and that bundle's digest; the newest ``as_of``; the
versions of the policy and of its revocation list; and each rollback that somebody allowed, with the reason. A file that is not there
remembers nothing: the very first bundle is taken as the trust store has it.
"""

import contextlib
import json
import os
import time
from typing import Any, Dict, Iterator, NamedTuple, Optional

from .errors import BundleRefused, EnvironmentFailure, KeyFailure
from .locking import alone
from .manifest import Manifest
from .moments import later, text_of
from .policy import Policy
from .progress import NoProgress
from .staging import disk_failures, replace_file
from .trusted_file import Unbelievable, because, parse_object, read_trusted

_VERSION = 1
_EMPTY: Dict[str, Any] = {"version": _VERSION, "channels": {}, "newest": None, "policy": None, "revoked": None, "rollbacks": []}
_MISSING = (
    "Give the file back from a backup. To begin anew, take it away: then this host forgets what it has seen, and takes older bundles."
)


class Memory(NamedTuple):
    """The state file as it was read; ``allow_rollback`` is the reason for which an older bundle may pass, or empty."""

    path: str
    document: Dict[str, Any]
    allow_rollback: str = ""

    def require_current_policy(self, policy: Policy) -> None:
        """Raise KeyFailure when the trust store is older than one that this host has used."""
        problems = [
            "The {} in the trust store has version {}, this host has used version {}.".format(what, version, seen)
            for what, version, seen in (
                ("policy", policy.version, self.document["policy"]),
                ("revocation list", policy.revoked_version, self.document["revoked"]),
            )
            if seen is not None and (version is None or version < seen)
        ]
        if problems:
            raise KeyFailure(*problems, hint="Bring the newest trust store back. Its versions only grow.")

    def now(self, clock: float) -> float:
        """The time: no clock is believed that is older than what was signed before."""
        return later(clock, self.document["newest"])

    def require_current(self, manifest: Manifest, digest: str) -> None:
        """Raise BundleRefused for a bundle that is older than one of its channel that was here before (check 4)."""
        problem = self.rollback(manifest, digest)
        if problem and not self.allow_rollback:
            raise BundleRefused(
                problem,
                hint="Somebody may be replaying an old bundle. If you mean it, say why: --allow-rollback REASON. "
                "It is recorded in {}.".format(self.path),
            )

    def after(self, manifest: Manifest, digest: str, policy: Policy, clock: float) -> Dict[str, Any]:
        """The document once the bundle was unpacked or installed: nothing in it ever goes back."""
        document: Dict[str, Any] = json.loads(json.dumps(self.document))
        channel, sequence = manifest.policy.channel, manifest.policy.sequence
        if self.rollback(manifest, digest):  # without a reason: a newer one came in while this one was at work
            told = {"time": text_of(clock), "reason": self.allow_rollback, "channel": channel, "sequence": sequence, "digest": digest}
            document["rollbacks"] += [told] if self.allow_rollback else []
        elif sequence is not None:
            document["channels"][channel] = {"sequence": sequence, "digest": digest}
        document["newest"] = max(filter(None, (document["newest"], manifest.as_of)), default=None)
        document["policy"] = max((each for each in (document["policy"], policy.version) if each is not None), default=None)
        document["revoked"] = max((each for each in (document["revoked"], policy.revoked_version) if each is not None), default=None)
        return document

    def rollback(self, manifest: Manifest, digest: str) -> str:
        """In which way the bundle is older than what was here, or empty."""
        channel, sequence = manifest.policy.channel, manifest.policy.sequence
        seen = self.document["channels"].get(channel)
        if seen is None:
            return ""
        if sequence is None:
            return "It has no sequence, and {} of the channel {!r} was here already.".format(seen["sequence"], channel)
        if sequence < seen["sequence"]:
            return "It is {} of the channel {!r}, and {} was here already.".format(sequence, channel, seen["sequence"])
        if sequence == seen["sequence"] and digest != seen["digest"]:
            return "It is {} of the channel {!r}, and so was another bundle, sha256:{}.".format(sequence, channel, seen["digest"])
        return ""


def default_path() -> str:
    """Where this user's state file lies."""
    if os.name == "nt":
        return os.path.join(os.environ.get("LOCALAPPDATA") or os.path.expanduser("~"), "wheelhouse", "state.json")
    if os.geteuid() == 0:
        return "/var/lib/wheelhouse/state.json"
    # The XDG base directory specification: a relative path counts as not set.
    configured = os.environ.get("XDG_STATE_HOME", "")
    home = configured if os.path.isabs(configured) else os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "wheelhouse", "state.json")


def read_memory(path: Optional[str], *, allow_rollback: str = "") -> Memory:
    """What the state file at ``path`` (by default this user's) remembers; nothing if there is none.

    Raises EnvironmentFailure when it is there and cannot be believed.
    """
    named = path or default_path()
    place = os.path.realpath(named)
    if os.path.islink(named) and not os.path.exists(place):  # the disk where it lies may be missing, and what it remembers with it
        raise EnvironmentFailure("{} leads to no file.".format(named), hint=_MISSING)
    try:
        document = parse_object(read_trusted(place))
        _require_state(document)
    except FileNotFoundError:
        document = dict(_EMPTY)
    except Unbelievable as error:
        raise because(error, place, EnvironmentFailure, _MISSING) from None
    return Memory(place, document, allow_rollback)


@contextlib.contextmanager
def remembering(memory: Memory, manifest: Manifest, digest: str, policy: Policy) -> Iterator[None]:
    """Do the work in the body; when it has succeeded, write down that the bundle was here.

    That it can be written is seen before the work begins. A bundle without a channel under a trust store without a policy leaves
    nothing to remember. Raises AlreadyThere where a link stands in place of the lock, EnvironmentFailure.
    """
    if manifest.policy.channel is None and policy.version is None:
        yield
        return
    lock = memory.path + ".lock"
    with disk_failures(memory.path):
        os.makedirs(os.path.dirname(memory.path), mode=0o755, exist_ok=True)
        with alone(lock, NoProgress()):
            pass
    yield
    with disk_failures(memory.path), alone(lock, NoProgress()):
        now = read_memory(memory.path, allow_rollback=memory.allow_rollback)
        document = now.after(manifest, digest, policy, time.time())
        replace_file(memory.path, json.dumps(document, indent=2, sort_keys=True) + "\n")


def _require_state(document: Dict[str, Any]) -> None:
    """Raise Unbelievable unless the document is one that :func:`remembering` wrote."""
    if set(document) != set(_EMPTY) or document["version"] != _VERSION:
        raise Unbelievable("it is not a state file of this version")
    channels, rollbacks = document["channels"], document["rollbacks"]
    fine = type(channels) is dict and type(rollbacks) is list and all(map(_is_seen, channels.values()))
    fine = fine and all(document[key] is None or type(document[key]) is int for key in ("policy", "revoked"))
    if not fine or not _is_time(document["newest"]):
        raise Unbelievable("it is damaged")


def _is_seen(value: Any) -> bool:
    return type(value) is dict and set(value) == {"sequence", "digest"} and type(value["sequence"]) is int and type(value["digest"]) is str


def _is_time(value: Any) -> bool:
    try:
        return value is None or later(0.0, value) >= 0.0
    except (TypeError, ValueError):
        return False
