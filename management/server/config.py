"""The server's configuration: one TOML file that the operator may edit, checked as a whole."""

import socket
import tomllib
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from management.deploy.packages import PackageSource
from management.server.commanderror import EXIT_USAGE, CommandError

PackageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_+.-]*$")]
LOOPBACK = "127.0.0.1"
TIMEOUTS = "timeouts.properties"
_POSTGRESQL = "postgresql+psycopg"


class ConfigError(CommandError):
    """The configuration file cannot be used; the text lists every mistake."""

    code = EXIT_USAGE


class DatabaseConfig(BaseModel):
    """Where the data lies, if not in the data folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = Field(default=None, description="postgresql://USER@HOST:PORT/NAME; without it, an SQLite file")
    password_file: Path | None = Field(default=None, description="its first line is the password of that user")

    @field_validator("url")
    @classmethod
    def _postgresql(cls, value: str | None) -> str | None:
        if value is None:
            return value
        try:
            url = make_url(value)
        except ArgumentError as error:
            raise ValueError("write it as postgresql://USER@HOST:PORT/NAME") from error
        if url.get_backend_name() != "postgresql" or not url.database:
            raise ValueError("write it as postgresql://USER@HOST:PORT/NAME")
        if url.password is not None:
            raise ValueError("a password does not belong here: put it into a file and name that in password_file")
        return value


class PackagesConfig(BaseModel):
    """The repository of this release, as hosts reach it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://[!-~]+$")
    keys: tuple[str, ...] = Field(description="patterns of the files with the public keys that it is signed by")
    hosts: tuple[PackageName, ...] = Field(description="what each host is to have besides its agent")


class Config(BaseModel):
    """What /etc/<product>/server.toml may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen_address: str = Field(default=LOOPBACK, description="where the API is reached, over TLS")
    tls_port: int = Field(default=8443, ge=1, le=65535)
    tls_names: list[str] = Field(default=[], description="more names that others reach this node by")
    listen_port: int = Field(default=8080, ge=1, le=65535, description="plain HTTP, on the loopback address only")
    management_ip: IPv4Address | IPv6Address = Field(
        default=IPv4Address("127.0.0.1"),
        description="where this host reaches itself over SSH, and where its console agent listens",
    )
    ssh_port: int = Field(default=22, ge=1, le=65535)
    data_dir: Path
    database: DatabaseConfig = DatabaseConfig()
    agents_dir: Path
    packages: PackagesConfig | None = None
    session_seconds: int = Field(default=7200, ge=1)
    keep_calls_days: float = Field(
        default=7, ge=0, description="how long the result of a finished call can be asked for"
    )
    deploy_timeout_seconds: int = Field(default=600, ge=10)
    timeouts_file: Path | None = Field(
        default=None,
        description=f"lines that set API timeouts; without it, {TIMEOUTS} beside this file if that is there",
    )
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    def database_url(self) -> URL:
        """The database, with its password.

        Raises:
            ConfigError: the password's file cannot be read.
        """
        if self.database.url is None:
            return sqlite_url(self.data_dir / "sealift.db")
        url = make_url(self.database.url).set(drivername=_POSTGRESQL)
        if self.database.password_file is None:
            return url
        try:
            lines = self.database.password_file.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"{self.database.password_file}: {error.strerror}") from error
        return url.set(password=lines[0] if lines else "")

    def certificate_names(self) -> tuple[str, ...]:
        """The names and addresses that clients may know this node by."""
        listens = () if self.listen_address in ("0.0.0.0", "::") else (self.listen_address,)  # noqa: S104
        own = ("localhost", LOOPBACK, "::1", socket.gethostname(), str(self.management_ip))
        return (*own, *listens, *self.tls_names)

    def callback_url(self, path: str) -> str:
        """Where agents reach `path` on this node: over TLS, unless they are on this host."""
        if self.management_ip.is_loopback:
            return f"http://{LOOPBACK}:{self.listen_port}{path}"
        host = f"[{self.management_ip}]" if self.management_ip.version == 6 else str(self.management_ip)
        return f"https://{host}:{self.tls_port}{path}"

    @property
    def certificates_dir(self) -> Path:
        return self.data_dir / "tls"

    @property
    def keys_dir(self) -> Path:
        return self.data_dir / "keys"

    @property
    def host_packages(self) -> PackageSource | None:
        """What hosts get from the repository of this release."""
        if self.packages is None or not self.packages.hosts:
            return None
        return PackageSource(self.packages.url, self.packages.keys, self.packages.hosts)


def sqlite_url(file: Path) -> URL:
    """An SQLite database in `file`."""
    return URL.create("sqlite", database=str(file))


def copy_url(copy: str) -> URL:
    """A copy of the database: the path of a file, or a URL of PostgreSQL, whose password is libpq's affair."""
    if copy.startswith("postgresql://"):
        return make_url(copy).set(drivername=_POSTGRESQL)
    return sqlite_url(Path(copy))


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
        return Config.model_validate({**values, **_timeouts_file(path, values)})
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join(lines)) from error


def _timeouts_file(path: Path, values: dict[str, Any]) -> dict[str, Path]:
    """The file that `values` name, seen from the folder of `path`, or the one that is there."""
    beside, given = path.absolute().with_name(TIMEOUTS), values.get("timeouts_file")
    if isinstance(given, str):
        return {"timeouts_file": beside.parent / given}
    return {"timeouts_file": beside} if given is None and beside.exists() else {}
