"""The lab's upstream: signed RPM repositories, made from Debian packages and from specs of our own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab import convert, debs, scriptlets, signing
from tests.lab.cache import Cache, code_digest, digest_of, progress
from tests.lab.debs import Catalogue, Deb
from tests.lab.distribution import AGENT_SPEC, AGENT_VERSIONS, FILESYSTEM_SPEC, HOST, WANTED
from tests.lab.process import run
from tests.lab.signing import PUBLIC_NAME, Signer

_JOBS = os.cpu_count() or 1


def repository(cache: Cache) -> Path:
    """The distribution: `Packages/*.rpm`, `repodata/` with `repomd.xml.asc`, and the key `RPM-GPG-KEY-lab`."""
    code = code_digest("repository.py", "debs.py", "convert.py", "scriptlets.py", "distribution.py")
    key = digest_of(*HOST, *WANTED, code, signing.key_digest(cache))
    return cache.item("repository", key, lambda folder: _make_distribution(cache, folder))


def agent_repositories(cache: Cache) -> Path:
    """A folder with one signed repository of `sealift-demo-agent` per version, named by the version."""
    code = code_digest("repository.py", "convert.py")
    key = digest_of(AGENT_SPEC, *AGENT_VERSIONS, code, signing.key_digest(cache))
    return cache.item("agents", key, lambda folder: _make_agents(cache, folder))


def _make_distribution(cache: Cache, folder: Path) -> None:
    packages = folder / "Packages"
    packages.mkdir()
    fetched = cache.folder / "debs" / digest_of(*HOST, *WANTED)[:16]
    debs.fetch_closure((*HOST, *WANTED), fetched)
    with signing.open_signer(cache) as signer:
        every = debs.read_debs(fetched, _JOBS)
        progress(f"{len(every)} packages become RPMs")
        _convert_all(cache, every, signer, packages)
        _publish(cache, folder, signer)


def _convert_all(cache: Cache, every: list[Deb], signer: Signer, packages: Path) -> None:
    catalogue = Catalogue(every)
    stored = cache.folder / "rpms"
    stored.mkdir(parents=True, exist_ok=True)
    code = digest_of(code_digest("convert.py"), signing.key_digest(cache))

    def one(deb: Deb) -> None:
        requires, provides = catalogue.requires(deb), catalogue.provides(deb)
        post = scriptlets.POST.get(deb.name, "")
        relations = "\n".join([*requires, "|", *provides, "|", *scriptlets.PROVIDES.get(deb.name, [])])
        key = digest_of(deb.path.name, relations, post, code)
        _link(_stored_rpm(stored, key, signer, lambda work: convert.convert(deb, requires, provides, work)), packages)

    def layout() -> None:
        key = digest_of(FILESYSTEM_SPEC, code)
        _link(_stored_rpm(stored, key, signer, lambda work: convert.build(FILESYSTEM_SPEC, work, "x86_64")), packages)

    largest_first = sorted(every, key=lambda deb: deb.path.stat().st_size, reverse=True)
    with ThreadPoolExecutor(_JOBS) as pool:
        futures = [pool.submit(layout), *(pool.submit(one, deb) for deb in largest_first)]
        for future in futures:
            future.result()


def _stored_rpm(stored: Path, key: str, signer: Signer, make: Callable[[Path], Path]) -> Path:
    """The signed RPM for `key`, from an earlier build or by `make` now."""
    folder = stored / key[:24]
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=stored, prefix=".making-") as temporary:
            rpm = make(Path(temporary))
            signer.sign_rpms([rpm])
            rpm.parent.rename(folder)
    return next(folder.glob("*.rpm"))


def _link(rpm: Path, packages: Path) -> None:
    (packages / rpm.name).hardlink_to(rpm)


def _publish(cache: Cache, folder: Path, signer: Signer) -> None:
    """Metadata over the RPMs of `folder`, signed, with the key beside it."""
    # gz, because older dnf and yum read nothing newer
    run(["createrepo_c", "--quiet", "--general-compress-type=gz", "--no-database", folder])
    signer.sign_detached(folder / "repodata" / "repomd.xml")
    shutil.copy(signing.key_folder(cache) / PUBLIC_NAME, folder / PUBLIC_NAME)


def _make_agents(cache: Cache, folder: Path) -> None:
    with signing.open_signer(cache) as signer, tempfile.TemporaryDirectory() as temporary:
        for version in AGENT_VERSIONS:
            work, packages = Path(temporary, version), folder / version / "Packages"
            work.mkdir()
            packages.mkdir(parents=True)
            built = convert.build(AGENT_SPEC.replace("@VERSION@", version), work, "noarch").parent
            for rpm in sorted(built.glob("*.rpm")):
                signer.sign_rpms([rpm])
                shutil.copy(rpm, packages)
            _publish(cache, folder / version, signer)
