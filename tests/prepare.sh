#!/bin/sh
# The programs that the tests compare wheelhouse with: installed where they are missing, named where that cannot be.
# With "slow": those of the slow tests, too.
set -eu

missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }

need zstd zstd
need ssh-keygen openssh-client
need unshare util-linux
need bsdtar libarchive-tools
need tar tar
need git git
need patch patch
python3 -c 'import pathlib, sys, sysconfig; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' || missing="$missing python3-dev"
need gcc "gcc libc6-dev"
if [ "${1:-}" = slow ]; then
  need wine "wine wine64"
  need debootstrap "debootstrap debian-archive-keyring"
  need bwrap bubblewrap
  need umoci umoci
  need qemu-aarch64-static qemu-user-static
  need musl-gcc "musl musl-tools make"
  # What the recipes build with, and what their tests talk to.
  need busybox busybox-static
  [ -d /usr/lib/postgresql ] || missing="$missing postgresql"
  for package in mariadb-server slapd libpq-dev default-libmysqlclient-dev libldap-dev libsasl2-dev libyaml-dev libffi-dev libxml2-dev \
    libxslt1-dev libev-dev libuv1-dev libc-ares-dev pkg-config; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
  done
fi

[ -n "$missing" ] || exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  echo "installing, for the tests:$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086 # one word a package
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "The tests need these packages:$missing. Install them, then run this again." >&2
  exit 1
fi
