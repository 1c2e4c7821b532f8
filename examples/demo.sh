#!/bin/sh
# The main job on one page: from requirements to an environment that was installed without a network. Run by `make demo`.
set -eu

BIN=$(cd "$BIN" && pwd)
rm -rf "$DEMO"
mkdir -p "$DEMO"
cp examples/web/requirements.in examples/web/wheelhouse.yaml "$DEMO"
cd "$DEMO"
PATH="$BIN:$PATH"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

say "1. The spec: requirements, and the targets that must run them"
run cat wheelhouse.yaml requirements.in

say "2. A key to sign with"
run wheelhouse keygen --key demo_ed25519

say "3. Resolve each target as that target, fetch, rehearse, pack and sign"
run wheelhouse bundle wheelhouse.yaml -o acme-web.whb --key demo_ed25519

say "4. Across the gap: what is it, who signed it, is it whole?"
run python3 acme-web.whb inspect
run python3 acme-web.whb verify --trust demo_ed25519.allowed_signers

say "5. Install what fits this host, with no network and nothing but Python"
if unshare -rn true 2>/dev/null; then offline="unshare -rn"; else offline=; echo "(this host gives no network namespace: the network stays reachable, and unused)"; fi
# shellcheck disable=SC2086 # two words, or none
run $offline python3 acme-web.whb install --venv inside --trust demo_ed25519.allowed_signers

say "6. It is there"
# shellcheck disable=SC2086
run $offline inside/bin/python -c 'import fastapi, psycopg2, pydantic, sqlalchemy, uvicorn; print("imports: fastapi", fastapi.__version__, "· sqlalchemy", sqlalchemy.__version__)'
