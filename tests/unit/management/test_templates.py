"""The installer's templates render with the documented context and nothing else, and mean what they say."""

from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from management.server.config import load_config

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
    assert config.database_url().database == "/var/lib/harbour/sealift.db"
