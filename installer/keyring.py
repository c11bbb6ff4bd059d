"""Which keys are trusted on this host. What lies inside a bundle is never trusted by itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from installer.layout import Layout
from payload.archive import UnverifiedBundle, VerifiedBundle
from payload.errors import InputError, IntegrityError, TrustError, UsageError
from payload.strict import MalformedError, document, load, record, whole
from payload.trust import Keyring, PublicKey, read_keyring
from payload.version import Version, parse_version

Origin = Literal["host", "administrator", "option", "asked", "bundle"]
AskKeys = Callable[[Keyring], bool]
"""Whether a person says that these are the vendor's keys."""
_REASONS: dict[Origin, str] = {
    "host": "in this host's keyring since the first install",
    "administrator": "put into trusted-keys.d by an administrator",
    "option": "given by --key",
    "asked": "confirmed on the terminal",
    "bundle": "only the bundle itself says so: no trusted key was found on this host",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTrust:
    """What a host remembers: whose bundles it takes, and the newest that it took (version and time each by itself)."""

    format: int = 1
    keyring: Keyring
    version: Version
    created: int

    def to_text(self) -> str:
        """The file's content."""
        return json.dumps(document(self, defaults=True), indent=2, ensure_ascii=False) + "\n"


read_host_trust = record(HostTrust, format=whole(1, 1), keyring=read_keyring, version=parse_version, created=whole())


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Keys, and why they are trusted. `host`: what this host remembers, once something was installed."""

    keyring: Keyring
    origin: Origin
    host: HostTrust | None = None

    @property
    def reason(self) -> str:
        """Why, in words."""
        return _REASONS[self.origin]


def find_keys(layout: Layout, given: Path | None) -> TrustedKeys | None:
    """The keys that decide: the host's own, else the administrator's, else `given`; None when there are none.

    `given` is a public key, or a keyring as `sealift keyring` writes it.

    Raises:
        InputError: a key file is malformed.
        IntegrityError: the host's keyring is damaged.
        TrustError: the host has a keyring, and `given` is not in it.
        UsageError: `given` cannot be read.
    """
    offered = None if given is None else _read(given)
    host = load_trust(layout)
    if host is not None:
        _check_offered(offered, host.keyring, layout.trust_file)
        return TrustedKeys(host.keyring, "host", host)
    if (ring := _read_folder(layout.trusted_keys_dir)) is not None:
        _check_offered(offered, ring, layout.trusted_keys_dir)
        return TrustedKeys(ring, "administrator")
    return None if offered is None else TrustedKeys(offered, "option")


def verify(
    bundle: UnverifiedBundle, trusted: TrustedKeys | None, ask: AskKeys | None, *, now: int
) -> tuple[VerifiedBundle, TrustedKeys]:
    """Verify `bundle`. With no trusted key, `ask` (None: nobody is there to ask) decides about the keys inside.

    `now`: seconds since the epoch. A clock that was set back does not make expired keys valid again: it is taken to be
    no earlier than the newest bundle that the host took.

    Raises:
        TrustError: it is not signed by enough trusted keys, or they have expired.
        IntegrityError: it is damaged.
    """
    if trusted is None:
        trusted = TrustedKeys(_asked(bundle, ask), "asked")
    verified = bundle.verify(trusted.keyring)
    verified.keyring.check_time(max(now, trusted.host.created if trusted.host else 0))
    return verified, trusted


def own_keys(bundle: UnverifiedBundle) -> TrustedKeys:
    """The keys inside the bundle: enough to show what it says of itself, never to write anything."""
    return TrustedKeys(bundle.claimed.keyring, "bundle")


def remembered(bundle: VerifiedBundle, before: HostTrust | None) -> HostTrust:
    """What the host remembers once it took `bundle`."""
    version, created = bundle.index.product.version, bundle.index.created
    if before is not None:
        version, created = max(version, before.version), max(created, before.created)
    return HostTrust(keyring=bundle.keyring, version=version, created=created)


def load_trust(layout: Layout) -> HostTrust | None:
    """What this host remembers; None when nothing was installed, or only root may know.

    Raises:
        IntegrityError: the file is damaged.
    """
    try:
        return read_host_trust(load(layout.trust_file.read_bytes()))
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # the host's own is root's: others use --key
        return None
    except MalformedError as error:
        raise IntegrityError(
            "keyring-damaged",
            f"{layout.trust_file} is damaged",
            details=str(error),
            remedy="put back a copy of the file from a backup of this host; nothing was changed",
        ) from error


def _read_folder(folder: Path) -> Keyring | None:
    """The keys in a folder's `.pub` files, each trusted alone, or its one `.keyring`."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in {".pub", ".keyring"})
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    rings = [_read(path) for path in paths]
    if len(rings) > 1 and any(path.suffix == ".keyring" for path in paths):
        raise UsageError(
            "keyring-ambiguous",
            f"{folder} has a keyring and other keys",
            remedy="leave one .keyring there, or .pub files only",
        )
    if len(rings) <= 1:
        return rings[0] if rings else None
    keys = {ring.keys[0].raw: ring.keys[0] for ring in rings}
    return Keyring(version=0, keys=tuple(keys.values()))


def _asked(bundle: UnverifiedBundle, ask: AskKeys | None) -> Keyring:
    declared, signers = bundle.claimed.keyring, bundle.signers()
    claimed = tuple(key for key in declared.keys if key.fingerprint in signers)
    if ask is not None and claimed:
        ring = Keyring(version=0, threshold=len(claimed), keys=claimed)
        if ask(ring):
            return ring
    raise TrustError(
        "key-unknown",
        "this host trusts no key yet, so it cannot tell whether the bundle is genuine",
        details=f"the bundle says it is signed by {', '.join(bundle.signers()) or 'nobody'}"
        + ("" if os.geteuid() == 0 else "\nan installed host's keyring can be read by root only"),
        remedy="get the vendor's public key by another way than the bundle and give it with --key FILE.pub,"
        f" or put it into /etc/{bundle.product}/trusted-keys.d/ beforehand",
    )


def _read(path: Path) -> Keyring:
    """A public key as a keyring of its own, or a keyring. Both count less than what a bundle brings: version 0."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError("key-unreadable", f"cannot read the key {path}: {error.strerror}") from error
    if not text.lstrip().startswith("{"):
        return Keyring(version=0, keys=(PublicKey.from_text(text, where=str(path)),))
    try:
        return replace(read_keyring(load(text.encode())), version=0)
    except MalformedError as error:
        raise InputError("key-invalid", f"{path} is not a keyring", details=str(error)) from error


def _check_offered(offered: Keyring | None, ring: Keyring, where: Path) -> None:
    known = {key.raw for key in ring.keys}
    strange = [key for key in offered.keys if key.raw not in known] if offered else []
    if strange:
        raise TrustError(
            "key-not-in-keyring",
            f"the key given by --key ({strange[0].fingerprint}) is not among those that this host trusts",
            details=f"trusted keys are in {where}; --key can only choose a first key, not add another one",
            remedy="if the vendor changed keys, get a bundle that is signed by enough of the old keys too;"
            f" or, after comparing the new fingerprint, remove {where} by hand and give the key again",
        )
