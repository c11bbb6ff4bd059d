"""Ed25519 keys, signatures and keyrings. Decides over bytes; touches no file and no network.

A signature is made over `CONTEXT + message` (RFC 8032, pure Ed25519), so that a signature for a bundle can never be
taken for one of something else. Private keys are PKCS#8 PEM as openssl writes them; public keys are one line of text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from payload.errors import InputError, TrustError
from payload.model import Document

CONTEXT = b"sealift bundle index v1\0"
_KIND = "sealift-ed25519"
_RAW = serialization.Encoding.Raw


class Signature(Document):
    """A signature by the key with fingerprint `key`, in base64."""

    key: str
    signature: str


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: 32 raw bytes, and a comment for people."""

    raw: bytes
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and the unpadded base64 of the key's SHA-256, as ssh-keygen shows keys."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.raw).digest()).decode().rstrip("=")

    def to_text(self) -> str:
        """The one line of a `.pub` file."""
        return " ".join(filter(None, (_KIND, base64.b64encode(self.raw).decode(), self.comment))) + "\n"

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


class PrivateKey:
    """A private key. Its repr shows the fingerprint only."""

    def __init__(self, key: Ed25519PrivateKey, comment: str = "") -> None:
        self._key = key
        self._comment = comment

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.fingerprint})"

    @classmethod
    def generate(cls, comment: str = "") -> PrivateKey:
        """A new random key."""
        return cls(Ed25519PrivateKey.generate(), comment)

    @classmethod
    def from_pem(cls, pem: bytes, *, where: str = "private key") -> PrivateKey:
        """Read PKCS#8 PEM.

        Raises:
            InputError: it is no Ed25519 private key without passphrase.
        """
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise InputError("key-invalid", f"{where} is not a readable PEM private key", details=str(error)) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise InputError("key-invalid", f"{where} is not an Ed25519 key", remedy="make one with `sealift keygen`")
        return cls(key)

    def to_pem(self) -> bytes:
        """PKCS#8 PEM, without passphrase."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def public(self) -> PublicKey:
        """The public half."""
        raw = self._key.public_key().public_bytes(_RAW, serialization.PublicFormat.Raw)
        return PublicKey(raw, self._comment)

    def sign(self, message: bytes) -> Signature:
        """Sign `message`."""
        signature = base64.b64encode(self._key.sign(CONTEXT + message)).decode()
        return Signature(key=self.public.fingerprint, signature=signature)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that are trusted, each of them alone."""

    keys: tuple[PublicKey, ...]

    def verify(self, message: bytes, signatures: Sequence[Signature]) -> PublicKey:
        """The trusted key that signed `message`.

        Raises:
            TrustError: no trusted key did.
        """
        trusted = {key.fingerprint: key for key in self.keys}
        for signature in signatures:
            key = trusted.get(signature.key)
            if key is None:
                continue
            if key.verify(message, signature):
                return key
            raise TrustError(
                "signature-invalid",
                f"the signature by {key.fingerprint} does not fit the index",
                details="The table of contents or its signature was changed after signing.",
                remedy="get the file again from its vendor; do not use this copy",
            )
        raise TrustError(
            "signature-untrusted",
            "no trusted key signed this bundle" if signatures else "this bundle has no signature",
            details=f"signed by: {', '.join(s.key for s in signatures) or 'nobody'}\n"
            f"trusted:   {', '.join(trusted) or 'no key'}",
            remedy="compare the fingerprints with what the vendor published; give the right key, or get the right file",
        )
