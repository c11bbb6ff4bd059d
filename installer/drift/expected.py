"""What ought to be on the host, by the index of the current release and the record of what is installed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from installer import parts
from installer.drift.model import Wanted
from installer.layout import Layout
from installer.offer import Offer
from installer.parts import Site
from installer.state import ReleaseRecord
from installer.steps import RegisterImages
from installer.steps.images import LIST_NAME
from installer.steps.stage import INDEX_NAME, is_package
from installer.steps.sysctl import settings_text
from payload.digest import digest_bytes
from payload.model import Index


def release_files(release: Path, index: Index, present: frozenset[str], *, all_packages: bool) -> Iterator[Wanted]:
    """The files that are listed in the signed index. Of RPM packages only those `present` need be right, unless
    `all_packages` stay here."""
    for entry in index.entries:
        if all_packages or not is_package(entry.path) or entry.path in present:
            yield Wanted(release / entry.path, "release", digest=entry.blob, mode=entry.mode)
    yield Wanted(release / INDEX_NAME, "release")


def current_link(layout: Layout, version: object) -> Wanted:
    """The link that says which release runs."""
    return Wanted(layout.current, "link", "link", target=f"releases/{version}")


def rendered(site: Site, offer: Offer) -> Iterator[Wanted]:
    """What an install makes outside the release, without configuration."""
    layout = site.layout
    for unit in offer.units:
        path = layout.units_dir / unit.name
        yield Wanted(path, "unit", digest=digest_bytes(unit.content.encode()), mode=0o644)
    if offer.settings:
        text = settings_text(offer.settings)
        yield Wanted(layout.sysctl_file, "sysctl", digest=digest_bytes(text.encode()), mode=0o644)
    for link in parts.links_of(layout, offer):
        yield Wanted(link.path, "link", "link", target=link.target)
    for script in parts.scripts_of(layout, offer):
        yield Wanted(script.path, "link", digest=digest_bytes(script.content.encode()), mode=script.mode)
    for folder in parts.folders(layout, offer).folders:
        group = folder.user or "root"
        owner = "root" if folder.group_only else group
        yield Wanted(folder.path, "folder", "folder", mode=folder.mode, user=owner, group=group)
    for step in parts.ssh_keys(site, offer):
        user = offer.manifest.user
        yield Wanted(step.key, "key", mode=0o600, user=user, group=user)
        public = step.key.with_name(f"{step.key.name}.pub")
        yield Wanted(public, "key", mode=0o644, user=user, group=user, fix="host")
    for registered in parts.images(layout, offer):
        if isinstance(registered, RegisterImages):
            yield from _images(registered)


def configuration(offer: Offer, record: ReleaseRecord) -> Iterator[Wanted]:
    """The configuration as it was rendered at the install; the operator may have changed it since."""
    modes = {str(file.path): file.mode for file in offer.config}
    for name, digest in sorted(record.config.items()):
        yield Wanted(
            Path(name),
            "config",
            digest=digest,
            mode=modes.get(name),
            group=offer.manifest.user,
            editable=True,
        )


def secrets(layout: Layout, offer: Offer, there: Mapping[str, bool]) -> Iterator[Wanted]:
    """The files of secrets that were made for this host, as far as they are `there`: a secret may have been given."""
    for answer in offer.manifest.answers:
        if answer.secret and answer.generate is not None and there.get(answer.name):
            yield Wanted(layout.config_dir / answer.name, "config", mode=0o600)


def _images(step: RegisterImages) -> Iterator[Wanted]:
    for image in step.images:
        if image.source is not None:
            yield Wanted(step.folder / image.file_name, "image", digest=image.digest, mode=0o644)
    yield Wanted(step.folder / LIST_NAME, "image", digest=digest_bytes(step.listing().encode()), mode=0o644)
