"""Private Ed25519 keys: PKCS#8 PEM as openssl writes them. Who only verifies a bundle does not need this."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from payload.errors import InputError
from payload.trust import CONTEXT, PublicKey, Signature

_RAW = serialization.Encoding.Raw


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
