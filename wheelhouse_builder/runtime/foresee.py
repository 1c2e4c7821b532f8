"""What an installation would do, said and not done."""

import os
from typing import List, Optional

from .install import COPIES, Order, problems_of, standing
from .leftovers import leftovers
from .manifest import ManifestTarget
from .places import CURRENT, Place, current_release, releases
from .receipt import Receipt
from .staging import require_space
from .switch import opened
from .unpack import distributions_for


def foresee(order: Order) -> List[str]:
    """The steps of :func:`.install.install`, sentence by sentence; nothing is changed. Raises what can be known to fail."""
    place = order.place
    at = place.parent if os.path.isdir(place.parent) else os.path.dirname(place.prefix or place.parent)
    found: Optional[Receipt] = None
    if at == place.parent:
        with opened(place.parent) as parent:
            found = standing(parent, place)
    mended = _leftovers(place) if at == place.parent else []
    if found and not problems_of(order, found):
        return [*mended, *(_into_use(place) + _removing(order) or ["change nothing: it is there already, whole"])]
    require_space(at, COPIES * sum(each.size for each in distributions_for(order.bundle.manifest, [order.target])))
    return [*mended, *_building(order, order.target), *_switching(order, found)]


def _leftovers(place: Place) -> List[str]:
    with opened(place.parent) as parent:
        names = leftovers(parent, place.mark)
    return ["mend what an earlier run left in %s, and take it away" % os.path.join(place.parent, each) for each in names]


def _building(order: Order, target: ManifestTarget) -> List[str]:
    manifest = order.bundle.manifest
    count = len(distributions_for(manifest, [target]))
    compiled = "byte-compiled" if order.compile else "not byte-compiled"
    steps = [
        "make an environment of %s in a private directory in %s" % (order.host.executable, order.place.parent),
        "install %d distributions for %s into it by the engine %s, %s" % (count, target.name, order.engine, compiled),
    ]
    steps += ["place %s in it, mode %s" % (each.path, each.mode) for each in manifest.placed]
    steps += ["compare each file with what was signed"]
    steps += ["import each top-level module there"] if order.imports else []
    steps += ["run there: %s" % " ".join(command) for command in manifest.smoke]
    return steps + (["sign the receipt with %s" % order.receipt_key.path] if order.receipt_key else [])


def _switching(order: Order, found: Optional[Receipt]) -> List[str]:
    place = order.place
    there = "%s %s" % (found["bundle"]["name"], found["bundle"]["version"]) if found else None
    if place.python:
        return [
            "move its files into %s, %s; not in one step, but undone when it fails"
            % (place.final, "instead of " + there if there else "new")
        ]
    return ["put it in one step at %s%s" % (place.final, ", instead of " + there if there else ""), *_into_use(place), *_removing(order)]


def _into_use(place: Place) -> List[str]:
    """For a release that is not in use."""
    used = current_release(place.prefix) if place.prefix else place.name
    if used == place.name:
        return []
    current = os.path.join(str(place.prefix), CURRENT)
    return ["let %s lead to %s in one step%s" % (current, place.name, ", instead of to " + used if used else "")]


def _removing(order: Order) -> List[str]:
    if order.place.prefix is None or order.keep is None:
        return []
    there = {each.name for each in releases(order.place.prefix)} | {order.place.name}
    return ["keep the newest %d of the %d releases" % (order.keep, len(there))] if len(there) > order.keep else []
