"""`<product>-ctl backup`: the whole product as one archive."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from installer.backup.contents import Contents
from installer.backup.keys import host_key
from installer.backup.walk import Tree
from installer.backup.writer import write
from installer.elsewhere import configured, copyable
from installer.installed import Installed, recovered
from installer.layout import Layout
from installer.lock import exclusive
from installer.offer import SHIPPED_FOLDER, Offer
from installer.steps.images import LIST_NAME
from installer.steps.postgresql import client
from installer.views import View
from payload.errors import UsageError


def back_up_product(installed: Installed, archive: Path) -> View:
    """Write `archive`. The product may run: databases are copied as they are at one moment.

    Raises:
        UsageError: the file is there already, cannot be made, or would be part of itself.
        StepError: a database is damaged.
    """
    layout, archive = installed.layout, archive.absolute()
    for folder in (layout.config_dir, layout.data_dir):
        if archive.resolve().is_relative_to(folder.resolve()):
            raise UsageError("backup-in-itself", f"{archive} lies in {folder}, which is backed up")
    with exclusive(layout):
        installed = recovered(installed)
        key = host_key(layout)
        offer = installed.offer()
        with _dumped(installed, offer) as dumped:
            trees = (*_trees(layout, offer), *dumped)
            made = write(archive, _about(installed), trees, key, installed.sink, scratch=layout.state_dir)
    size, fingerprint = archive.stat().st_size, key.public.fingerprint
    body = {"archive": str(archive), "bytes": size, "files": len(made.files), "key": fingerprint}
    lines = (
        f"{archive}: {len(made.files)} files of {layout.product} {made.version}, {size / 1e6:,.1f} MB",
        "It holds this host's keys and secrets, and only root can read it: keep it so.",
        f"It was signed by {fingerprint}. Keep that elsewhere: another host asks for it.",
    )
    return View(body, lines)


@contextmanager
def _dumped(installed: Installed, offer: Offer) -> Iterator[tuple[Tree, ...]]:
    """A copy of the database in PostgreSQL, if the product has one there."""
    layout = installed.layout
    database = copyable(configured(layout, offer.manifest), installed.sink)
    if database is None:
        yield ()
        return
    with client(database, layout.rehearsal_dir, offer.manifest.user, installed.host.run) as tools:
        tools.make_dump()
        tools.read_dump()
        yield (Tree("database", tools.folder, tools.private),)


def prefix_of(layout: Layout) -> str:
    """Where the product lies, as its host sees it."""
    inside = layout.prefix.is_relative_to(layout.root)
    return f"/{layout.prefix.relative_to(layout.root)}" if inside else str(layout.prefix)


def _about(installed: Installed) -> Contents:
    layout, state = installed.layout, installed.state
    record = state.current_record
    return Contents(
        product=layout.product,
        version=record.version,
        release=record.bundle,
        prefix=prefix_of(layout),
        host=socket.gethostname(),
        created=int(time.time()),
        answers=state.answers,
        config={str(Path(path).relative_to(layout.config_dir)): digest for path, digest in record.config.items()},
        items=(),
    )


def _trees(layout: Layout, offer: Offer) -> tuple[Tree, ...]:
    """What goes in. Images of the release are made again from it; others may have guests that run from them."""
    images = PurePosixPath(layout.images_dir.relative_to(layout.data_dir))
    made = {str(images / image.file_name) for image in offer.images} | {str(images / LIST_NAME)}
    own = {layout.state_dir.name, layout.rehearsal_dir.name}
    return (
        Tree("config", layout.config_dir),
        Tree("data", layout.data_dir, frozenset(own | made)),
        Tree("shipped", offer.release / SHIPPED_FOLDER),
    )
