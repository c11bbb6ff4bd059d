"""Private repository files: what our own calls of the host's package manager read instead of /etc/yum.repos.d."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from payload.errors import InputError
from payload.manifest import Manifest, Upstream
from templates.render import render

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._-]")
KEYS_FOLDER = "keys"
"""The OpenPGP keys of the repositories, in the bundle and in a release folder."""
REPOSITORY_FOLDER = "repository"
"""The bundle's own repository, in the bundle and in a release folder."""
PACKAGES_FOLDER = f"{REPOSITORY_FOLDER}/Packages"
"""Its packages."""


def rpm_key_name(product: str) -> str:
    """The file in the bundle's repository with the public key that its metadata is signed by."""
    return f"RPM-GPG-KEY-{product}"


@dataclass(frozen=True, slots=True)
class PrivateRepository:
    """One repository. Packages are always checked against `gpgkeys` (URLs); `repo_gpgcheck`: the metadata too."""

    id: str
    name: str
    baseurls: tuple[str, ...]
    """The places that have it, tried in this order."""
    gpgkeys: tuple[str, ...]
    repo_gpgcheck: bool
    metadata_expire: int = 0
    """Seconds for which the package manager may believe what it read before."""
    module_hotfixes: bool = False
    """Its packages were chosen already: a module that the host has enabled does not hide them."""
    direct: bool = False
    """It is on this host: no proxy is asked, whatever the host's configuration says."""
    first: bool = False
    """Its packages hide those of the same name in all other repositories (not from yum 3)."""


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """A `.repo` file; the context of `repo/private.repo.j2`."""

    title: str
    repositories: tuple[PrivateRepository, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids to enable."""
        return tuple(repository.id for repository in self.repositories)

    @property
    def origin(self) -> str:
        """Where the packages are, for people."""
        return ", ".join(repository.baseurls[0] for repository in self.repositories)

    def render(self) -> str:
        """Its text.

        Raises:
            InputError: a value would break out of its line.
        """
        for repository in self.repositories:
            values = (self.title, repository.id, repository.name, *repository.baseurls, *repository.gpgkeys)
            if bad := [value for value in values if not value.isprintable()]:
                raise InputError("bad-repository", f"{bad[0]!r} cannot stand in a repository file")
        return render("repo/private.repo.j2", self)


def key_path(upstream: Upstream, number: int) -> str:
    """Where the `number`th key of an upstream (from 1) is in the bundle and in a release folder."""
    return f"{KEYS_FOLDER}/{upstream.id}-{number}.asc"


def key_urls(upstreams: Sequence[Upstream], release: Path) -> tuple[str, ...]:
    """URLs of all keys of `upstreams` in a release folder."""
    paths = (key_path(one, number) for one in upstreams for number in range(len(one.gpg_keys)))
    return tuple((release / path).as_uri() for path in paths)


def bundle_id(product: str, version: object) -> str:
    """The id of the repository that comes in the bundle of `version`: one for each, since yum 3 keeps its cache by id
    and refuses metadata older than what it has there."""
    return f"{product}-bundle-{_NOT_IN_IDS.sub('_', str(version))}"


def bundle_repository(manifest: Manifest, release: Path, *, url: str | None = None) -> RepositoryFile:
    """The repository that came in the bundle: in the release folder, or where it is served at `url`; its keys are in
    the release folder always. The product's RPM key signs its metadata; each package has its upstream's signature.
    """
    product = manifest.product
    own_key = (release / REPOSITORY_FOLDER / rpm_key_name(product.name)).as_uri()
    repository = PrivateRepository(
        id=bundle_id(product.name, product.version),
        name=f"{product.title} {product.version}, from its bundle",
        baseurls=(url or (release / REPOSITORY_FOLDER).as_uri(),),
        gpgkeys=(own_key, *key_urls(manifest.repository.upstreams, release)),
        repo_gpgcheck=True,
        module_hotfixes=True,
        direct=True,
        first=True,
    )
    return RepositoryFile(product.title, (repository,))
