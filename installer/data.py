"""The steps of a plan that have to do with the product's database."""

from __future__ import annotations

from pathlib import Path

from installer.layout import Layout
from installer.offer import Offer
from installer.parts import Site
from installer.steps import (
    AnyStep,
    BackUpDatabase,
    DumpDatabase,
    MigrateDatabase,
    RehearseMigration,
    RestoreDatabase,
)
from installer.steps.postgresql import DUMP_NAME


def backup(site: Site, offer: Offer, reason: str) -> list[AnyStep]:
    """Back up the database."""
    database = offer.manifest.server.database
    if database is None:
        return []
    copy = site.layout.kept(site.run) / "database.sqlite"
    return [BackUpDatabase(database=site.layout.data_dir / database.path, backup=copy, reason=reason)]


def restore(layout: Layout, current: Offer, copy: str | None, reason: str) -> list[AnyStep]:
    """Put a copy of the database back."""
    database = current.manifest.server.database
    if database is None or copy is None:
        return []
    return [RestoreDatabase(database=layout.data_dir / database.path, backup=Path(copy), reason=reason)]


def dump(site: Site, offer: Offer, reason: str, *, argv: tuple[str, ...] = ()) -> list[AnyStep]:
    """Copy a database that lies elsewhere, and try the copy; `argv` runs on that."""
    if site.elsewhere is None:
        return []
    layout = site.layout
    step = DumpDatabase(
        database=site.elsewhere,
        backup=layout.kept(site.run) / DUMP_NAME,
        folder=layout.rehearsal_dir,
        argv=argv,
        user=offer.manifest.user,
        reason=reason,
    )
    return [step]


def rehearsal(site: Site, offer: Offer) -> list[AnyStep]:
    """Try the migration on a copy."""
    layout, database = site.layout, offer.manifest.server.database
    if site.elsewhere is not None:
        return dump(site, offer, "if it fails, nothing was stopped", argv=offer.rehearse or ())
    if offer.rehearse is None or database is None:
        return []
    step = RehearseMigration(
        database=layout.data_dir / database.path,
        copy=layout.rehearsal_dir / "database",
        argv=offer.rehearse,
        user=offer.manifest.user,
        reason="if it fails, nothing was stopped",
    )
    return [step]


def downgrade(layout: Layout, installed: Offer | None) -> list[AnyStep]:
    """Let the installed release take its schema back."""
    if installed is None or installed.downgrade is None:
        return []
    step = MigrateDatabase(
        what="take the database's schema back",
        argv=installed.downgrade,
        back=installed.migrate or (),
        database=_database(layout, installed),
        user=installed.manifest.user,
        cwd=layout.data_dir,
        reason=f"{installed.version} knows its own schema; the older release does not",
    )
    return [step]


def migration(layout: Layout, offer: Offer, *, first: bool = False) -> list[AnyStep]:
    """Give the database the offer's schema. A `first` install has no schema to go back to."""
    if offer.migrate is None:
        return []
    step = MigrateDatabase(
        what="migrate the database",
        argv=offer.migrate,
        back=() if first else offer.downgrade or (),
        database=_database(layout, offer),
        user=offer.manifest.user,
        cwd=layout.data_dir,
        reason="the database gets this release's schema",
    )
    return [step]


def _database(layout: Layout, offer: Offer) -> Path | None:
    database = offer.manifest.server.database
    return layout.data_dir / database.path if database else None
