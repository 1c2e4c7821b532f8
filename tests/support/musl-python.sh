#!/bin/sh
# A root for musl with CPython 3.11 and 3.13, from Debian's sources with musl-gcc: musl-python.sh ROOT. There is no ready one on PyPI or in Debian.
set -eu

root=$1
work=$root.build
deps=$work/deps
pool=https://deb.debian.org/debian/pool/main

rm -rf "$root" "$work"
mkdir -p "$root/lib" "$work"
cd "$work"
# The kernel's headers are the same for every libc.
mkdir kernel
for folder in linux asm-generic x86_64-linux-gnu/asm; do ln -s "/usr/include/$folder" kernel; done
# CPython asks the compiler for whom it compiles, and musl-gcc says what the gcc behind it would.
cat >cc <<END
#!/bin/sh
case \$1 in -print-multiarch | --print-multiarch) echo x86_64-linux-musl ;; *) exec musl-gcc -idirafter "$work/kernel" "\$@" ;; esac
END
chmod +x cc
# A thread's stack is 128 kB where nobody asks for more, too little for Python: 1 MB is what those take who publish one for musl.
export CC="$work/cc" CFLAGS="-O1 -fPIC -DTHREAD_STACK_SIZE=0x100000" CPPFLAGS="-I$deps/include" LDFLAGS="-s -L$deps/lib"
export PKG_CONFIG_LIBDIR="$deps/lib/pkgconfig" # not the libraries of this host, which are for another libc

fetch() { # URL SHA-256 NAME: unpacked in NAME
  curl -fsSL "$pool/$1" -o "$3.tar"
  echo "$2  $3.tar" | sha256sum --check --quiet
  mkdir "$3"
  tar -xf "$3.tar" -C "$3" --strip-components 1
}

# The C library: wheels for musllinux_1_2 bring libraries of Alpine with relative relocations packed (DT_RELR). musl reads these since
# 1.2.4; Debian 12's 1.2.3, which compiles here, leaves them as they are, and what follows such a pointer crashes.
fetch m/musl/musl_1.2.5.orig.tar.gz a9a118bbe84d8764da0ea0d28b3ab3fae8477fc7e4085d90102b8596fc7c75e4 musl
(cd musl && CC=gcc CPPFLAGS='' LDFLAGS='' ./configure --prefix=/usr && make -j2 lib/libc.so) >musl.log 2>&1
cp musl/lib/libc.so "$root/lib/ld-musl-x86_64.so.1"

# Wheels may take libz.so.1 for granted; the interpreter has its own.
fetch z/zlib/zlib_1.2.13.dfsg.orig.tar.bz2 71feb7947e3c00ef125f83b79a4e529bde31171e5babe48b391f06758d1ab0a1 zlib
(cd zlib && ./configure --prefix="$deps" && make -j2 libz.a libz.so.1.2.13 && make install) >zlib.log 2>&1
cp "$deps/lib/libz.so.1.2.13" "$root/lib/libz.so.1"
rm "$deps"/lib/libz.so*

fetch libf/libffi/libffi_3.4.4.orig.tar.gz d66c56ad259a82cf2a9dfc408b32bf5da52371500b84745f7fb8b645712df676 libffi
(cd libffi && ./configure --disable-shared --disable-docs --disable-exec-static-tramp --prefix="$deps" && make -j2 && make install) >libffi.log 2>&1

fetch o/openssl/openssl_1.1.1w.orig.tar.gz cf3098950cb4d853ad95c0841f1f9c6d3dc102dccfcacd521d93925208b76ac8 openssl
(cd openssl && ./Configure linux-x86_64 no-shared no-tests no-engine no-async no-dso --prefix="$deps" --openssldir=/etc/ssl \
  && make -j2 build_libs && make install_dev) >openssl.log 2>&1

cpython() { # URL SHA-256 VERSION. No SQLite, no compressors but zlib: a host can have less than one is used to.
  fetch "$1" "$2" "cpython-$3"
  (cd "cpython-$3" && ./configure --prefix=/usr/local --without-ensurepip --without-static-libpython --disable-test-modules --with-openssl="$deps" \
    && make -j2 && make altinstall DESTDIR="$root") >"cpython-$3.log" 2>&1
}
cpython p/python3.11/python3.11_3.11.2.orig.tar.gz 2411c74bda5bbcfcddaf4531f66d1adc73f247f529aee981b029513aefdbf849 3.11
cpython p/python3.13/python3.13_3.13.5.orig.tar.xz 93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640 3.13
rm -rf "$work"
