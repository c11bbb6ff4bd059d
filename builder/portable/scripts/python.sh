# shellcheck shell=bash
# CPython itself. Sourced by build.sh.

build_python() {
    unpack "$PYTHON"
    # Debian keeps the release and adds security fixes: all of its patches from the first CVE on
    tar -xf "$(echo "$SOURCES/$PYTHON"_*.debian.tar.*)" --no-same-owner
    sed -n '/^CVE-/,$p' debian/patches/series | grep -v '^#' | while read -r name _; do
        patch -s -p1 <"debian/patches/$name"
    done
    # Libraries by name. -lpthread after each: pthread_atfork of glibc 2.17 is in a static part of it.
    local from="-L$DEPS/lib" end="-lm -ldl -lpthread" rpath
    ./configure --prefix="$PREFIX" --enable-shared --without-static-libpython --with-ensurepip=no \
        --disable-test-modules --with-openssl="$DEPS" --with-system-expat --enable-ipv6 --with-dbmliborder= \
        --enable-loadable-sqlite-extensions \
        CPPFLAGS="-I$DEPS/include" CFLAGS="${CFLAGS#-O2} -fno-semantic-interposition" \
        LDFLAGS="$from -Wl,--exclude-libs,ALL -Wl,-z,relro,-z,now" LIBS="$end" OPT="-DNDEBUG -fwrapv -O3 -Wall" \
        ZLIB_CFLAGS=" " ZLIB_LIBS="$from -lz" BZIP2_CFLAGS=" " BZIP2_LIBS="$from -lbz2" \
        LIBLZMA_CFLAGS=" " LIBLZMA_LIBS="$from -llzma $end" LIBFFI_CFLAGS=" " LIBFFI_LIBS="$from -lffi $end" \
        LIBUUID_CFLAGS="-I$DEPS/include/uuid" LIBUUID_LIBS="$from -luuid $end" \
        LIBEXPAT_LDFLAGS="$from -lexpat $end" LIBSQLITE3_CFLAGS=" " LIBSQLITE3_LIBS="$from -lsqlite3 $end" \
        py_cv_module_{_tkinter,_curses,_curses_panel,readline,_dbm,_gdbm}=n/a
    # RPATH and not RUNPATH: a stray LD_LIBRARY_PATH does not exchange libpython, and extension modules of wheels find
    # libgcc_s and the like in python/lib
    rpath="-Xlinker -export-dynamic -Wl,--disable-new-dtags,-rpath,'\$\$ORIGIN/../lib'"
    make -j"$JOBS" LINKFORSHARED="$rpath"
    make install LINKFORSHARED="$rpath" DESTDIR="$WORK/install"
}
