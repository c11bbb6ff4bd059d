"""The bundle's repository, served out of the file."""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from installer.served import served_bundle
from payload.archive import VerifiedBundle, open_bundle
from payload.digest import digest_bytes
from payload.errors import IntegrityError
from payload.model import Base, Borrowed, LockedRpm, Source
from payload.trust import Keyring, PrivateKey
from payload.version import Version
from payload.writer import BundleWriter
from tests.unit.payload.bundles import HELP, lock, runtime
from tests.unit.repos.manifests import manifest

RPM = os.urandom(3_000_000)
LEFT = LockedRpm(
    name="left",
    epoch=0,
    version="1",
    release="1",
    arch="noarch",
    upstream="base",
    location="left-1-1.noarch.rpm",
    digest="sha256:" + "3" * 64,
    size=16,
    requested=True,
)
FILES = {
    "keys/base-0.asc": b"the upstream's key",
    "repository/RPM-GPG-KEY-thing": b"the product's key",
    "repository/Packages/tool-1-1.noarch.rpm": RPM,
    "repository/repodata/repomd.xml": b"<repomd/>" * 1000,
    "repository/repodata/primary.xml.gz": b"primary",
    "wheels/server/secret.whl": b"not of the repository",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    folder = tmp_path_factory.mktemp("bundle")
    key = PrivateKey.generate("vendor")
    path = folder / "thing.bin"
    with BundleWriter(path, stub=lambda section: b"#!/bin/sh\nexit 0\n", runtime=runtime(folder)) as writer:
        for name, content in FILES.items():
            writer.add(content, path=name, component=name.partition("/")[0])
        keyring = Keyring(keys=(key.public,))
        writer.finish(manifest=manifest(), lock=lock(), created=0, keyring=keyring, signers=(key,), help=HELP)
    return open_bundle(path).verify(keyring)


def test_the_whole_repository_and_nothing_else(bundle: VerifiedBundle) -> None:
    with served_bundle(bundle) as source, requests.Session() as session:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(source.reposdir / "bundle.repo")
        (section,) = parser.sections()
        assert source.ids == (section,)
        url = parser[section]["baseurl"]
        assert urlsplit(url).hostname == "127.0.0.1"
        for name, content in FILES.items():
            answer = session.get(f"{url}/{name.removeprefix('repository/')}")
            if name.startswith("repository/"):
                assert answer.content == content
            else:
                assert answer.status_code == 404
        part = session.get(f"{url}/Packages/tool-1-1.noarch.rpm", headers={"Range": "bytes=1000000-2500000"})
        assert part.content == RPM[1_000_000:2_500_001]
        part = session.get(f"{url}/repodata/repomd.xml", headers={"Range": "bytes=5-11"})
        assert part.content == FILES["repository/repodata/repomd.xml"][5:12]
        keys = [Path(urlsplit(each).path) for each in parser[section]["gpgkey"].split()]
        assert [key.read_bytes() for key in keys] == [b"the product's key", b"the upstream's key"]
        assert source.reposdir.stat().st_mode & 0o777 == 0o700
    assert not source.reposdir.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_damaged_metadata_is_never_served(bundle: VerifiedBundle) -> None:
    entry = next(entry for entry in bundle.index.entries if entry.path.endswith("primary.xml.gz"))
    blob = next(blob for blob in bundle.index.blobs if blob.digest == entry.blob)
    with bundle.path.open("r+b") as file:
        good = os.pread(file.fileno(), 1, blob.offset)
        os.pwrite(file.fileno(), bytes([good[0] ^ 1]), blob.offset)
        try:
            with pytest.raises(IntegrityError, match=re.escape(entry.path)), served_bundle(bundle):
                pytest.fail("it was served")
        finally:
            os.pwrite(file.fileno(), good, blob.offset)


def test_packages_that_an_upgrade_does_not_hold_come_from_the_laid_out_release(tmp_path: Path) -> None:
    key = PrivateKey.generate("vendor")
    release = tmp_path / "release"
    base = Base(version=Version("0.9"), release="sha256:" + "1" * 64)
    tool, left = "repository/Packages/tool-1-1.noarch.rpm", "repository/Packages/left-1-1.noarch.rpm"
    with BundleWriter(tmp_path / "u.bin", stub=lambda section: b"#!/bin/sh\n", runtime=runtime(tmp_path)) as writer:
        for name, content in FILES.items():
            if name != tool:
                writer.add(content, path=name, component=name.partition("/")[0])
        taken = Borrowed(digest=digest_bytes(RPM), size=len(RPM), sources=(Source(path=tool),))
        writer.borrow(taken, path=tool, component="repository")
        writer.borrow(Borrowed(digest=LEFT.digest, size=16, header="2" * 64), path=left, component="repository")
        locked = lock().model_copy(update={"rpms": (LEFT,)})
        keyring = Keyring(keys=(key.public,))
        writer.finish(
            manifest=manifest(), lock=locked, created=0, keyring=keyring, signers=(key,), help=HELP, bases=(base,)
        )
    bundle = open_bundle(tmp_path / "u.bin").verify(keyring)
    assert "1 packages are left out" in bundle.text(bundle.index.info)
    (release / tool).parent.mkdir(parents=True)
    (release / tool).write_bytes(RPM)
    for folder, status in ((None, 404), (release, 200)):
        with served_bundle(bundle, folder) as source, requests.Session() as session:
            parser = configparser.ConfigParser(interpolation=None)
            parser.read(source.reposdir / "bundle.repo")
            url = parser[parser.sections()[0]]["baseurl"]
            answer = session.get(f"{url}/{tool.removeprefix('repository/')}")
            assert answer.status_code == status
            assert status == 404 or answer.content == RPM
            assert session.get(f"{url}/{left.removeprefix('repository/')}").status_code == 404
            assert session.get(f"{url}/repodata/primary.xml.gz").content == b"primary"
