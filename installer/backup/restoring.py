"""`<product>-ctl restore`: the product as it was when an archive was made, on this host or another."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from installer.backup.contents import Contents
from installer.backup.keys import Ask, check_signer
from installer.backup.making import prefix_of
from installer.backup.mounts import check_mounts
from installer.backup.owners import check_owners
from installer.backup.planning import Source, plan_restore
from installer.backup.reader import check_files, opened
from installer.installed import Installed, carry_out, recovered, site_of
from installer.lock import exclusive
from installer.mounts import mountinfo
from installer.offer import installed_offer
from installer.plan import Plan
from payload.errors import UsageError


def restore_product(
    installed: Installed, archive: Path, *, key: str | None, ask_key: Ask | None, confirm: Callable[[Plan], bool]
) -> tuple[str, ...]:
    """Put back what `archive` holds, after all of it was checked. `key`: the fingerprint of who must have signed it.

    Raises:
        IntegrityError: the archive is damaged, or holds what no backup does. Nothing was changed.
        TrustError: it was signed by nobody whom this host knows. Nothing was changed.
        UsageError: it is of another product or release, something is mounted where it goes, or the operator declined.
        SealiftError: it failed; the type says what became of the host.
    """
    layout, archive = installed.layout, archive.absolute()
    with exclusive(layout):
        with opened(archive) as backup:
            check_files(backup, installed.sink)
            check_signer(backup.key, layout, key, ask_key)
            source = Source(archive, backup.digest, backup.contents)
        installed = recovered(installed)
        _check_fits(installed, source.contents)
        check_owners(source.contents)
        check_mounts(layout, mountinfo())
        record = installed.state.current_record
        answers = {**installed.state.answers, **source.contents.answers}
        offer = installed_offer(layout, record.version, record.bundle, answers)
        plan = plan_restore(site_of(installed, offer.manifest), offer, installed.state, source)
        done = carry_out(installed, plan, confirm)
    copies = (item.name for item in source.contents.items if item.top == "database")
    left = [
        f"The database in PostgreSQL is as it was; the archive has a copy of it for pg_restore: {each}"
        for each in copies
    ]
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(source.contents.created))
    return (
        f"{offer.manifest.product.title} {offer.version} is as it was on {source.contents.host} at {made}.",
        *left,
        f"  log: {done.log}",
        f"Next: {layout.ctl.name} status",
    )


def _check_fits(installed: Installed, contents: Contents) -> None:
    layout, record = installed.layout, installed.state.current_record
    here, there = f"{layout.product} {record.version}", f"{contents.product} {contents.version}"
    if (layout.product, record.bundle) != (contents.product, contents.release):
        raise UsageError(
            "backup-differs",
            f"the backup is of {there}, and this host has {here}",
            details=f"backup: {contents.release}\nhere: {record.bundle}",
            remedy="install the release that was backed up, restore, and upgrade then",
        )
    if contents.prefix != prefix_of(layout):
        raise UsageError(
            "prefix-differs",
            f"the backup is of a product in {contents.prefix}, and here it is in {prefix_of(layout)}",
            remedy=f"install it with -r {contents.prefix}",
        )
