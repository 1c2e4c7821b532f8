#!/bin/sh
# CPython 3.13 for musl, from Debian's sources with musl-gcc: musl-python.sh PREFIX. There is no ready one on PyPI or in Debian.
set -eu

prefix=$1
work=$prefix.build
pool=https://deb.debian.org/debian/pool/main
export CC="$work/cc" CFLAGS="-O1 -fPIC -I$work/deps/include" LDFLAGS="-L$work/deps/lib"

rm -rf "$work"
mkdir -p "$work"
cd "$work"
# CPython asks the compiler for whom it compiles, and musl-gcc says what the gcc behind it would.
printf '#!/bin/sh\n[ "$1" = --print-multiarch ] && echo x86_64-linux-musl || exec musl-gcc "$@"\n' >cc
chmod +x cc
export PKG_CONFIG_LIBDIR="$work/deps/lib/pkgconfig" # not the libraries of this host, which are for another libc

fetch() { # URL SHA-256 NAME: unpacked in NAME
  curl -fsSL "$pool/$1" -o "$3.tar"
  echo "$2  $3.tar" | sha256sum --check --quiet
  mkdir "$3"
  tar -xf "$3.tar" -C "$3" --strip-components 1
}

fetch z/zlib/zlib_1.2.13.dfsg.orig.tar.bz2 71feb7947e3c00ef125f83b79a4e529bde31171e5babe48b391f06758d1ab0a1 zlib
(cd zlib && ./configure --static --prefix="$work/deps" && make -j2 libz.a && make install) >zlib.log 2>&1

fetch libf/libffi/libffi_3.4.4.orig.tar.gz d66c56ad259a82cf2a9dfc408b32bf5da52371500b84745f7fb8b645712df676 libffi
(cd libffi && ./configure --disable-shared --disable-docs --disable-exec-static-tramp --prefix="$work/deps" && make -j2 && make install) >libffi.log 2>&1

fetch p/python3.13/python3.13_3.13.5.orig.tar.xz 93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640 cpython
# No OpenSSL, no SQLite, no compressors but zlib: a host can have less than one is used to.
(cd cpython && ./configure --prefix=/usr/local --without-ensurepip --disable-test-modules \
  && make -j2 && make install DESTDIR="$work/out") >cpython.log 2>&1
mv "$work/out" "$prefix"
rm -rf "$work"
