"""What an installation adds to the report: apart from :mod:`report`, which the verifier carries, and which need not know how to install."""

import os
from typing import Sequence

from .install import Installed
from .places import CURRENT, Place
from .report import Report, tell_rewritten


def tell_installed(report: Report, installed: Installed, place: Place) -> None:
    """Say what is there now, and what was done for it."""
    receipt = installed.receipt
    report["changed"] = installed.changed
    report["environment"] = place.final
    report["prefix"] = place.prefix
    report["current"] = os.path.join(place.prefix, CURRENT) if place.prefix else None
    report["python"] = place.executable
    report["target"] = receipt["target"]
    report["engine"] = receipt["engine"]
    report["distributions"] = len(receipt["distributions"])
    report["pip"] = installed.pip
    report["receipt_signed_by"] = installed.signed_by
    report["replaced"] = installed.replaced
    report["repaired"] = list(installed.repaired)
    report["removed"] = list(installed.removed)
    report["seconds"] = {what: round(seconds, 3) for what, seconds in (installed.seconds or {}).items()}
    _leave_out(report, installed.unmade)
    tell_rewritten(report, installed.rewritten)


def tell_foreseen(report: Report, steps: Sequence[str], place: Place) -> None:
    """Say what would be done."""
    report["dry_run"] = True
    report["environment"] = place.final
    report["steps"] = list(steps)
    _leave_out(report, (7, 8))


def _leave_out(report: Report, unmade: Sequence[int]) -> None:
    """What was not checked was not passed."""
    report["checks"] = [each for each in report["checks"] if each["number"] not in unmade]
