"""A verified bundle, before anything of the host is looked at: enough to show and to check what is inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from installer.keyring import TrustedKeys, find_keys, own_keys, verify
from installer.layout import Layout
from installer.lock import check_private
from installer.request import Request
from payload.archive import Damage, VerifiedBundle, open_bundle
from payload.errors import IntegrityError
from payload.events import Sink, stage
from payload.trust import PublicKey

AskKey = Callable[[PublicKey], bool]


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle whose signature holds. `program` is its file's name."""

    request: Request
    bundle: VerifiedBundle
    trusted: TrustedKeys
    sink: Sink
    program: str


def open_verified(
    request: Request, path: Path, sink: Sink, ask: AskKey | None = None, *, root: Path = Path("/")
) -> Opened:
    """Open and verify the bundle at `path`; `ask` decides about an unknown key.

    Raises:
        IntegrityError: the bundle is damaged.
        TrustError: no trusted key signed it.
    """
    unverified = open_bundle(path)
    # the name decides only where keys are looked for; the signature then vouches for it
    claimed = Layout.of(unverified.product, root=root)
    check_private(claimed.state_dir)
    keys = find_keys(claimed, request.key)
    if keys is None and request.only_shows:
        keys = own_keys(unverified)
    bundle, trusted = verify(unverified, keys, ask)
    return Opened(request, bundle, trusted, sink, path.name)


def require_intact(opened: Opened) -> None:
    """Read the whole file and compare it with its signed index.

    Raises:
        IntegrityError: something is damaged; lists all of it.
    """
    with stage(opened.sink, "check", "check every file", total=opened.bundle.path.stat().st_size):
        damage = opened.bundle.check(opened.sink)
        if damage:
            raise IntegrityError(
                "bundle-damaged",
                f"{opened.program} is damaged",
                details="\n".join(map(_damage_line, damage)),
                remedy="copy or download the file again",
            )


def _damage_line(damage: Damage) -> str:
    return f"{damage.component}: {damage.path} at byte {damage.offset}: {damage.why}"
