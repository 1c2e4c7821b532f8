"""``wheelhouse manifest``: the bytes that signatures are over."""

from __future__ import annotations

from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.options import AsJson, BundlePath, Quiet, Verbose
from wheelhouse_builder.pack.sign import manifest_bytes
from wheelhouse_builder.runtime.layout import NAMESPACE

EXAMPLES = """
wheelhouse manifest acme-web-2026.11.whb > m.json
"""


def command(file: BundlePath, *, as_json: AsJson = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Print the manifest of a bundle, the bytes that are signed.

    Carry them to where the key is, sign them there with ssh-keygen -Y sign -n wheelhouse-bundle-v1 -f KEY m.json, carry m.json.sig back,
    and attach it with wheelhouse sign --attach. Nothing is verified here; wheelhouse verify does that.
    """
    manifest = manifest_bytes(file)
    document = {"command": "manifest", "namespace": NAMESPACE, "manifest": manifest.decode()}
    Console(as_json=as_json, quiet=quiet, verbose=verbose).data(document, manifest)
