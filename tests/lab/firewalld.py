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

_PACKAGES = ("firewalld", "netbase", "nftables")
"""The second has the names of protocols, which every EL host has; the third shows the rules."""
_LEFT_OUT = ("gir1.2-nm-1.0", "libnm0", "libpam-systemd", "polkitd", "usrmerge")
"""It would wait for a NetworkManager, and for a judge over users, that no lab host has."""
_JOBS = os.cpu_count() or 1


def firewalld(cache: Cache, distribution: Path) -> Path:
    """A folder with firewalld's RPMs and those of all that it needs, made once; what `distribution`
    has is taken from there."""
    key = code_digest("firewalld.py", "convert.py", "debs.py")
    return cache.item("firewalld", key, lambda folder: _make(folder, distribution))


def _make(folder: Path, distribution: Path) -> None:
    debs = folder / "debs"
    fetch_closure(_PACKAGES, debs)
    every = read_debs(debs, _JOBS)
    catalogue = Catalogue(every)
    there = {rpm.name.rsplit("-", 2)[0]: rpm for rpm in (distribution / "Packages").glob("*.rpm")}

    def one(deb: Deb) -> None:
        if deb.name in there:
            (folder / there[deb.name].name).hardlink_to(there[deb.name])
            return
        with tempfile.TemporaryDirectory(dir=folder) as work:
            rpm = convert(deb, catalogue.requires(deb), catalogue.provides(deb), Path(work))
            shutil.copy(rpm, folder)

    with ThreadPoolExecutor(_JOBS) as pool:
        list(pool.map(one, (deb for deb in every if deb.name not in _LEFT_OUT)))
    shutil.rmtree(debs)
