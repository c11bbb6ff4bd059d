"""The values that flow: manifest, lock and index.

All are frozen pydantic models: unknown keys are refused, and every mistake of a document is found in one pass.
Keys are kebab-case on disk. Paths of a manifest are relative to its folder.
"""

from __future__ import annotations

from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Literal

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from payload.digest import Digest
from payload.document import Document
from payload.trust import Keyring
from payload.version import Version, VersionRange

FORMAT_VERSION = 1
PYTHON_ARCHIVE = "tools/python.tar.gz"
"""Where a release has the portable Python: an archive with the one folder `PYTHON_FOLDER`."""
PYTHON_FOLDER = "python"
SBOM_PATH = "sbom.cdx.json"
"""Where a release has its bill of materials."""
OLDEST_GLIBC = "2.2"
"""The first glibc of x86_64: what needs it needs nothing in particular."""


def _relative(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or value != str(path) or value == ".":
        raise ValueError(f"{value!r} must be a plain relative path: no '..', no leading '/', no './', no empty part")
    if "\\" in value or not value.isprintable():
        raise ValueError(f"{value!r} has a backslash or a letter that cannot be printed")
    return value


def _requirement(value: str) -> str:
    if value.startswith(("./", "../")) or value == ".":
        return value
    try:
        Requirement(value)
    except InvalidRequirement as error:
        raise ValueError(f"{value!r} is neither a path starting with ./ or ../ nor a requirement: {error}") from error
    return value


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
"""Safe as a file name, a user name and part of a unit name."""
RelativePath = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_relative)]
PythonRequirement = Annotated[str, AfterValidator(_requirement)]
"""A PEP 508 requirement, or the path (starting with ./ or ../) of a Python project."""
RpmRequirement = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9/][A-Za-z0-9._+/()-]*( (<|<=|=|>=|>) [A-Za-z0-9:._+~^-]+)?$")
]
"""An RPM capability, as in a spec file's Requires: `NAME` or `NAME >= EVR`."""
PackagePattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*?][A-Za-z0-9._+*?:~^-]*$")]
"""A package's name, name.arch or NEVRA, with the wildcards * and ?."""
ModuleStream = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*:[A-Za-z0-9._+-]+$")]
"""`NAME:STREAM`."""
FileMode = Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^(https?|file)://[^\s]+$")]
UpstreamUrl = Annotated[str, StringConstraints(pattern=r"^((https?|file)://|\.\.?/)[^\s]+$")]
"""A URL, or the path (starting with ./ or ../) of a folder that has repodata/."""
LibcVersion = Annotated[str, StringConstraints(pattern=r"^2\.[0-9]{1,3}$")]
"""A glibc, such as `2.17`."""
AnswerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


# --- the manifest: what a person writes -------------------------------------------------------------------------------


class Product(Document):
    """What is bundled."""

    name: Name
    version: Version
    title: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,100}$")]
    upgrades_from: VersionRange | None = None


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


class Database(Document):
    """An SQLite file under the data folder: backed up before an upgrade, put back by a rollback."""

    path: RelativePath


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


class Requirements(Document):
    """What preflight asks of the host besides the target."""

    memory_mb: int = Field(default=0, ge=0)
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()


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


# --- the lock: the exact artifacts ------------------------------------------------------------------------------------


class LockedRpm(Document):
    """An RPM of the closure; `location` is relative to its upstream's URL, `requested`: named in the manifest."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    upstream: Name
    location: RelativePath
    digest: Digest
    size: int
    requested: bool

    @property
    def nevra(self) -> str:
        """`name-epoch:version-release.arch`."""
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.arch}"

    @property
    def filename(self) -> str:
        """The file's name without folders."""
        return PurePosixPath(self.location).name


class LockedWheel(Document):
    """A wheel of one environment. `source`: from the package index by name, or built from a path."""

    environment: RelativePath
    """`server`, or `agents/NAME`."""
    name: str
    version: Version
    filename: RelativePath
    digest: Digest
    source: Literal["index", "path"]
    sources: Digest | None = None
    """For a path: the digest of the project's sources, by which a build sees that they changed after the lock."""


class LockedImage(Document):
    """An image with nothing left open."""

    name: Name
    digest: Digest
    size: int
    virtual_size: int


class LockedPython(Document):
    """The portable CPython of `[runtime]`, a .tar.gz with the one folder `PYTHON_FOLDER`. `libc`: the oldest glibc that
    it starts on."""

    version: Version
    libc: LibcVersion
    digest: Digest


class Lock(Document):
    """`bundle.lock`: what `build` puts in, to the byte."""

    format: Literal[1] = 1
    manifest: Digest
    """Digest of the manifest file that was locked."""
    rpms: tuple[LockedRpm, ...]
    wheels: tuple[LockedWheel, ...]
    pip: LockedWheel
    """The pip wheel that installs the others on the target."""
    images: tuple[LockedImage, ...]
    python: LockedPython | None = None


# --- the index: what is inside a bundle, signed -----------------------------------------------------------------------


class Section(Document):
    """A part of the file that is no member: stub, runtime, or a text."""

    offset: int = Field(ge=0)
    size: int = Field(ge=0)
    digest: Digest


class Chunk(Document):
    """How a piece of a member's content is stored: as it is, or as one zstd frame."""

    size: int = Field(ge=1)
    digest: Digest


class Blob(Document):
    """A member's bytes. `digest` and `size` are of the content; the chunks, each `payload.format.CHUNK_SIZE` bytes of
    content but for the last, lie one behind the other from `offset` on and together have `stored_size` bytes."""

    digest: Digest
    size: int = Field(ge=0)
    codec: Literal["raw", "zstd"]
    offset: int = Field(ge=0)
    stored_size: int = Field(ge=0)
    chunks: tuple[Chunk, ...]


class Entry(Document):
    """A file: where it goes under the release folder, and whose bytes it has."""

    component: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9/_.-]{0,99}$")]
    """`server`, `agents/NAME`, `images/NAME`, `repository`, `templates`, `tools`, `python`, `lock`, `sbom`."""
    path: RelativePath
    mode: Annotated[int, Field(ge=0, le=0o777)]
    blob: Digest


class Base(Document):
    """A release that an upgrade bundle can be installed over."""

    version: Version
    release: Digest
    """See `payload.index.release_digest`."""


class Source(Document):
    """A file of a base, and what makes the wanted content from it: nothing, or the patch in the member `patch`."""

    path: RelativePath
    patch: Digest | None = None


class Borrowed(Document):
    """A content that an upgrade bundle does not hold. `sources` has one for each base, in their order."""

    digest: Digest
    size: int = Field(ge=0)
    sources: tuple[Source, ...]


class Index(Document):
    """The signed table of contents."""

    format: Literal[1] = 1
    created: int = Field(ge=0)
    """Seconds since the epoch, from SOURCE_DATE_EPOCH or the manifest's time: part of the input, not of the build."""
    keyring: Keyring
    """Whose signatures count from this bundle on: what a host pins at its first install."""
    manifest: Manifest
    lock: Lock
    stub: Section
    runtime: Section
    libc: LibcVersion = OLDEST_GLIBC
    """The oldest glibc on which the runtime starts, measured over all its programs."""
    help: Section
    info: Section
    listing: Section
    blobs: tuple[Blob, ...]
    entries: tuple[Entry, ...]
    bases: tuple[Base, ...] = ()
    """Of an upgrade bundle: any one of these must be installed."""
    borrowed: tuple[Borrowed, ...] = ()

    @property
    def content_sizes(self) -> dict[Digest, int]:
        """The size of every content, inside the file or not, by its digest."""
        sizes = {blob.digest: blob.size for blob in self.blobs}
        return sizes | {each.digest: each.size for each in self.borrowed}
