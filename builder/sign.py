"""The release key and its companion, the RPM key: where they are, reading them, making them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from payload.effects import fsync_dir
from payload.errors import InputError, UsageError
from payload.signing import PrivateKey
from payload.trust import Keyring, PublicKey
from repos.signing import generate_rpm_key


def default_key_path(environment: Mapping[str, str]) -> Path:
    """`$SEALIFT_KEY`, or `sealift/release.pem` in the user's configuration folder."""
    if given := environment.get("SEALIFT_KEY"):
        return Path(given)
    configuration = environment.get("XDG_CONFIG_HOME")
    return (Path(configuration) if configuration else Path.home() / ".config") / "sealift" / "release.pem"


def public_path(private: Path) -> Path:
    """Where the public half of the key at that path is."""
    return private.with_suffix(".pub")


def rpm_key_path(private: Path) -> Path:
    """Where the RPM key that goes with the key at that path is."""
    return private.with_suffix(".gpg")


def load_private_key(path: Path) -> PrivateKey:
    """Read a private key.

    Raises:
        UsageError: there is none.
        InputError: it is something else.
    """
    try:
        return PrivateKey.from_pem(path.read_bytes(), where=str(path))
    except OSError as error:
        raise UsageError(
            "key-missing",
            f"there is no key to sign with: {path}: {error.strerror}",
            details="A bundle without a signature cannot be made: no host would install it.",
            remedy=f"run: sealift keygen {path}    or name another key by --key or SEALIFT_KEY",
        ) from error


def load_keyring(paths: list[Path]) -> Keyring:
    """Read public keys, each of which is trusted alone.

    Raises:
        UsageError: one is missing.
        InputError: one is something else.
    """
    return Keyring(version=0, keys=tuple(load_public_key(path) for path in paths))


def load_public_key(path: Path) -> PublicKey:
    """Read a public key.

    Raises:
        UsageError: there is none.
        InputError: it is something else.
    """
    try:
        return PublicKey.from_text(path.read_text(encoding="utf-8"), where=str(path))
    except UnicodeDecodeError as error:
        raise InputError("key-invalid", f"{path} is not a Sealift public key") from error
    except OSError as error:
        raise UsageError(
            "key-missing",
            f"there is no public key {path}: {error.strerror}",
            remedy="name the vendor's .pub file by --key",
        ) from error


def create_keypair(path: Path, comment: str) -> PublicKey:
    """Make the keys of a product: `path` (PEM, 0600), its `.pub`, and its `.gpg`, the secret RPM key (0600).

    An existing file is never replaced.

    Raises:
        UsageError: one of the files exists already.
        InputError: they cannot be written.
    """
    key = PrivateKey.generate(comment)
    public, rpm = public_path(path), rpm_key_path(path)
    if path in (public, rpm):
        raise UsageError("key-name", f"{path} is the name of another half", remedy="give a name that ends in .pem")
    with _new_files(path, public, rpm):
        secret = generate_rpm_key(_user(comment))
        _write_new(path, key.to_pem(), 0o600)
        _write_new(public, key.public.to_text().encode(), 0o644)
        _write_new(rpm, secret.encode(), 0o600)
    return key.public


def create_rpm_key(path: Path, comment: str) -> None:
    """Make a secret RPM key at `path` (armored, 0600). An existing file is never replaced.

    Raises:
        UsageError: the file exists already.
        InputError: it cannot be written.
    """
    with _new_files(path):
        _write_new(path, generate_rpm_key(_user(comment)).encode(), 0o600)


def _user(comment: str) -> str:
    return f"{comment or 'Sealift'} (package repository)"


@contextmanager
def _new_files(*paths: Path) -> Iterator[None]:
    try:
        paths[0].parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for existing in paths:
            if existing.exists():
                raise UsageError(
                    "key-exists",
                    f"{existing} exists already; a key is never replaced",
                    remedy="give another path, or keep using this key",
                )
        yield
    except OSError as error:
        raise InputError("key-unwritable", f"cannot write {paths[0]}: {error.strerror}") from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(fd, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(fd)
    fsync_dir(path.parent)
