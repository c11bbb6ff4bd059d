"""Private repository files: what our own calls of the host's package manager read instead of /etc/yum.repos.d."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from payload.errors import InputError
from payload.model import Manifest, Upstream
from templates.render import render

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._-]")
REPOSITORY_FOLDER = "repository"
"""The bundle's own repository, in the bundle and in a release folder."""


def rpm_key_name(product: str) -> str:
    """The file in the bundle's repository with the public key that its metadata is signed by."""
    return f"RPM-GPG-KEY-{product}"


@dataclass(frozen=True, slots=True)
class PrivateRepository:
    """One repository. Packages are always checked against `gpgkeys` (URLs); `repo_gpgcheck`: the metadata too."""

    id: str
    name: str
    baseurl: str
    gpgkeys: tuple[str, ...]
    repo_gpgcheck: bool
    metadata_expire: int = 0
    """Seconds for which the package manager may believe what it read before."""
    module_hotfixes: bool = False
    """Its packages were chosen already: a module that the host has enabled does not hide them."""


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
        return ", ".join(repository.baseurl for repository in self.repositories)

    def render(self) -> str:
        """Its text.

        Raises:
            InputError: a value would break out of its line.
        """
        for repository in self.repositories:
            values = (self.title, repository.id, repository.name, repository.baseurl, *repository.gpgkeys)
            if bad := [value for value in values if not value.isprintable()]:
                raise InputError("bad-repository", f"{bad[0]!r} cannot stand in a repository file")
        return render("repo/private.repo.j2", self)


def key_path(upstream: Upstream, number: int) -> str:
    """Where the `number`th key of an upstream (from 1) is in the bundle and in a release folder."""
    return f"keys/{upstream.id}-{number}.asc"


def key_urls(upstreams: Sequence[Upstream], release: Path) -> tuple[str, ...]:
    """URLs of all keys of `upstreams` in a release folder."""
    paths = (key_path(one, number) for one in upstreams for number in range(len(one.gpg_keys)))
    return tuple((release / path).as_uri() for path in paths)


def bundle_repository(manifest: Manifest, release: Path) -> RepositoryFile:
    """The repository that came in the bundle, in the release folder. The bundle's own signature holds its metadata;
    each package has its upstream's besides."""
    product = manifest.product
    repository = PrivateRepository(
        # One id for each version: yum 3 keeps its cache by id, and refuses metadata older than what it has there.
        id=f"{product.name}-bundle-{_NOT_IN_IDS.sub('_', str(product.version))}",
        name=f"{product.title} {product.version}, from its bundle",
        baseurl=(release / REPOSITORY_FOLDER).as_uri(),
        gpgkeys=key_urls(manifest.repository.upstreams, release),
        repo_gpgcheck=False,
        module_hotfixes=True,
    )
    return RepositoryFile(product.title, (repository,))
