"""Which kind of run a request means on this host. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from installer.keyring import HostTrust
from installer.request import Request
from installer.state import State
from payload.digest import Digest
from payload.errors import PreflightError, TrustError, UsageError
from payload.manifest import Manifest, Product
from payload.model import Base
from payload.version import Version
from repos.nevra import Nevra

Meaning = Literal["install", "upgrade", "downgrade", "same"]


def decide(request: Request, state: State | None, manifest: Manifest, bundle: Digest, program: str) -> Meaning:
    """Install, upgrade, downgrade, or the same release again. Whether the data can go back is not asked here.

    Raises:
        UsageError: the request does not fit what is installed; says what would.
    """
    product = manifest.product
    if state is None:
        if request.upgrade:
            raise UsageError(
                "nothing-installed",
                f"there is no {product.name} on this host to upgrade",
                remedy=f"for a first install: bash {program} -o",
            )
        return "install"
    _check_prefix(request, state)
    if product.version == state.current:
        _check_same_bundle(state, bundle, product.name)
        return "same"
    if product.version < state.current and request.allow_downgrade:
        return "downgrade"
    if product.version < state.current:
        raise UsageError(
            "version-lower",
            f"{product.name} {state.current} is installed; {product.version} is older",
            details=f"releases on this host: {', '.join(str(each.version) for each in state.releases)}",
            remedy=f"to go back to a release that lies here: {product.name}-ctl rollback; "
            f"to install the older one and keep today's data, if its schema can go back: add --allow-downgrade",
        )
    if not request.upgrade:
        raise UsageError(
            "already-installed",
            f"{product.name} {state.current} is installed",
            remedy=f"to upgrade it to {product.version}: bash {program} -u",
        )
    check_hops(product, state.current)
    if product.upgrades_from is None or not product.upgrades_from.contains(state.current, prereleases=True):
        reach = "no release" if product.upgrades_from is None else str(product.upgrades_from)
        raise UsageError(
            "upgrade-out-of-range",
            f"{product.version} cannot upgrade {state.current}",
            details=f"it upgrades from {reach}",
            remedy="upgrade to a release in between first",
        )
    return "upgrade"


def check_hops(product: Product, current: Version) -> None:
    """Refuse an upgrade that would leave out a release that must be passed.

    Raises:
        UsageError: it would; names the release to get first, and the whole way.
    """
    hops = sorted(hop for hop in product.upgrade_hops if hop > current)
    if hops:
        way = " -> ".join(map(str, (current, *hops, product.version)))
        raise UsageError(
            "upgrade-hop",
            f"{current} cannot become {product.version} in one step: {hops[0]} must come first",
            details=f"the way: {way}",
            remedy=f"get the bundle of {product.name} {hops[0]}, upgrade with it, and then run this one again",
        )


def check_downgrade(installed: Manifest, target: Version, *, lies_here: bool) -> None:
    """Refuse to install the older `target` over a release whose data it could not read.

    Raises:
        UsageError: the `installed` release has a schema of its own, and does not say how to take it back.
    """
    server, product = installed.server, installed.product
    if server.database is None or server.migrate is None or server.downgrade is not None:
        return
    raise UsageError(
        "downgrade-impossible",
        f"the data of {product.name} {product.version} cannot be taken back to {target}",
        details=f"{product.version} has no command that takes its database's schema back (server.downgrade)",
        remedy=f"{product.name}-ctl rollback --to {target}: it brings back the data of then"
        if lies_here
        else f"stay with {product.version}; or uninstall, and install {target} anew",
    )


def check_irreversible(request: Request, packages: tuple[Nevra, ...]) -> None:
    """Where nobody can be asked, refuse to change `packages` of the host: their old versions are nowhere at hand.

    Raises:
        PreflightError: there are some, and the request does not allow it.
    """
    if not packages or request.allow_irreversible:
        return
    raise PreflightError(
        "packages-irreversible",
        "packages of this host would change, and could not be put back if the run fails; nothing was changed",
        details="\n".join(nevra.short for nevra in packages),
        remedy="see whether this host can do without their old versions; if so, add --allow-irreversible",
    )


def check_replay(request: Request, manifest: Manifest, created: int, host: HostTrust | None, program: str) -> None:
    """Refuse a bundle that is older than one that this host took, by its version and by its time.

    A fix for an older branch is taken: it has a lower version, but was made later.

    Raises:
        TrustError: it is older, and `--allow-older` was not given.
    """
    product = manifest.product
    if host is None or product.version >= host.version or created >= host.created:
        return
    if request.allow_older or request.allow_downgrade:
        return
    raise TrustError(
        "bundle-older",
        f"this host took {product.name} {host.version} already; {product.version} is older",
        details="An old bundle may have faults that are known and mended since.",
        remedy=f"if it is meant, allow it: bash {program} --allow-older and the other options",
    )


def choose_base(bases: tuple[Base, ...], state: State | None, version: Version) -> tuple[int, Version] | None:
    """Which base of an upgrade bundle of `version` lies on this host: its number and version.

    None: the bundle is full, or it upgrades nothing here. A repair without a base does with what the bundle holds.

    Raises:
        UsageError: this host cannot be upgraded with it.
    """
    if not bases:
        return None
    if state is None:
        raise UsageError(
            "upgrade-bundle",
            "this bundle upgrades an installed product; it is not enough for a first install",
            details=f"it needs one of: {', '.join(str(base.version) for base in bases)}",
            remedy="get the full bundle of this version",
        )
    current_first = sorted(state.releases, key=lambda each: each.version != state.current)
    for record in current_first:
        for number, base in enumerate(bases):
            if base.release == record.bundle:
                return number, record.version
    if version <= state.current:
        return None
    raise UsageError(
        "base-missing",
        f"this bundle does not upgrade what is installed here, which is {state.current}",
        details=f"it needs one of: {', '.join(f'{base.version} ({base.release})' for base in bases)}\n"
        f"here: {', '.join(f'{each.version} ({each.bundle})' for each in current_first)}",
        remedy="get the full bundle of this version",
    )


def chosen_mirror(request: Request, state: State | None) -> tuple[str | None, bool]:
    """The mirror, and whether the bundle comes before it: what `-R` says, else what it said when this host was
    installed, unless `-o` asks for the bundle's packages."""
    if request.offline:
        return None, False
    if request.mirror is not None or state is None:
        return request.mirror, request.bundle_first
    return state.mirror, state.bundle_first


def _check_prefix(request: Request, state: State) -> None:
    if request.prefix is not None and request.prefix != Path(state.prefix):
        raise UsageError(
            "prefix-differs",
            f"{state.product} is installed in {state.prefix}, not in {request.prefix}",
            remedy="leave -r out: the installed place is known",
        )


def _check_same_bundle(state: State, bundle: Digest, name: str) -> None:
    if state.current_record.bundle != bundle:
        raise UsageError(
            "bundle-differs",
            f"{name} {state.current} is installed, but from another bundle of the same version",
            details=f"installed: {state.current_record.bundle}\nthis file: {bundle}",
            remedy="changed contents need a new version; or uninstall first",
        )
