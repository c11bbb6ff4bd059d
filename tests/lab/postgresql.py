"""PostgreSQL's programs with their libraries, in a folder: Debian's, unpacked and not installed.

Installing the package would make a cluster, a user and a certificate on the machine, none of which a test wants.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.cache import Cache, code_digest
from tests.lab.debs import fetch_closure
from tests.lab.process import run

_PACKAGES = ("postgresql-15", "postgresql-client-15")
_LIBRARIES = "usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"
_LEFT_OUT = ("libc6", "libllvm", "libperl")
"""The machine's own C library does; the others are for just-in-time code and for procedures, which nothing here has."""


def postgresql(cache: Cache) -> Path:
    """The folder with the unpacked packages, made once. Anybody may read it, if its parents let them."""
    return cache.item("postgresql", code_digest("postgresql.py"), _make)


def programs(folder: Path) -> Path:
    """Where `initdb`, `postgres` and `pg_isready` are, in a copy of that folder."""
    return folder / "usr/lib/postgresql/15/bin"


def environment(folder: Path) -> dict[str, str]:
    """What the programs need in their environment to find their libraries."""
    return {"LD_LIBRARY_PATH": ":".join(str(folder / place) for place in _LIBRARIES), "LC_ALL": "C"}


def _make(folder: Path) -> None:
    debs = folder / "debs"
    fetch_closure(_PACKAGES, debs)
    for deb in debs.glob("*.deb"):
        name = deb.name.partition("_")[0]
        if name in _PACKAGES or (name.startswith("lib") and not name.startswith(_LEFT_OUT)):
            run(["dpkg-deb", "-x", deb, folder])
    shutil.rmtree(debs)
    folder.chmod(0o755)
