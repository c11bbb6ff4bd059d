"""A CPython that starts on every x86_64 Linux with glibc 2.17: built from source, cached, and used.

Its layout is that of python-build-standalone's `install_only` archives: one folder `python/` with `bin/python3`.
"""
