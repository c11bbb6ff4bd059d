"""firewalld as RPMs, with what it needs beyond the lab's distribution, of which it is no part: one test wants it."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab.cache import Cache, code_digest
from tests.lab.convert import convert
from tests.lab.debs import Catalogue, Deb, fetch_closure, read_debs
from tests.lab.distribution import HOST

_PACKAGES = ("firewalld",)
_JOBS = os.cpu_count() or 1


def firewalld(cache: Cache, distribution: Path) -> Path:
    """A folder with the RPMs that a host from `distribution` lacks for firewalld, made once; they are not signed."""
    key = code_digest("firewalld.py", "convert.py", "debs.py")
    return cache.item("firewalld", key, lambda folder: _make(folder, distribution))


def _make(folder: Path, distribution: Path) -> None:
    debs = folder / "debs"
    fetch_closure((*HOST, *_PACKAGES), debs)
    every = read_debs(debs, _JOBS)
    catalogue = Catalogue(every)
    there = {rpm.name.rsplit("-", 2)[0] for rpm in (distribution / "Packages").glob("*.rpm")}

    def one(deb: Deb) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as work:
            rpm = convert(deb, catalogue.requires(deb), catalogue.provides(deb), Path(work))
            shutil.copy(rpm, folder)

    with ThreadPoolExecutor(_JOBS) as pool:
        list(pool.map(one, (deb for deb in every if deb.name not in there)))
    shutil.rmtree(debs)
