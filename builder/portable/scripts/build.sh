#!/usr/bin/env bash
# build.sh SOURCES OUT: build OUT/python, a relocatable CPython for x86_64 Linux that needs nothing but glibc >= 2.17.
#
# SOURCES has the files that sources.txt names. The gcc of the ppbt wheel compiles against its own glibc 2.17, natively:
# a newer host runs the result as well. Everything that is not glibc is linked in, or lies in python/lib.
# Needs make perl tclsh autoreconf libtoolize patch xz bzip2 and a python3 (to unpack a wheel); the host's own compiler
# and headers are not used. Ends with an error if the result needs a newer glibc or a library of the host.
set -euo pipefail
shopt -s nullglob

here=$(cd "$(dirname "$0")" && pwd)
SOURCES=$(realpath "$1") OUT=$(realpath "$2")
WORK=$OUT/work DEPS=$OUT/work/deps PY=$OUT/python JOBS=$(nproc)
TRIPLET=x86_64-linux-gnu
GLIBC=2.17
PREFIX=/portable-prefix # compiled in where a path has to be: only root could make it, and nothing is read from it
PYTHON=python3.13
export PYTHON SOURCES OUT WORK DEPS PY JOBS TRIPLET GLIBC PREFIX

# shellcheck source-path=SCRIPTDIR source=libraries.sh
. "$here/libraries.sh"
# shellcheck source-path=SCRIPTDIR source=python.sh
. "$here/python.sh"
# shellcheck source-path=SCRIPTDIR source=finish.sh
. "$here/finish.sh"

# step NAME: run build_NAME with its output in a log, and show the end of that when it fails.
# (No "||" after either: that would switch errexit off inside.)
step() {
    local code
    echo "$1"
    set +e
    (set -e && "build_$1") >"$WORK/$1.log" 2>&1
    code=$?
    set -e
    [ "$code" = 0 ] || { tail -n 30 "$WORK/$1.log" >&2 && echo "error: building $1 failed" >&2 && exit 1; }
}

# unpack NAME: the one NAME_*.orig.tar.* of SOURCES into WORK/NAME, and go there
unpack() {
    local archive
    archive=("$SOURCES/$1"_*.orig.tar.*)
    [ "${#archive[@]}" = 1 ] || { echo "no single archive of $1" >&2 && return 1; }
    mkdir -p "$WORK/$1"
    tar -xf "${archive[0]}" --strip-components=1 --no-same-owner -C "$WORK/$1"
    cd "$WORK/$1"
}

build_toolchain() {
    python3 -m zipfile -e "$(echo "$SOURCES"/ppbt-*.whl)" "$WORK"
    tar -xJf "$WORK/ppbt/_toolchain/$TRIPLET.tar.xz" -C "$WORK"
    rm -rf "$WORK/ppbt"
}

rm -rf "$WORK" "$PY"
mkdir -p "$DEPS/lib" "$DEPS/include" "$PY/lib"
export PATH=$WORK/$TRIPLET/bin:$PATH SYSROOT=$WORK/$TRIPLET/$TRIPLET/sysroot
export CC=$TRIPLET-gcc CXX=$TRIPLET-g++ AR=$TRIPLET-ar RANLIB=$TRIPLET-ranlib NM=$TRIPLET-nm STRIP=$TRIPLET-strip
export LD=$TRIPLET-ld AS=$TRIPLET-as OBJDUMP=$TRIPLET-objdump READELF=$TRIPLET-readelf
export CFLAGS="-O2 -fPIC -fstack-protector-strong -D_FORTIFY_SOURCE=2"
export PKG_CONFIG=false PKG_CONFIG_LIBDIR=/nonexistent # the host's libraries have no say
export LC_ALL=C.UTF-8 TZ=UTC SOURCE_DATE_EPOCH=315532800 PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
unset CPATH C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH CPPFLAGS LDFLAGS LIBS PYTHONPATH PYTHONHOME PKG_CONFIG_PATH \
    MAKEFLAGS CONFIG_SITE

step toolchain
step openssl & # half of the libraries' time: beside the many configure scripts, which use one processor
openssl=$!
trap 'kill "$openssl" 2>/dev/null || true' EXIT
for name in zlib bzip2 xz libffi expat uuid sqlite; do step "$name"; done
wait "$openssl"
step python
step finish
step checks
rm -rf "$WORK"
