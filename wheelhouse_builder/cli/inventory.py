"""``wheelhouse inventory``: what a host or a prefix holds."""

from __future__ import annotations

from wheelhouse_builder.cli.held import teller

EXAMPLES = """
wheelhouse inventory --prefix /opt/acme
wheelhouse inventory acme-web-2026.10.whb /srv/wheelhouse -o inventory.json
wheelhouse inventory --prefix /opt/acme --trust receipts.allowed_signers
"""
ABOUT = """Tell what is here: installed, and in bundles and wheels.

One JSON document. Nothing is verified but, with --trust, who signed the receipts. Of what is installed no wheel can be made again bit for
bit, so a delta leaves out only what is in the bundles and directories that are named here.
"""
command = teller(ABOUT, request=False)
