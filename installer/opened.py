"""A verified bundle, before anything of the host is looked at: enough to show and to check what is inside."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from installer.keyring import AskKeys, TrustedKeys, find_keys, own_keys, verify
from installer.layout import Layout
from installer.lock import check_private
from installer.request import Request
from payload.archive import VerifiedBundle, open_bundle
from payload.events import Sink


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle whose signature holds. `program` is its file's name."""

    request: Request
    bundle: VerifiedBundle
    trusted: TrustedKeys
    sink: Sink
    program: str


def open_verified(
    request: Request, path: Path, sink: Sink, ask: AskKeys | None = None, *, root: Path = Path("/")
) -> Opened:
    """Open and verify the bundle at `path`; `ask` decides about an unknown key.

    Raises:
        IntegrityError: the bundle is damaged, or something is to be done by it and its manifest or lock is malformed.
        TrustError: no trusted key signed it.
    """
    unverified = open_bundle(path, request.volumes)
    # the name decides only where keys are looked for; the signature then vouches for it
    claimed = Layout.of(unverified.product, root=root)
    check_private(claimed.state_dir)
    keys = find_keys(claimed, request.key)
    if keys is None and request.only_shows:
        keys = own_keys(unverified)
    bundle, trusted = verify(unverified, keys, ask, now=0 if request.only_shows else int(time.time()))
    if not request.only_shows:
        _ = bundle.index.manifest, bundle.index.lock  # both are whole, or nothing begins
    return Opened(request, bundle, trusted, sink, path.name)
