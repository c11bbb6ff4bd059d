"""Which keys are trusted on this host. What lies inside a bundle is never trusted by itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from installer.layout import Layout
from payload.archive import UnverifiedBundle, VerifiedBundle
from payload.errors import TrustError, UsageError
from payload.trust import Keyring, PublicKey

Origin = Literal["host", "administrator", "option", "asked", "bundle"]
_REASONS: dict[Origin, str] = {
    "host": "in this host's keyring since the first install",
    "administrator": "put into trusted-keys.d by an administrator",
    "option": "given by --key",
    "asked": "confirmed on the terminal",
    "bundle": "only the bundle itself says so: no trusted key was found on this host",
}


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Keys, and why they are trusted."""

    keyring: Keyring
    origin: Origin

    @property
    def reason(self) -> str:
        """Why, in words."""
        return _REASONS[self.origin]


def find_keys(layout: Layout, given: Path | None) -> TrustedKeys | None:
    """The keys that decide: the host's own, else the administrator's, else `given`; None when there are none.

    Raises:
        InputError: a key file is malformed.
        TrustError: the host has a keyring, and `given` is not in it.
        UsageError: `given` cannot be read.
    """
    offered = None if given is None else _read(given)
    places: tuple[tuple[Path, Origin], ...] = (
        (layout.keyring_dir, "host"),
        (layout.trusted_keys_dir, "administrator"),
    )
    for folder, origin in places:
        if keys := read_folder(folder):
            if offered is not None and offered.fingerprint not in {key.fingerprint for key in keys}:
                raise _not_in_ring(offered, folder)
            return TrustedKeys(Keyring(keys), origin)
    return None if offered is None else TrustedKeys(Keyring((offered,)), "option")


def verify(
    bundle: UnverifiedBundle, trusted: TrustedKeys | None, ask: Callable[[PublicKey], bool] | None
) -> tuple[VerifiedBundle, TrustedKeys]:
    """Verify `bundle`. With no trusted key, `ask` (None: nobody is there to ask) decides about the key inside.

    Raises:
        TrustError: it is not signed by a trusted key.
        IntegrityError: it is damaged.
    """
    if trusted is None:
        trusted = TrustedKeys(Keyring((_asked(bundle, ask),)), "asked")
    return bundle.verify(trusted.keyring), trusted


def own_keys(bundle: UnverifiedBundle) -> TrustedKeys:
    """The keys inside the bundle: enough to show what it says of itself, never to write anything."""
    return TrustedKeys(Keyring(bundle.embedded_keys()), "bundle")


def read_folder(folder: Path) -> tuple[PublicKey, ...]:
    """The keys in a folder's `.pub` files, by name.

    Raises:
        InputError: one is malformed.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".pub")
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # the host's own ring is root's: others use --key
        return ()
    return tuple(_read(path) for path in paths)


def file_name(key: PublicKey) -> str:
    """The name of a key's file in the host's keyring."""
    return f"{key.raw.hex()[:16]}.pub"


def _asked(bundle: UnverifiedBundle, ask: Callable[[PublicKey], bool] | None) -> PublicKey:
    inside = {key.fingerprint: key for key in bundle.embedded_keys()}
    claimed = [inside[signer] for signer in bundle.signers() if signer in inside]
    if ask is not None and claimed and ask(claimed[0]):
        return claimed[0]
    raise TrustError(
        "key-unknown",
        "this host trusts no key yet, so it cannot tell whether the bundle is genuine",
        details=f"the bundle says it is signed by {', '.join(bundle.signers()) or 'nobody'}"
        + ("" if os.geteuid() == 0 else "\nan installed host's keyring can be read by root only"),
        remedy="get the vendor's public key by another way than the bundle and give it with --key FILE.pub,"
        f" or put it into /etc/{bundle.product}/trusted-keys.d/ beforehand",
    )


def _read(path: Path) -> PublicKey:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError("key-unreadable", f"cannot read the key {path}: {error.strerror}") from error
    return PublicKey.from_text(text, where=str(path))


def _not_in_ring(key: PublicKey, folder: Path) -> TrustError:
    return TrustError(
        "key-not-in-keyring",
        f"the key given by --key ({key.fingerprint}) is not among those that this host trusts",
        details=f"trusted keys are in {folder}; --key can only choose a first key, not add another one",
        remedy=f"if the vendor changed keys, put the new one into {folder} by hand after comparing its fingerprint",
    )
