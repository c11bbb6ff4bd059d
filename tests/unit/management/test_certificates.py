"""The install's own authority: TLS for everybody who trusts it, renewed in time, its key private."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from management.client.connection import Connection, Server
from management.client.errors import ClientError
from management.client.messages import GetVersion
from management.server.certificates import CertificateError, Certificates
from tests.unit.management.patience import PATIENCE

NAMES = ("localhost", "127.0.0.1", "::1", "cloud.example")


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path / "tls")
    assert made.ensure(NAMES) == ("authority", "node")
    return made


def test_keys_are_private_and_the_authority_can_be_read(certificates: Certificates) -> None:
    modes = {file.name: file.stat().st_mode & 0o777 for file in certificates.folder.iterdir()}
    assert modes == {"ca.pem": 0o644, "ca.key": 0o600, "node.pem": 0o600}


def test_the_same_again_makes_nothing(certificates: Certificates) -> None:
    before = {file: file.read_bytes() for file in certificates.folder.iterdir()}
    assert certificates.ensure(NAMES[:2]) == ()
    assert {file: file.read_bytes() for file in certificates.folder.iterdir()} == before


def test_another_name_or_the_end_of_its_time_makes_a_new_node(certificates: Certificates) -> None:
    authority = certificates.authority.read_bytes()
    assert certificates.ensure([*NAMES, "192.0.2.1"]) == ("node",)
    assert certificates.ensure(NAMES, datetime.now(UTC) + timedelta(days=360)) == ("node",)
    certificates.node.write_text("damaged")
    assert certificates.ensure(NAMES) == ("node",)
    assert certificates.authority.read_bytes() == authority


def test_a_clock_that_was_ahead_leaves_no_certificate_that_is_not_valid_yet(certificates: Certificates) -> None:
    now = datetime.now(UTC)
    assert certificates.ensure(NAMES, now + timedelta(days=360)) == ("node",)
    assert certificates.ensure(NAMES, now) == ("node",)
    assert certificates.ensure(NAMES, now) == ()
    with pytest.raises(CertificateError, match="set the clock"):
        certificates.ensure(NAMES, now + timedelta(days=30 * 365))
    assert certificates.ensure(NAMES, now) == ()


def test_rotation(certificates: Certificates) -> None:
    node, authority = certificates.node.read_bytes(), certificates.authority.read_bytes()
    assert certificates.rotate(NAMES, authority=False) == ("node",)
    assert certificates.authority.read_bytes() == authority
    assert certificates.rotate(NAMES, authority=True) == ("authority", "node")
    assert certificates.authority.read_bytes() != authority
    assert certificates.node.read_bytes() != node


def test_nodes_that_share_an_authority_are_trusted_as_one(certificates: Certificates, tmp_path: Path) -> None:
    other = Certificates(tmp_path / "other")
    other.folder.mkdir()
    for file in (certificates.authority, certificates.authority_key):
        (other.folder / file.name).write_bytes(file.read_bytes())
    assert other.ensure(["other.example"]) == ("node",)


def test_half_an_authority_is_no_authority(certificates: Certificates) -> None:
    certificates.authority_key.unlink()
    with pytest.raises(CertificateError, match="restore the other"):
        certificates.ensure(NAMES)


def test_the_server_speaks_tls_with_a_certificate_of_its_own_authority(server: Any, tmp_path: Path) -> None:
    ca = server.data / "tls" / "ca.pem"
    with Connection(Server("127.0.0.1", server.tls_port, ca)) as connection:
        assert connection.ask(GetVersion())["version"] == "1.1.0"
    foreign = Certificates(tmp_path / "foreign")
    foreign.ensure(NAMES)
    with (
        Connection(Server("localhost", server.tls_port, foreign.authority)) as connection,
        pytest.raises(ClientError, match="show-authority"),
    ):
        connection.ask(GetVersion())
    with pytest.raises(ClientError, match="cannot be used"):
        Connection(Server(ca=server.config))


def test_without_tls_only_the_loopback_address_answers(server: Any) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{server.tls_port}/healthz", timeout=PATIENCE)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.2:{server.port}/healthz", timeout=PATIENCE)


def test_old_protocols_are_refused(server: Any) -> None:
    context = ssl.create_default_context(cafile=server.data / "tls" / "ca.pem")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"https://127.0.0.1:{server.tls_port}/healthz", verify=context, timeout=PATIENCE)


def test_the_shell_checks_the_authority(server: Any, tmp_path: Path) -> None:
    shown = server.run("show-authority").stdout
    assert shown == (server.data / "tls" / "ca.pem").read_text()
    (tmp_path / "ca.pem").write_text(shown)
    there = ("-H", "localhost", "-p", str(server.tls_port), "--ca", str(tmp_path / "ca.pem"))
    assert server.run_shell(*there, "GetVersion").returncode == 0
    foreign = Certificates(tmp_path / "foreign")
    foreign.ensure(NAMES)
    refused = server.run_shell(*there[:4], "--ca", str(foreign.authority), "GetVersion")
    assert (refused.returncode, "show-authority" in refused.stderr) == (1, True)


def test_the_commands_of_the_server(make_install: Any) -> None:
    install = make_install()
    assert install.run("make-certificates").stdout == "made: authority, node\n"
    assert "nothing to do" in install.run("make-certificates").stdout
    assert install.run("rotate-certificates").stdout == "made: node; restart the server\n"
    assert install.run("rotate-certificates", "--authority").stdout == "made: authority, node; restart the server\n"
