"""Upstreams over TLS: real handshakes with a private authority, and with clients that must show a certificate."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest
import trustme

from builder.mirror import sync
from payload.errors import ResolveError
from payload.events import NullSink
from payload.store import Store
from repos.createrepo import create_repository
from repos.sync import Access, Fetcher
from tests.unit.repos.conftest import Signer
from tests.unit.repos.server import Behaviour, serve


class Authority:
    """A private authority, and files for those who trust it or have a certificate of it."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.ca = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca)
        client = self._ca.issue_cert("builder@example.org")
        self.certificate, self.key, self.both = folder / "client.pem", folder / "client.key", folder / "both.pem"
        client.cert_chain_pems[0].write_to_path(self.certificate)
        client.private_key_pem.write_to_path(self.key)
        client.private_key_and_cert_chain_pem.write_to_path(self.both)

    def server(self, name: str = "127.0.0.1", *, asks: bool = False) -> ssl.SSLContext:
        """A server of that name; `asks`: for a client's certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(name).configure_cert(context)
        if asks:
            self._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    return folder


def fetcher(folder: Path, access: Access | None = None) -> Fetcher:
    return Fetcher(Store(folder.parent / "store"), NullSink(), access=access, attempts=2, pause=0.01, timeout=5)


def test_the_authority_of_the_manifest_is_trusted_and_no_other(folder: Path, authority: Authority) -> None:
    behaviour = Behaviour()
    with serve(folder, behaviour, authority.server()) as url:
        assert fetcher(folder, Access(ca_file=authority.ca)).read(f"{url}/file") == b"content"
        behaviour.requests.clear()
        with pytest.raises(ResolveError) as caught:
            fetcher(folder).read(f"{url}/file")
        assert "certificate verify failed" in caught.value.details
        other = Authority(folder.parent)
        with pytest.raises(ResolveError):
            fetcher(folder, Access(ca_file=other.ca)).read(f"{url}/file")
    assert behaviour.requests == []


def test_a_certificate_for_another_name_is_refused(folder: Path, authority: Authority) -> None:
    behaviour = Behaviour()
    with serve(folder, behaviour, authority.server("mirror.example.org")) as url, pytest.raises(ResolveError) as caught:
        fetcher(folder, Access(ca_file=authority.ca)).read(f"{url}/file")
    assert "127.0.0.1" in caught.value.details
    assert behaviour.requests == []


def test_an_authority_from_the_environment(folder: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca))
    with serve(folder, Behaviour(), authority.server()) as url:
        assert fetcher(folder).read(f"{url}/file") == b"content"


def test_a_server_that_asks_for_a_certificate(folder: Path, authority: Authority) -> None:
    behaviour = Behaviour()
    with serve(folder, behaviour, authority.server(asks=True)) as url:
        with pytest.raises(ResolveError):
            fetcher(folder, Access(ca_file=authority.ca)).read(f"{url}/file")
        assert behaviour.requests == []
        for certificate, key in ((authority.both, None), (authority.certificate, authority.key)):
            access = Access(ca_file=authority.ca, certificate=certificate, key=key)
            assert fetcher(folder, access).read(f"{url}/file") == b"content"


def test_a_mirror_of_an_upstream_for_known_clients_only(
    folder: Path, authority: Authority, rpms: dict[str, Path], signers: tuple[Signer, Signer], tmp_path: Path
) -> None:
    shutil.copy(rpms["library"], folder)
    create_repository(folder, revision=1)
    signers[0].sign_file(folder / "repodata/repomd.xml")
    for path in (authority.ca, authority.certificate, authority.key, signers[0].public):
        shutil.copy(path, tmp_path)
    with serve(folder, Behaviour(), authority.server(asks=True)) as url:
        (tmp_path / "mirror.toml").write_text(
            f"""[repository]
[[repository.upstreams]]
id = "base"
url = "{url}"
gpg-keys = ["{signers[0].public.name}"]
ca-file = "ca.pem"
client-cert = "client.pem"
client-key = "client.key"
"""
        )
        store = Store(tmp_path / "store")
        done = sync(tmp_path / "mirror.toml", tmp_path / "mirror", rpm_key=None, store=store, sink=NullSink())
    assert done.added == ("library-1.2-3.noarch.rpm",)
