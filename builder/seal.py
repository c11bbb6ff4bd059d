"""Signing a bundle somewhere else: the request that travels to the key, and the signature that comes back.

A bundle of any size is signed by moving a few kilobytes. The end of the file is written anew in place; what was there
is kept beside it until that is durable, so that a cut-off attempt is put right by the next one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import ValidationError

from payload.archive import UnverifiedBundle, open_bundle
from payload.digest import Digest, digest_bytes
from payload.document import Document
from payload.effects import atomic_write, fsync_dir
from payload.errors import InputError, TrustError, UsageError
from payload.format import MAX_SIGNATURES_SIZE, TRAILER_SIZE, Trailer
from payload.index import encode_signatures, read_signatures
from payload.signing import PrivateKey
from payload.statement import Statement, read_statement
from payload.strict import Bridge, MalformedError, document, load
from payload.trust import PublicKey, Signature

_MAX_SIZE = 1 << 20


class Request(Document):
    """What is to be signed. `check` finds damage on the way. What signs a lie fits no bundle."""

    statement: Annotated[Statement, Bridge(Statement, read_statement, partial(document, defaults=True))]
    check: Digest


def request_of(bundle: UnverifiedBundle) -> Request:
    """The request for signatures of `bundle`."""
    statement = bundle.statement
    return Request(statement=statement, check=digest_of(statement))


def digest_of(statement: Statement) -> Digest:
    """The digest by which damage to a request is found."""
    return digest_bytes(statement.message())


def write_request(request: Request, path: Path) -> None:
    """Write it as JSON for people to read."""
    atomic_write(path, (request.model_dump_json(indent=2, by_alias=True) + "\n").encode(), mode=0o644)


def read_request(path: Path) -> Request:
    """Read what `write_request` wrote.

    Raises:
        InputError: it is something else, or was changed.
    """
    try:
        request = Request.model_validate_json(_read(path))
    except ValidationError as error:
        raise _invalid(path, "signing request", str(error)) from error
    if digest_of(request.statement) != request.check:
        raise _invalid(path, "signing request", "its check does not fit: it was changed after it was made")
    return request


def sign(request: Request, keys: Iterable[PrivateKey]) -> tuple[Signature, ...]:
    """A signature by each key."""
    message = request.statement.message()
    return tuple(key.sign(message) for key in keys)


def write_signatures(signatures: Iterable[Signature], path: Path) -> None:
    """Write them as a bundle has them."""
    atomic_write(path, encode_signatures(signatures) + b"\n", mode=0o644)


def attach(path: Path, files: Iterable[Path], others: Iterable[PublicKey] = ()) -> tuple[PublicKey, ...]:
    """Put the signatures in `files` into the bundle at `path`, beside those it has; returns all who signed it now.

    `others`: keys that are not in the bundle's keyring, such as those that hosts with an older keyring go by.

    Raises:
        InputError: a file holds something else.
        TrustError: a signature is not one of this bundle, or by a key that nobody knows.
        IntegrityError: the bundle is damaged.
    """
    _finish_cut_off(path)
    bundle = open_bundle(path)
    found = [*bundle.signatures, *(each for file in files for each in _read_signatures(file))]
    stored = encode_signatures(found)
    if len(stored) > MAX_SIGNATURES_SIZE:
        raise UsageError("signatures-too-many", f"the signatures need more than {MAX_SIGNATURES_SIZE} bytes")
    signers = _check(bundle, found, {key.fingerprint: key for key in (*others, *bundle.claimed.keyring.keys)})
    write_end_of(path, bundle.trailer, stored)
    open_bundle(path)
    return signers


def _check(
    bundle: UnverifiedBundle, signatures: Iterable[Signature], known: Mapping[str, PublicKey]
) -> tuple[PublicKey, ...]:
    message = bundle.statement.message()
    claimed = {signature.key: signature for signature in signatures}
    for name, signature in claimed.items():
        if name not in known:
            raise TrustError(
                "signature-untrusted",
                f"{name} is not in the keyring of this bundle",
                remedy="if hosts with an older keyring need this signature, give its public key: --key OLD.pub",
            )
        if not known[name].verify(message, signature):
            raise TrustError(
                "signature-invalid",
                f"the signature by {name} is not one of this bundle",
                details="It was made for another bundle, or its request was altered on the way.",
                remedy="make the request anew from this very file: sealift sign-request",
            )
    return tuple(known[name] for name in sorted(claimed))


def write_end_of(path: Path, trailer: Trailer, signatures: bytes) -> None:
    """Replace the signatures of the bundle whose trailer is `trailer`; `attach` puts right what was cut off here."""
    start = trailer.physical(trailer.signatures_offset)
    with path.open("r+b") as file:
        file.seek(start)
        before = file.read()
        saved = _saved(path)
        atomic_write(saved, start.to_bytes(8, "big") + before)
        changed = replace(
            trailer,
            signatures_size=len(signatures),
            file_size=trailer.signatures_offset + len(signatures) + TRAILER_SIZE,
        )
        _write_end(file.fileno(), start, signatures + changed.pack())
    saved.unlink()
    fsync_dir(path.parent)


def _finish_cut_off(path: Path) -> None:
    """Put the end back that an attempt which was cut off had saved."""
    saved = _saved(path)
    if not saved.is_file():
        return
    content = saved.read_bytes()
    with path.open("r+b") as file:
        _write_end(file.fileno(), int.from_bytes(content[:8], "big"), content[8:])
    saved.unlink()
    fsync_dir(path.parent)


def _write_end(fd: int, start: int, end: bytes) -> None:
    left, at = memoryview(end), start
    while left:
        done = os.pwrite(fd, left, at)
        left, at = left[done:], at + done
    os.ftruncate(fd, at)
    os.fsync(fd)


def _saved(path: Path) -> Path:
    return path.with_name(f".{path.name}.end")


def _read_signatures(path: Path) -> tuple[Signature, ...]:
    try:
        return read_signatures(load(_read(path)))
    except MalformedError as error:
        raise _invalid(path, "signature file", str(error)) from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise UsageError("file-unreadable", f"cannot read {path}: {error.strerror}") from error
    if len(content) > _MAX_SIZE:
        raise _invalid(path, "signing request or signature", "it is too large")
    return content


def _invalid(path: Path, what: str, why: str) -> InputError:
    return InputError("request-invalid", f"{path} is no {what}", details=why, remedy="make or copy it again")
