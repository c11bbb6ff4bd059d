"""What `-R` means: which repositories stand for the upstreams when packages come from a mirror."""

from __future__ import annotations

from pathlib import Path

from payload.errors import UsageError
from payload.model import Manifest, Upstream
from repos.offline import PrivateRepository, RepositoryFile, key_urls

AUTO = "auto"
"""What the operator says instead of a name to have the mirrors measured."""
_SCHEMES = ("http://", "https://", "file://")


def mirror_repositories(manifest: Manifest, choice: str, release: Path) -> RepositoryFile:
    """The repositories of the mirror `choice`: a name of the manifest's catalogue, or a base URL.

    A URL is one repository that stands for all upstreams and may be signed by any of their keys. `auto` is no name:
    rank the mirrors first (`repos.probing`) and call with each usable name in turn.

    Raises:
        UsageError: the catalogue has no such name, or the mirror stands for no upstream.
    """
    if choice.startswith(_SCHEMES):
        repositories: tuple[PrivateRepository, ...] = (_by_url(manifest, choice, release),)
    else:
        repositories = _by_name(manifest, choice, release)
    return RepositoryFile(manifest.product.title, repositories)


def _by_url(manifest: Manifest, url: str, release: Path) -> PrivateRepository:
    upstreams = manifest.repository.upstreams
    return PrivateRepository(
        id=f"{manifest.product.name}-mirror",
        name=f"{manifest.product.title}: {url}",
        baseurl=url,
        gpgkeys=key_urls(upstreams, release),
        repo_gpgcheck=bool(upstreams) and all(upstream.signed_metadata for upstream in upstreams),
    )


def _by_name(manifest: Manifest, name: str, release: Path) -> tuple[PrivateRepository, ...]:
    mirror = manifest.mirrors.get(name)
    known = ", ".join(sorted(manifest.mirrors)) or "none"
    if mirror is None:
        raise UsageError(
            "unknown-mirror",
            f"There is no mirror {name!r}",
            details=f"This bundle knows: {known}",
            remedy=f"Call with -R and one of these names, '{AUTO}', or a URL (http, https or file).",
        )
    served = [upstream for upstream in manifest.repository.upstreams if upstream.id in mirror]
    if not served:
        raise UsageError("empty-mirror", f"The mirror {name!r} has none of this bundle's upstreams")
    return tuple(_of_upstream(manifest, name, upstream, mirror[upstream.id], release) for upstream in served)


def _of_upstream(manifest: Manifest, name: str, upstream: Upstream, url: str, release: Path) -> PrivateRepository:
    return PrivateRepository(
        id=f"{manifest.product.name}-{name}-{upstream.id}",
        name=f"{manifest.product.title}: {upstream.id} from {name}",
        baseurl=url,
        gpgkeys=key_urls([upstream], release),
        repo_gpgcheck=upstream.signed_metadata,
    )
