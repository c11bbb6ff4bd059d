"""The keyring that a bundle declares: from the manifest's `[trust]`, or made of those who sign."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time

from builder.manifest import LoadedManifest
from builder.sign import load_public_key
from payload.errors import UsageError
from payload.manifest import Trust
from payload.signing import PrivateKey
from payload.trust import Keyring, names


def keyring_of(loaded: LoadedManifest, signers: Sequence[PrivateKey]) -> Keyring:
    """The keyring of the bundle. When anybody signs, enough must: no host would take the bundle otherwise.

    Raises:
        UsageError: too few sign, or nobody does and the manifest does not say who will.
        InputError: a key cannot be read.
    """
    trust = loaded.manifest.trust
    publics = {key.public.raw: key.public for key in signers}
    if trust is None:
        if not publics:
            raise UsageError(
                "keyring-missing",
                "a bundle that is signed later must say by whom",
                remedy="add the public keys to the manifest: [trust] keys = ['release.pub']",
            )
        return Keyring(keys=tuple(publics.values()))
    ring = declared(loaded, trust)
    inside = [key for key in ring.keys if key.raw in publics]
    if publics and len(inside) < ring.threshold:
        raise UsageError(
            "signers-too-few",
            f"{len(inside)} of the manifest's keys sign, {ring.threshold} must",
            details=f"sign:     {names(publics.values())}\nmanifest: {names(ring.keys)}",
            remedy="give more keys, each by --key; or build with --unsigned, and see: sealift sign-request --help",
        )
    return ring


def declared(loaded: LoadedManifest, trust: Trust) -> Keyring:
    """The keyring that a manifest's `[trust]` describes.

    Raises:
        UsageError, InputError: a key cannot be read.
    """
    ends = None if trust.expires is None else int(datetime.combine(trust.expires, time(), UTC).timestamp())
    keys = tuple(load_public_key(loaded.folder / name) for name in trust.keys)
    return Keyring(version=trust.version, threshold=trust.threshold, keys=keys, expires=ends)
