"""The manifest, `bundle.toml`: what a person writes.

Frozen pydantic models: unknown keys are refused, and every mistake of a document is found in one pass. Keys are
kebab-case on disk. Paths are relative to the manifest's folder.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from payload.document import Document
from payload.fields import (
    AnswerName,
    DottedKey,
    FileMode,
    ModuleStream,
    Name,
    PackagePattern,
    PythonRequirement,
    RelativePath,
    RpmRequirement,
    Sha256,
    SysctlKey,
    TextOrNumber,
    UpstreamUrl,
    Url,
    VersionRange,
)
from payload.requirements import Requirements
from payload.version import Version


class Product(Document):
    """What is bundled."""

    name: Name
    version: Version
    title: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,100}$")]
    upgrades_from: VersionRange | None = None
    upgrade_hops: tuple[Version, ...] = ()
    """Releases that no upgrade may leave out: a host with an older one must get that one first."""
    works_beside: VersionRange | None = None
    """Releases whose nodes work on one database with nodes of this one, while those of a site are upgraded in turn."""


class Target(Document):
    """A kind of host that the bundle fits: `os` holds values of ID or ID_LIKE in /etc/os-release."""

    os: tuple[str, ...] = Field(min_length=1)
    arch: Literal["x86_64"] = "x86_64"
    python: VersionRange | None = None
    """Of the host; not asked where the bundle brings its own."""
    baseline: str | None = None
    """File with the NEVRA lines of a minimal install: those packages are not bundled."""


class Upstream(Document):
    """An rpm-md repository that packages come from at build time."""

    id: Name
    url: UpstreamUrl | None = None
    mirrorlist: Url | None = None
    """A text with one base URL a line."""
    metalink: Url | None = None
    """Base URLs, and the digests of which repomd.xml must have one."""
    gpg_keys: tuple[str, ...] = Field(min_length=1)
    """Files with the keys that sign its packages and metadata."""
    signed_metadata: bool = True
    exclude: tuple[PackagePattern, ...] = ()
    """Packages of this upstream that are as if they were not there."""
    proxy: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")] | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    """A PEM file; the key may be in it or in `client_key`."""
    client_key: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Upstream:
        if sum(origin is not None for origin in (self.url, self.mirrorlist, self.metalink)) != 1:
            raise ValueError("exactly one of 'url', 'mirrorlist' and 'metalink' must be given")
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("'client-key' goes with a 'client-cert'")
        return self


class Repository(Document):
    """The packages that the product wants on its host.

    `serve` is a template of `HOST:PORT`: other hosts get all packages there by HTTP, and so all of them stay on the
    management host. Without it only those stay that the host has installed.
    """

    packages: tuple[RpmRequirement, ...] = ()
    exclude: tuple[PackagePattern, ...] = ()
    """Packages that no upstream may bring."""
    modules: tuple[ModuleStream, ...] = ()
    """Module streams to enable besides the default ones."""
    weak_dependencies: bool = False
    """Whether recommended packages come along."""
    variables: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,30}$")], str] = {}  # noqa: RUF012 - pydantic copies it
    """Values for `$releasever` and other variables in the URLs of upstreams; `$basearch` and `$arch` need none."""
    upstreams: tuple[Upstream, ...] = ()
    serve: str | None = None


class MirrorPlace(Document):
    """A base URL of an upstream on a mirror; with `os` only for hosts of that ID, or ID-VERSION_ID."""

    url: Url
    os: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,40}$")] | None = None


def _places(value: object) -> object:
    """One URL, or a list of URLs and of tables."""
    values = value if isinstance(value, list | tuple) else [value]
    return tuple({"url": each} if isinstance(each, str) else each for each in values)


MirrorPlaces = Annotated[tuple[MirrorPlace, ...], BeforeValidator(_places), Field(min_length=1)]
"""In the order in which they are tried: the place of today first, the vault after it."""
Mirrors = dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,30}$")], dict[Name, MirrorPlaces]]
"""Mirror name → upstream id → places. `$basearch` and `$releasever` in URLs are dnf's."""


class MirrorFile(Document):
    """A file with mirrors of the operator's own."""

    mirrors: Mirrors


class ConfigFile(Document):
    """A template and where under the configuration folder its result goes."""

    template: str
    path: RelativePath
    mode: FileMode = "0640"


class Health(Document):
    """The service is healthy when `url` answers 200 within `timeout` seconds of its start."""

    url: str
    timeout: float = Field(default=60, gt=0, le=3600)


class PostgresqlKeys(Document):
    """Where `config`, a TOML file under the configuration folder, names a PostgreSQL database: dotted keys. The URL
    has no password; that is the first line of the file that the other key names."""

    config: RelativePath
    url: DottedKey = "database.url"
    password_file: DottedKey = "database.password_file"  # noqa: S105 - a key, no password


class Database(Document):
    """An SQLite file under the data folder: backed up before an upgrade, put back by a rollback.

    An operator may have put the data into PostgreSQL instead; `postgresql` says how the installer sees that.
    """

    path: RelativePath
    postgresql: PostgresqlKeys | None = None


class Setup(Document):
    """A command of the server's environment, run as its user after the migration.

    `stdin` names the answer that it reads. `when`: on a fresh install only, on every install and upgrade, or before the
    product is removed.
    """

    command: tuple[str, ...] = Field(min_length=1)
    stdin: AnswerName | None = None
    when: Literal["install", "always", "uninstall"] = "install"

    @model_validator(mode="after")
    def _nothing_to_read_at_the_end(self) -> Setup:
        if self.when == "uninstall" and self.stdin is not None:
            raise ValueError("a command for 'uninstall' reads no answer: nobody is asked then")
        return self


class Runtime(Document):
    """The Python in the bundle. `host`: of the machine that builds, for the installer only. `portable`: one that starts
    on old hosts too, from `path` or `url`, else built from source."""

    python: Literal["host", "portable"] = "host"
    path: str | None = None
    url: Url | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Runtime:
        given = [value for value in (self.path, self.url) if value is not None]
        if len(given) > 1:
            raise ValueError("only one of 'path' and 'url' can be given")
        if bool(given) != (self.sha256 is not None):
            raise ValueError("'sha256' belongs to a 'path' or 'url', and each of these needs it")
        if given and self.python == "host":
            raise ValueError("'path' and 'url' are for python = \"portable\"")
        return self


class Server(Document):
    """The management server: one Python environment, its units and configuration. All strings of commands, the
    health URL, units and config files are Jinja2 templates over `templates.render.ProductContext`."""

    requirements: tuple[PythonRequirement, ...] = Field(min_length=1)
    python: Literal["host", "bundled"] = "host"
    """Whose Python runs the server and the agents: the host's, or the portable one of `[runtime]`."""
    user: Name | None = None
    """System user that owns the data and runs the commands; the product's name if not given."""
    commands: tuple[str, ...] = ()
    """Console scripts of the environment that operators call: linked into /usr/local/bin."""
    units: tuple[str, ...] = ()
    config: tuple[ConfigFile, ...] = ()
    database: Database | None = None
    migrate: tuple[str, ...] | None = None
    rehearse: tuple[str, ...] | None = None
    """Does to the file `{{ database }}`, a copy, what `migrate` does to the database; run before anything stops."""
    downgrade: tuple[str, ...] | None = None
    """Takes this release's schema back to the one of release `{{ downgrade_to }}`."""
    setup: tuple[Setup, ...] = ()
    health: Health | None = None


class Agent(Document):
    """A wheel that the product deploys by itself; the bundle carries it with all its dependencies."""

    name: Name
    requirement: PythonRequirement
    on: Literal["management", "hosts"]


class Image(Document):
    """A qcow2 image by reference. An image with a `path` may leave digest and sizes to `lock`."""

    name: Name
    url: Url | None = None
    path: str | None = None
    sha256: Sha256 | None = None
    size: int | None = Field(default=None, gt=0)
    virtual_size: int | None = Field(default=None, gt=0)
    embed: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Image:
        if (self.url is None) == (self.path is None):
            raise ValueError("exactly one of 'url' and 'path' must be given")
        if self.url is not None and None in (self.sha256, self.size, self.virtual_size):
            raise ValueError("an image by url needs 'sha256', 'size' and 'virtual-size'")
        return self


class Answer(Document):
    """A question to the operator. `generate` makes a random secret of that many characters when none is given."""

    name: AnswerName
    prompt: str
    default: str | int | bool | None = None
    secret: bool = False
    generate: int | None = Field(default=None, ge=12, le=128)

    @model_validator(mode="after")
    def _secret_rules(self) -> Answer:
        if self.secret and self.default is not None:
            raise ValueError("a secret has no default: use 'generate'")
        if self.generate is not None and not self.secret:
            raise ValueError("'generate' is for secrets: set secret = true")
        return self


class SshKey(Document):
    """An Ed25519 SSH key pair made once per install, 0600, kept across upgrades; `path` is under the data folder.
    `authorize` names the local user whose authorized_keys gets the public half."""

    path: RelativePath
    authorize: str | None = None


class SysctlSetting(Document):
    """A kernel setting that the product needs."""

    key: SysctlKey
    value: TextOrNumber


class FirewallPort(Document):
    """A port that other hosts are to reach; `port` is a template of its number."""

    port: TextOrNumber
    protocol: Literal["tcp", "udp"] = "tcp"


class Trust(Document):
    """Whose signatures count from this release on. A change of anything here needs a higher `version`."""

    version: int = Field(default=1, ge=1)
    threshold: int = Field(default=1, ge=1)
    """So many of the keys must sign."""
    keys: tuple[str, ...] = Field(min_length=1)
    """Files with public keys."""
    expires: date | None = None
    """From 00:00 UTC of this day on, hosts take no new bundle under this keyring."""


class Manifest(Document):
    """`bundle.toml`."""

    product: Product
    targets: tuple[Target, ...] = Field(min_length=1)
    repository: Repository = Repository()
    mirrors: Mirrors = Field(default_factory=dict)
    """For `-R`."""
    runtime: Runtime = Runtime()
    server: Server
    agents: tuple[Agent, ...] = ()
    images: tuple[Image, ...] = ()
    answers: tuple[Answer, ...] = ()
    ssh_keys: tuple[SshKey, ...] = ()
    sysctl: tuple[SysctlSetting, ...] = ()
    firewall: tuple[FirewallPort, ...] = ()
    preflight: Requirements = Requirements()
    trust: Trust | None = None
    """Without it, whoever signs is trusted, each key alone."""

    @property
    def brings_python(self) -> bool:
        """Whether server and agents run by the bundle's own Python."""
        return self.server.python == "bundled"

    @property
    def user(self) -> str:
        """The system user of the server."""
        return self.server.user or self.product.name
