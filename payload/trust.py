"""Ed25519 keys, signatures and keyrings. Decides over bytes; touches no file and no network.

A signature is made over `CONTEXT + message` (RFC 8032, pure Ed25519), so that a signature for a bundle can never be
taken for one of something else. The message is a bundle's statement (`payload.statement`).
Public keys are one line of text. Private keys are in `payload.signing`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from payload.errors import InputError, TrustError
from payload.strict import Line, MalformedError, document, optional, record, rows, text, whole

CONTEXT = b"sealift bundle statement v1\0"
_KIND = "sealift-ed25519"
_MAX_KEYS = 32


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature by the key with fingerprint `key`, in base64."""

    key: str
    signature: str


@dataclass(frozen=True, slots=True)
class PublicKey(Line):
    """A public key: 32 raw bytes, and a comment for people."""

    raw: bytes
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and the unpadded base64 of the key's SHA-256, as ssh-keygen shows keys."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.raw).digest()).decode().rstrip("=")

    def line(self) -> str:
        """The one line of a `.pub` file, without its end."""
        return " ".join(filter(None, (_KIND, base64.b64encode(self.raw).decode(), self.comment)))

    def to_text(self) -> str:
        """The content of a `.pub` file."""
        return f"{self.line()}\n"

    @classmethod
    def from_text(cls, text: str, *, where: str = "public key") -> PublicKey:
        """Read the line that `to_text` writes.

        Raises:
            InputError: it is something else.
        """
        words = text.split(maxsplit=2)
        try:
            if len(words) < 2 or words[0] != _KIND or "\n" in text.strip():
                raise ValueError
            raw = base64.b64decode(words[1], validate=True)
            Ed25519PublicKey.from_public_bytes(raw)
        except (ValueError, binascii.Error) as error:
            raise InputError(
                "key-invalid",
                f"{where} is not a Sealift public key",
                remedy=f"give the .pub file that `sealift keygen` wrote: one line starting with {_KIND}",
            ) from error
        return cls(raw, re.sub(r"[^\x20-\x7e]", "", words[2].strip()) if len(words) > 2 else "")

    def verify(self, message: bytes, signature: Signature) -> bool:
        """Whether `signature` is this key's for `message`."""
        try:
            raw = base64.b64decode(signature.signature, validate=True)
            Ed25519PublicKey.from_public_bytes(self.raw).verify(raw, CONTEXT + message)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        # unused bits of base64's last digit could otherwise be changed unseen
        return base64.b64encode(raw).decode() == signature.signature


def names(keys: Iterable[PublicKey]) -> str:
    """Their fingerprints, for people."""
    return ", ".join(key.fingerprint for key in keys)


def read_public_key(value: object) -> PublicKey:
    """The key of a line in a document.

    Raises:
        MalformedError: it is something else.
    """
    try:
        return PublicKey.from_text(text(value))
    except InputError as error:
        raise MalformedError(error.brief) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Whose signatures count: `threshold` of `keys` must have signed.

    A host replaces its keyring by one with a higher `version` (see `accept`). `expires`: seconds since the epoch.
    """

    version: int = 1
    threshold: int = 1
    keys: tuple[PublicKey, ...]
    expires: int | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.keys) <= _MAX_KEYS:
            raise MalformedError(f"a keyring has 1 to {_MAX_KEYS} keys, not {len(self.keys)}")
        if len({key.raw for key in self.keys}) < len(self.keys):
            raise MalformedError("a key is listed twice")
        if self.threshold > len(self.keys):
            raise MalformedError(f"{self.threshold} of {len(self.keys)} keys can never have signed")

    def to_text(self) -> str:
        """The content of a `.keyring` file."""
        said = {key: value for key, value in document(self, defaults=True).items() if value is not None}
        return json.dumps(said, indent=2, ensure_ascii=False) + "\n"

    def verify(self, message: bytes, signatures: Sequence[Signature]) -> tuple[PublicKey, ...]:
        """The trusted keys that signed `message`, in the keyring's order.

        Raises:
            TrustError: too few did, or a signature that claims to be by one of them is not.
        """
        claimed = {signature.key: signature for signature in signatures}
        signers = tuple(key for key in self.keys if key.fingerprint in claimed)
        for key in signers:
            if not key.verify(message, claimed[key.fingerprint]):
                raise TrustError(
                    "signature-invalid",
                    f"the signature by {key.fingerprint} does not fit the index",
                    details="The table of contents or its signature was changed after signing.",
                    remedy="get the file again from its vendor; do not use this copy",
                )
        if len(signers) < self.threshold:
            raise self._too_few(signers, signatures)
        return signers

    def check_time(self, now: int) -> None:
        """Refuse to go by a keyring that has expired.

        Raises:
            TrustError: `now` is not before its end.
        """
        if self.expires is not None and now >= self.expires:
            raise TrustError(
                "keyring-expired",
                f"the keys of this bundle were valid until {_date(self.expires)} only",
                details=f"keyring version {self.version}; it is {_date(now)} on this host, or was in a bundle it took",
                remedy="get a newer bundle from the vendor; if the host's clock is wrong, set it",
            )

    def _too_few(self, signers: Sequence[PublicKey], signatures: Sequence[Signature]) -> TrustError:
        details = (
            f"signed by: {', '.join(signature.key for signature in signatures) or 'nobody'}\n"
            f"trusted:   {names(self.keys)}"
        )
        if signers:
            return TrustError(
                "signatures-too-few",
                f"{len(signers)} of the trusted keys signed this bundle, {self.threshold} must",
                details=details,
                remedy="get the bundle with all its signatures from the vendor",
            )
        return TrustError(
            "signature-untrusted",
            "no trusted key signed this bundle" if signatures else "this bundle has no signature",
            details=details,
            remedy="compare the fingerprints with what the vendor published; give the right key, or get the right file",
        )


read_signature = record(Signature, key=text, signature=text)
read_keyring = record(
    Keyring, version=whole(), threshold=whole(1), keys=rows(read_public_key), expires=optional(whole())
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The trusted keys that vouch for a bundle, and the keyring that a host has once it took that bundle."""

    signers: tuple[PublicKey, ...]
    keyring: Keyring


def accept(held: Keyring, declared: Keyring, message: bytes, signatures: Sequence[Signature]) -> Accepted:
    """Decide about a bundle that declares a keyring, against the one that is held.

    As many of the held keys as the held keyring asks for must have signed. A declared keyring of a higher version takes
    the held one's place, if as many of its own keys as it asks for have signed too; one of a lower version changes
    nothing: that is how an older bundle looks.

    Raises:
        TrustError: too few keys signed, or the declared keyring has the held one's version and says something else.
    """
    signers = held.verify(message, signatures)
    if declared.version > held.version:
        try:
            declared.verify(message, signatures)
        except TrustError as error:
            raise TrustError(
                "keyring-unproven",
                f"the bundle brings keyring version {declared.version}, but not enough of its keys signed",
                details=error.details,
                remedy="get the bundle with all its signatures from the vendor",
            ) from error
        return Accepted(signers, declared)
    if declared.version == held.version and not _same(declared, held):
        raise TrustError(
            "keyring-conflict",
            f"the bundle brings another keyring of version {held.version} than this host has",
            details=f"here:   {_described(held)}\nbundle: {_described(declared)}",
            remedy="ask the vendor: a changed keyring needs a higher version",
        )
    return Accepted(signers, held)


def _same(one: Keyring, other: Keyring) -> bool:
    def terms(ring: Keyring) -> tuple[int, set[bytes], int | None]:
        return ring.threshold, {key.raw for key in ring.keys}, ring.expires

    return terms(one) == terms(other)


def _described(ring: Keyring) -> str:
    ends = "" if ring.expires is None else f", until {_date(ring.expires)}"
    return f"{ring.threshold} of {names(ring.keys)}{ends}"


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
