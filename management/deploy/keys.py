"""The secrets of this install: its SSH key (made by the installer) and the token its agents ask for."""

import os
import secrets
from pathlib import Path

PRIVATE_KEY = "id_ed25519"
TOKEN = "agent-token"  # noqa: S105
KNOWN_HOSTS = "known_hosts"


class KeyMissingError(Exception):
    """The install has no SSH key."""


def private_key(keys_dir: Path) -> Path:
    """The private key's path.

    Raises:
        KeyMissingError: it is not there.
    """
    key = keys_dir / PRIVATE_KEY
    if not key.is_file():
        raise KeyMissingError(f"{key} does not exist; the installer makes it, restore it from a backup")
    return key


def public_key(keys_dir: Path) -> str:
    """The line that goes into a host's authorized_keys.

    Raises:
        KeyMissingError: it is not there.
    """
    key = private_key(keys_dir).with_suffix(".pub")
    if not key.is_file():
        raise KeyMissingError(f"{key} does not exist; make it with ssh-keygen -y")
    return key.read_text(encoding="utf-8").strip()


def agent_token(keys_dir: Path) -> str:
    """The token that agents demand from whoever calls them; made on first use, readable by the server only."""
    file = keys_dir / TOKEN
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="ascii").strip()
    token = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(token + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return token
