"""Whether a repository on this machine is whole: every byte, every signature, and everything that its packages need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import solv  # type: ignore[import-untyped]

from payload.digest import digest_file
from payload.errors import SealiftError, TrustError
from payload.events import NullSink
from payload.manifest import Upstream
from payload.store import Store
from repos.baseline import Installed
from repos.closure import ResolvedPackage, every_package
from repos.considered import DEFAULT
from repos.createrepo import find_packages
from repos.documents import KEPT_KINDS
from repos.metadata import Metadata, load_metadata
from repos.nevra import Nevra
from repos.package_signatures import verify_packages
from repos.pool import Pool
from repos.repomd import REPOMD
from repos.signing import SIGNATURE_SUFFIX
from repos.sync import Fetcher

_NO_PACKAGES = ("rpmlib(", "solvable:")
"""Needs that rpm itself meets, and libsolv's marks between needs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: with a file of the repository, or with the needs of a package."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and what is wrong. `signed`: the metadata has a signature."""

    packages: int
    size: int
    signed: bool
    findings: tuple[Finding, ...]


def read_repository(folder: Path, keys: Sequence[Path] = (), *, signed: bool = False) -> tuple[ResolvedPackage, ...]:
    """The packages that the metadata of `folder` lists, sorted.

    Raises:
        SealiftError: its metadata is damaged, or (where `signed`) not signed by one of `keys`.
    """
    with TemporaryDirectory(prefix="sealift-check-") as scratch:
        return every_package([_load(folder, keys, Path(scratch), signed=signed)])


def check_repository(folder: Path, keys: Sequence[Path], *, baseline: Iterable[Installed] = ()) -> Checked:
    """Look at all of `folder`. `keys` are the public keys that may have signed it; `baseline` are packages that hosts
    have besides.

    Raises:
        InputError: a key file has no public key.
    """
    signed = (folder / f"{REPOMD}{SIGNATURE_SUFFIX}").is_file()
    with TemporaryDirectory(prefix="sealift-check-") as scratch:
        try:
            metadata = _load(folder, keys, Path(scratch), signed=signed)
            packages = every_package([metadata])
        except SealiftError as error:
            return Checked(0, 0, signed, (Finding(REPOMD, f"{error.brief}: {error.details}".rstrip(": ")),))
        findings = [*_unmet(metadata, baseline), *_strays(folder, packages), *_damaged(folder, packages)]
    bad = {finding.where for finding in findings}
    whole = [folder / one.location for one in packages if one.location not in bad]
    findings += _untrusted(whole, keys)
    size = sum(one.size for one in packages)
    return Checked(len(packages), size, signed, tuple(sorted(findings, key=lambda one: (one.where, one.what))))


def _load(folder: Path, keys: Sequence[Path], scratch: Path, *, signed: bool) -> Metadata:
    url = folder.resolve().as_uri()
    upstream = Upstream(id="mirror", url=url, gpg_keys=tuple(map(str, keys)) or ("none",), signed_metadata=signed)
    return load_metadata(upstream, keys, Fetcher(Store(scratch), NullSink(), attempts=1), also=KEPT_KINDS)


def _unmet(metadata: Metadata, baseline: Iterable[Installed]) -> Iterator[Finding]:
    pool = Pool([metadata], (), tuple(baseline), "x86_64", DEFAULT)
    for solvable in pool.shown():
        for dep in solvable.lookup_deparray(solv.SOLVABLE_REQUIRES):
            if not str(dep).startswith(_NO_PACKAGES) and not pool.native.whatprovides(dep):
                yield Finding(Nevra.of(solvable).short, f"requires {dep}, which nothing provides")


def _strays(folder: Path, packages: Sequence[ResolvedPackage]) -> Iterator[Finding]:
    listed = {one.location for one in packages}
    for path in find_packages(folder):
        location = str(path.relative_to(folder))
        if location not in listed:
            yield Finding(location, "is not in the metadata")


def _damaged(folder: Path, packages: Sequence[ResolvedPackage]) -> Iterator[Finding]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for package, fault in zip(packages, pool.map(lambda one: _fault(folder, one), packages), strict=True):
            if fault:
                yield Finding(package.location, fault)


def _fault(folder: Path, package: ResolvedPackage) -> str:
    path = folder / package.location
    try:
        if path.stat().st_size != package.size:
            return f"has {path.stat().st_size} bytes instead of {package.size}"
        return "" if digest_file(path) == package.digest else "has another digest than the metadata says"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _untrusted(packages: Sequence[Path], keys: Sequence[Path]) -> Iterator[Finding]:
    try:
        verify_packages(packages, keys)
    except TrustError as error:
        for line in error.details.splitlines():
            where, _, what = line.partition(": ")
            yield Finding(where, what)
