"""``wheelhouse request``: what a host is and holds, for those who make its next bundle."""

from __future__ import annotations

from wheelhouse_builder.cli.held import teller

EXAMPLES = """
wheelhouse request /var/lib/wheelhouse/bundles --prefix /opt/acme -o web01.json
wheelhouse request -o web01.json
"""
ABOUT = """Tell what this host is and holds, for the next delta.

The file travels out. It is what inventory tells, with what probe tells of this Python. Outside it is a target, targets: [web01.json], and
the base of a delta, wheelhouse bundle --base web01.json.
"""
command = teller(ABOUT, request=True)
