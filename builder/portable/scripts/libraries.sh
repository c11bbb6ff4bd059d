# shellcheck shell=bash
# The libraries under CPython, static and position independent, into DEPS. Sourced by build.sh.

build_zlib() {
    unpack zlib
    ./configure --prefix="$DEPS"
    local version
    version=$(sed -n 's/^#define ZLIB_VERSION "\(.*\)"/\1/p' zlib.h)
    make -j"$JOBS" libz.a "libz.so.$version"
    cp zlib.h zconf.h "$DEPS/include"
    cp libz.a "$DEPS/lib"
    # wheels of manylinux may take libz.so.1 from the host; with this one they need not
    cp "libz.so.$version" "$PY/lib/libz.so.1"
}

build_bzip2() {
    unpack bzip2
    make -j"$JOBS" libbz2.a CC="$CC" AR="$AR" RANLIB="$RANLIB" CFLAGS="$CFLAGS -D_FILE_OFFSET_BITS=64"
    cp bzlib.h "$DEPS/include"
    cp libbz2.a "$DEPS/lib"
}

static() {
    ./configure --prefix="$DEPS" --libdir="$DEPS/lib" --disable-shared --enable-static "$@"
    make -j"$JOBS"
    make install
}

build_xz() {
    unpack xz-utils
    static --disable-{xz,xzdec,lzmadec,lzmainfo,lzma-links,scripts,doc,nls}
}

build_libffi() {
    unpack libffi
    sed -i 's/^LT_SYS_SYMBOL_USCORE/sys_symbol_underscore=no/' configure.ac # a macro of libltdl, for other systems
    autoreconf -fi
    static --disable-docs --disable-multi-os-directory
}

build_expat() {
    unpack expat
    cd expat || return
    ./buildconf.sh
    static --without-{xmlwf,tests,examples,docbook}
}

build_uuid() {
    unpack util-linux
    static --localstatedir=/var --runstatedir=/run --disable-all-programs --enable-libuuid --disable-nls \
        --disable-bash-completion --without-python
}

build_sqlite() {
    unpack sqlite3
    ./configure BUILD_CC="$CC" --disable-shared --disable-tcl --disable-readline
    make sqlite3.c sqlite3.h
    # shellcheck disable=SC2086 # several words
    "$CC" $CFLAGS -DSQLITE_THREADSAFE=1 -DSQLITE_ENABLE_FTS3 -DSQLITE_ENABLE_FTS4 -DSQLITE_ENABLE_FTS5 \
        -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_ENABLE_COLUMN_METADATA \
        -DSQLITE_ENABLE_DBSTAT_VTAB -c sqlite3.c
    "$AR" rcsD "$DEPS/lib/libsqlite3.a" sqlite3.o
    cp sqlite3.h "$DEPS/include"
}

build_openssl() {
    unpack openssl
    # Authorities: the first file that there is, of EL, Debian and SUSE. $SSL_CERT_FILE still goes first. On EL the
    # system's own openssl.cnf, and so its crypto policy, is read; elsewhere none.
    sed -i '0,/^const char \*X509_get_default_cert_file(void)/s//static ossl_unused const char *compiled_in(void)/' \
        crypto/x509/x509_def.c
    cat >>crypto/x509/x509_def.c <<'END'
#include <unistd.h>
const char *X509_get_default_cert_file(void)
{
    static const char *const files[] = {
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        if (access(files[i], R_OK) == 0)
            return files[i];
    return X509_CERT_FILE;
}
END
    ./Configure linux-x86_64 --prefix="$PREFIX" --libdir=lib --openssldir=/etc/pki/tls \
        no-shared no-tests no-apps no-docs no-module no-engine "$CFLAGS"
    make -j"$JOBS" build_libs
    make install_dev DESTDIR="$WORK/openssl-install"
    cp -a "$WORK/openssl-install$PREFIX"/{include,lib} "$DEPS"
}
