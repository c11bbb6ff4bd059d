"""Who signed an archive. Each host has a key of its own for that, made at its first backup."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from installer.layout import Layout
from installer.writing import write_file
from payload.digest import digest_bytes
from payload.document import Document
from payload.errors import IntegrityError, TrustError
from payload.fields import KeyLine, SignatureTable
from payload.signing import PrivateKey
from payload.trust import PublicKey

Ask = Callable[[PublicKey], bool]
"""Whether a person says that this is the key of the host that was backed up."""
_KIND = b"sealift backup v1\0"


class Signed(Document):
    """`signature.json`."""

    key: KeyLine
    signature: SignatureTable


def sign(contents: bytes, key: PrivateKey) -> bytes:
    """The text of `signature.json` for a list of contents."""
    signed = Signed(key=key.public, signature=key.sign(_message(contents)))
    return signed.model_dump_json(by_alias=True).encode() + b"\n"


def signer(contents: bytes, signature: bytes) -> PublicKey:
    """The key that signed `contents`.

    Raises:
        IntegrityError: list and signature do not fit each other.
    """
    try:
        signed = Signed.model_validate_json(signature)
    except ValidationError as error:
        raise damaged("its signature cannot be read") from error
    if signed.signature.key != signed.key.fingerprint or not signed.key.verify(_message(contents), signed.signature):
        raise damaged("its list of contents is not what was signed")
    return signed.key


def host_key(layout: Layout) -> PrivateKey:
    """This host's key; made when it is not there, under the lock that the caller holds."""
    path = layout.backup_key
    if path.exists():
        return PrivateKey.from_pem(path.read_bytes(), where=str(path))
    key = PrivateKey.generate()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_file(path, key.to_pem(), mode=0o600)
    return key


def check_signer(key: PublicKey, layout: Layout, given: str | None, ask: Ask | None) -> None:
    """Go on only if `key` is this host's, or the one whose fingerprint is `given`, or confirmed by a person.

    Raises:
        TrustError: it is none of these.
    """
    if given is not None and given != key.fingerprint:
        raise TrustError(
            "backup-key-differs",
            f"the archive was signed by {key.fingerprint}, not by {given}",
            remedy="do not use it, unless you find out why",
        )
    own = layout.backup_key.exists() and host_key(layout).public.raw == key.raw
    if own or given is not None or (ask is not None and ask(key)):
        return
    raise TrustError(
        "backup-key-unknown",
        "the archive was signed by another host, so this one cannot tell whether it is genuine",
        details=f"signed by {key.fingerprint}",
        remedy="compare that with what the backup said when it was made, and give it: --key SHA256:…",
    )


def damaged(why: str) -> IntegrityError:
    """The error about an archive that is not as it was written."""
    return IntegrityError(
        "backup-damaged",
        "the archive is damaged, or no backup",
        details=why,
        remedy="use another copy of it; nothing was changed",
    )


def _message(contents: bytes) -> bytes:
    return _KIND + digest_bytes(contents).encode()
