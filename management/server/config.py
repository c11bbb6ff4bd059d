"""The server's configuration: one TOML file that the operator may edit, checked as a whole."""

import tomllib
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class ConfigError(Exception):
    """The configuration file cannot be used; the text lists every mistake."""


class Config(BaseModel):
    """What /etc/<product>/server.toml may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen_address: str = "127.0.0.1"
    listen_port: int = Field(default=8080, ge=1, le=65535)
    management_ip: IPv4Address | IPv6Address = Field(
        default=IPv4Address("127.0.0.1"),
        description="where this host reaches itself over SSH, and where its console agent listens",
    )
    ssh_port: int = Field(default=22, ge=1, le=65535)
    data_dir: Path
    agents_dir: Path
    session_seconds: int = Field(default=7200, ge=1)
    deploy_timeout_seconds: int = Field(default=600, ge=10)
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @property
    def database_file(self) -> Path:
        return self.data_dir / "sealift.db"

    @property
    def keys_dir(self) -> Path:
        return self.data_dir / "keys"


def load_config(path: Path) -> Config:
    """Read and check `path`.

    Raises:
        ConfigError: it cannot be read, is not TOML, or holds mistakes (all of them are named).
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join(lines)) from error
