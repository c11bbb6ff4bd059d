"""What `-R` means: which repositories stand for the upstreams when packages come from a mirror."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from payload.errors import UsageError
from payload.manifest import Manifest, MirrorPlace, Upstream
from repos.offline import PrivateRepository, RepositoryFile, key_urls
from repos.variables import expand

AUTO = "auto"
"""What the operator says instead of a name to have the mirrors measured."""
_SCHEMES = ("http://", "https://", "file://")


@dataclass(frozen=True, slots=True)
class System:
    """What of a host decides which places of a mirror are for it: `names` are ID and ID_LIKE, `version` VERSION_ID.
    `variables` are what the package manager puts for `$releasever` and the like."""

    names: tuple[str, ...] = ()
    version: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def fits(self, place: MirrorPlace) -> bool:
        """Whether `place` is for this system."""
        if place.os is None or place.os in self.names:
            return True
        name, _, version = place.os.rpartition("-")
        return name in self.names and f"{self.version}.".startswith(f"{version}.")

    def expand(self, url: str) -> str:
        """`url` with the package manager's variables put in."""
        return expand(url, self.variables)


def places_for(system: System, places: Iterable[MirrorPlace]) -> tuple[str, ...]:
    """The URLs that are for `system`, in their order."""
    return tuple(place.url for place in places if system.fits(place))


def mirror_repositories(manifest: Manifest, choice: str, release: Path, system: System) -> RepositoryFile:
    """The repositories of the mirror `choice`: a name of the manifest's catalogue, or a base URL.

    A URL is one repository that stands for all upstreams and may be signed by any of their keys. `auto` is no name:
    rank the mirrors first (`repos.probing`) and call with each usable name in turn.

    Raises:
        UsageError: the catalogue has no such name, or the mirror stands for no upstream.
    """
    if choice.startswith(_SCHEMES):
        repositories: tuple[PrivateRepository, ...] = (_by_url(manifest, choice, release),)
    else:
        repositories = _by_name(manifest, choice, release, system)
    return RepositoryFile(manifest.product.title, repositories)


def _by_url(manifest: Manifest, url: str, release: Path) -> PrivateRepository:
    upstreams = manifest.repository.upstreams
    return PrivateRepository(
        id=f"{manifest.product.name}-mirror",
        name=f"{manifest.product.title}: {url}",
        baseurls=(url,),
        gpgkeys=key_urls(upstreams, release),
        repo_gpgcheck=bool(upstreams) and all(upstream.signed_metadata for upstream in upstreams),
    )


def _by_name(manifest: Manifest, name: str, release: Path, system: System) -> tuple[PrivateRepository, ...]:
    mirror = manifest.mirrors.get(name)
    known = ", ".join(sorted(manifest.mirrors)) or "none"
    if mirror is None:
        raise UsageError(
            "unknown-mirror",
            f"There is no mirror {name!r}",
            details=f"This bundle knows: {known}",
            remedy=f"Call with -R and one of these names, '{AUTO}', or a URL (http, https or file).",
        )
    served = {
        upstream: urls
        for upstream in manifest.repository.upstreams
        if (urls := places_for(system, mirror.get(upstream.id, ())))
    }
    if not served:
        raise UsageError(
            "empty-mirror",
            f"The mirror {name!r} has none of this bundle's upstreams for this system",
            details=f"this system: {' or '.join(system.names) or 'unknown'} {system.version}",
            remedy="Choose another mirror, or give its URL with -R.",
        )
    return tuple(_of_upstream(manifest, name, upstream, urls, release) for upstream, urls in served.items())


def _of_upstream(
    manifest: Manifest, name: str, upstream: Upstream, urls: tuple[str, ...], release: Path
) -> PrivateRepository:
    return PrivateRepository(
        id=f"{manifest.product.name}-{name}-{upstream.id}",
        name=f"{manifest.product.title}: {upstream.id} from {name}",
        baseurls=urls,
        gpgkeys=key_urls([upstream], release),
        repo_gpgcheck=upstream.signed_metadata,
    )
