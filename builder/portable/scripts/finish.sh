# shellcheck shell=bash
# From what `make install` left to the folder that travels, and the checks of it. Sourced by build.sh.

build_finish() {
    cp -a "$WORK/install$PREFIX/." "$PY"
    cd "$PY" || return
    local stdlib file
    stdlib=$(echo lib/python3.*)
    # what no server and no agent uses: documentation, graphics, what embeds or extends the interpreter
    rm -rf share include lib/pkgconfig "$stdlib"/config-* bin/python3*-config bin/idle3* bin/pydoc3* \
        "$stdlib"/{test,idlelib,tkinter,turtledemo,turtle.py,__phello__,pydoc_data} "$stdlib"/*/test{,s}
    cp -L "$SYSROOT"/lib/{libgcc_s.so.1,libstdc++.so.6} lib # for extension modules in C++ and Rust
    licences
    # sysconfig: no path of the build; the prefix is filled in when it is imported
    file=$(echo "$stdlib"/_sysconfigdata_*.py)
    sed -i -e "s#$TRIPLET-\(gcc\|g++\|ar\|ranlib\|nm\|strip\|ld\|as\|objdump\|readelf\)\>#\1#g" \
        -e "s#-[IL]$DEPS/[a-z/]*##g; s#$DEPS#$PREFIX#g; s#$WORK#/usr/src#g" "$file"
    cat >>"$file" <<END
import sys as _sys
build_time_vars = {
    key: value.replace('$PREFIX', _sys.base_prefix) if isinstance(value, str) else value
    for key, value in build_time_vars.items()
}
END
    find . -name __pycache__ -prune -exec rm -rf {} +
    elf_files | while read -r file; do
        chmod u+w "$file"
        "$STRIP" --strip-unneeded -R .note.ABI-tag "$file" # the note names the kernel of the toolchain's headers
    done
    bin/python3 -I -B -m ensurepip --default-pip
    rm -f bin/pip* # their first line names this folder; `python3 -m pip` does not
    sed -i '/^\.\.\/.*\/bin\/pip/d' "$stdlib"/site-packages/pip-*/RECORD
    find . -name __pycache__ -prune -exec rm -rf {} +
    # bytecode that does not depend on the times of files
    bin/python3 -I -B -m compileall -q -j "$JOBS" --invalidation-mode unchecked-hash -s "$PY" lib
}

licences() {
    local name
    for name in "$PYTHON" zlib bzip2 xz-utils libffi expat util-linux sqlite3 openssl; do
        mkdir -p "share/licenses/$name"
        find "$WORK/$name" -maxdepth 1 \( -iname 'licen[sc]e*' -o -iname 'copying*' \) -type f \
            -exec cp -t "share/licenses/$name" {} +
    done
}

elf_files() {
    find . -type f -size +64c -print | while read -r name; do
        case $(head -c 4 "$name" | tr -d '\0') in *ELF) echo "$name" ;; esac
    done
}

build_checks() {
    cd "$PY" || return
    local newest foreign names
    mapfile -t names < <(elf_files)
    newest=$("$OBJDUMP" -T "${names[@]}" | grep -o 'GLIBC_[0-9][0-9.]*' | sort -uV | tail -n 1)
    [ "$(printf '%s\n' "${newest#GLIBC_}" "$GLIBC" | sort -V | tail -n 1)" = "$GLIBC" ] ||
        { echo "it needs $newest" && return 1; }
    foreign=$(for name in "${names[@]}"; do "$OBJDUMP" -p "$name" | awk '/NEEDED/ { print $2 }'; done | sort -u |
        grep -Ev '^(lib(c|m|dl|util|rt|pthread)\.so\.[0-9]|ld-linux-x86-64\.so\.2|libpython3[.0-9]*so.*|libgcc_s\.so\.1)$' || :)
    [ -z "$foreign" ] || { echo "it needs libraries of the host: $foreign" && return 1; }
    if grep -rl -e "$OUT" .; then
        echo "the name of the build's folder is in these files"
        return 1
    fi
    # with the real glibc 2.17: every extension module, and what holds most of them
    set -- env -i "$SYSROOT/lib/ld-2.17.so" --library-path "$SYSROOT/lib" bin/python3 -I -B
    find lib/python3*/lib-dynload -name '*.so' -printf '%f\n' | sed 's/\..*//; s/^/import /' | "$@" -
    "$@" -c 'import asyncio, bz2, ctypes, hashlib, lzma, pip, pyexpat, sqlite3, ssl, uuid, venv, zlib'
}
