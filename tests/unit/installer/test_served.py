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
from payload.errors import IntegrityError
from payload.signing import PrivateKey
from payload.trust import Keyring
from payload.writer import BundleWriter
from tests.unit.installer.upgrades import LEFT_PATH, TAKEN, TAKEN_PATH, upgrade_bundle
from tests.unit.payload.bundles import HELP, lock, runtime
from tests.unit.repos.manifests import manifest

RPM = os.urandom(3_000_000)
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
    bundle, release = upgrade_bundle(tmp_path), tmp_path / "release"
    assert "1 packages are left out" in bundle.text(bundle.index.info)
    (release / TAKEN_PATH).parent.mkdir(parents=True)
    (release / TAKEN_PATH).write_bytes(TAKEN)
    for folder, status in ((None, 404), (release, 200)):
        with served_bundle(bundle, folder) as source, requests.Session() as session:
            parser = configparser.ConfigParser(interpolation=None)
            parser.read(source.reposdir / "bundle.repo")
            url = parser[parser.sections()[0]]["baseurl"]
            answer = session.get(f"{url}/{TAKEN_PATH.removeprefix('repository/')}")
            assert answer.status_code == status
            assert status == 404 or answer.content == TAKEN
            assert session.get(f"{url}/{LEFT_PATH.removeprefix('repository/')}").status_code == 404
            assert session.get(f"{url}/repodata/primary.xml.gz").content == b"primary"
