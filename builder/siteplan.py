"""Reading a site plan. It comes from a host and is foreign: whatever is wrong with it is refused here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from payload.digest import Digest
from payload.errors import InputError, UsageError
from payload.lock import LockedRpm
from payload.manifest import Manifest
from payload.siteplan import MAX_SIZE, SitePlan
from payload.store import Store
from repos.header import read_header_digest

_SHOWN = 20


def read_site_plan(path: Path, manifest: Manifest) -> SitePlan:
    """The plan at `path`, of a host that `manifest`'s release can upgrade.

    Raises:
        UsageError: it cannot be read.
        InputError: it is no plan, or one of another product or of a release out of the upgrade range.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise UsageError("file-unreadable", f"cannot read {path}: {error.strerror}") from error
    if len(text) > MAX_SIZE:
        raise _invalid(path, f"it has more than {MAX_SIZE} bytes")
    try:
        plan = SitePlan.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _invalid(path, _mistakes(error)) from error
    _check_fit(path, plan, manifest)
    return plan


def packages_on_host(plan: SitePlan, rpms: Iterable[LockedRpm], store: Store) -> dict[Digest, str]:
    """Those of `rpms` that the host has installed, in exactly this build: their headers, by digest.

    Raises:
        IntegrityError: a package in the store is none.
    """
    installed, names = plan.installed, {each.nevra for each in plan.packages}
    headers = {rpm: read_header_digest(store.path(rpm.digest)) for rpm in rpms if rpm.nevra in names}
    return {rpm.digest: header for rpm, header in headers.items() if header and (rpm.nevra, header) in installed}


def _check_fit(path: Path, plan: SitePlan, manifest: Manifest) -> None:
    product = manifest.product
    reach = product.upgrades_from
    wrong = None
    if plan.product != product.name:
        wrong = f"it is of {plan.product}, not of {product.name}"
    elif reach is None or not reach.contains(plan.version, prereleases=True):
        wrong = f"its host has {plan.version}; the manifest upgrades from {reach or 'no release'}"
    if wrong:
        raise InputError("plan-unfit", f"nothing can be built for {path}", details=wrong, remedy="take another plan")


def _mistakes(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in found[:_SHOWN]]
    return "\n".join((*lines, *((f"and {len(found) - _SHOWN} more",) if len(found) > _SHOWN else ())))


def _invalid(path: Path, why: str) -> InputError:
    return InputError(
        "plan-invalid",
        f"{path} is not what a host writes with --plan --json",
        details=why,
        remedy="write it anew on the host, with the control command of the installed release, and copy it unchanged",
    )
