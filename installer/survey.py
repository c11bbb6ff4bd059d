"""What is wrong with an installed release: read-only, for the same release again and for `status`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from installer.layout import Layout
from installer.offer import Offer
from installer.parts import links_of
from installer.steps.stage import INDEX_NAME, damaged
from payload.errors import IntegrityError, SealiftError
from payload.index import read_index, release_digest
from payload.model import Index
from repos.dnf import detect


@dataclass(frozen=True, slots=True)
class Survey:
    """`problems` for people; `venv`: the environment has to be made again."""

    problems: tuple[str, ...]
    venv: bool


def survey(layout: Layout, offer: Offer, index: Index) -> Survey:
    """Compare what lies on the host with what the release brings."""
    venv = any(not (offer.release / "venv/bin" / name).exists() for name in ("python", *offer.manifest.server.commands))
    changed = damaged(offer.release, index, all_packages=offer.keeps_all_packages)
    problems = [f"{path} is missing or changed" for path in sorted(changed)]
    if not _listed(offer):
        problems.append(f"{offer.release / INDEX_NAME} is missing or changed")
    if venv:
        problems.append("the Python environment is incomplete")
    if not (offer.release / "runtime/sealift-runtime").is_file():
        problems.append("the control program is missing")
    problems += _links(layout, offer)
    problems += _missing_packages(offer)
    return Survey(tuple(problems), venv)


def _listed(offer: Offer) -> bool:
    """Whether the release's own list of its files is of this release."""
    try:
        listed = read_index((offer.release / INDEX_NAME).read_bytes())
    except (OSError, IntegrityError):
        return False
    return release_digest(listed) == offer.bundle


def _links(layout: Layout, offer: Offer) -> Iterator[str]:
    if not layout.current.is_symlink() or str(layout.current.readlink()) != f"releases/{offer.version}":
        yield f"{layout.current} does not point at {offer.version}"
    for unit in offer.units:
        path = layout.units_dir / unit.name
        if not path.is_file() or path.read_text(encoding="utf-8") != unit.content:
            yield f"{path} is missing or changed"
    for link in links_of(layout, offer):
        if not link.path.is_symlink() or str(link.path.readlink()) != link.target:
            yield f"{link.path} does not point at {link.target}"
    if not layout.ctl.is_file():
        yield f"{layout.ctl} is missing"


def _missing_packages(offer: Offer) -> tuple[str, ...]:
    if not offer.has_packages:
        return ()
    return tuple(f"the package {name} is missing" for name in detect().missing(offer.manifest.repository.packages))


def missing_packages(offer: Offer) -> tuple[str, ...] | None:
    """What dnf has to install, None if there is no package manager that could say: preflight tells then."""
    if not offer.has_packages:
        return ()
    try:
        return detect().missing(offer.manifest.repository.packages)
    except SealiftError:
        return None
