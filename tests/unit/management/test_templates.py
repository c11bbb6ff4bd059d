"""The installer's templates render with the documented context and nothing else, and mean what they say."""

from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from management.server.config import ConfigError, load_config

MANAGEMENT = Path(__file__).parents[3] / "management"
CONTEXT = {
    "product": "harbour",
    "version": "1.1.0",
    "prefix": Path("/opt/harbour"),
    "current": Path("/opt/harbour/current"),
    "config_dir": Path("/etc/harbour"),
    "data_dir": Path("/var/lib/harbour"),
    "log_dir": Path("/var/log/harbour"),
}


def render(name: str, **answers: Any) -> str:
    loader = FileSystemLoader(MANAGEMENT)
    templates = Environment(loader=loader, undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    return templates.get_template(name).render(**CONTEXT, answers=answers)


def test_unit() -> None:
    unit = render("units/sealift-server.service.j2")
    assert "\nUser=harbour\n" in unit
    command = '"/opt/harbour/current/venv/bin/sealift-server" --config "/etc/harbour/server.toml" serve'
    assert f"\nExecStart={command}\n" in unit
    assert "\nReadWritePaths=/var/lib/harbour\n" in unit


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, ("127.0.0.1", 8080, "127.0.0.1", 22)),
        ({"listen_port": 9090, "listen_address": "::"}, ("::", 9090, "127.0.0.1", 22)),
        ({"listen_port": "9090", "management_ip": "10.0.0.1", "ssh_port": 2222}, ("127.0.0.1", 9090, "10.0.0.1", 2222)),
    ],
)
def test_configuration(tmp_path: Path, answers: dict[str, Any], expected: tuple[Any, ...]) -> None:
    file = tmp_path / "server.toml"
    file.write_text(render("config/server.toml.j2", **answers))
    config = load_config(file)
    assert (config.listen_address, config.listen_port, str(config.management_ip), config.ssh_port) == expected
    assert config.agents_dir == Path("/opt/harbour/current/agents")
    assert config.host_packages is not None
    assert config.host_packages.url == f"http://{expected[2]}:8079"
    keys = ("/opt/harbour/current/repository/RPM-GPG-KEY-*", "/opt/harbour/current/keys/*.asc")
    assert config.host_packages.keys == keys
    assert config.database_url().database == "/var/lib/harbour/sealift.db"


def test_where_hosts_get_packages(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text(render("config/server.toml.j2", management_ip="2001:db8::1", repository_port=9079))
    packages = load_config(file).host_packages
    assert packages and packages.url == "http://[2001:db8::1]:9079"
    file.write_text(file.read_text().replace('["qemu-utils"]', '["--installroot=/"]'))
    with pytest.raises(ConfigError, match=r"packages\.hosts\.0"):
        load_config(file)
    file.write_text(file.read_text().replace('["--installroot=/"]', "[]"))
    assert load_config(file).host_packages is None
