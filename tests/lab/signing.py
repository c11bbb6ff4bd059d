"""The lab's signing key: generated once, without a passphrase, good for nothing but the lab."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.cache import Cache, code_digest, digest_of
from tests.lab.process import run

IDENTITY = "Sealift lab <lab@sealift.invalid>"
PUBLIC_NAME = "RPM-GPG-KEY-lab"
_SECRET_NAME = "secret.asc"


class Signer:
    """Signs with the key of an open GnuPG home."""

    def __init__(self, home: Path) -> None:
        self._environment = {**os.environ, "GNUPGHOME": str(home), "LC_ALL": "C.UTF-8"}

    def gpg(self, *arguments: str | Path) -> str:
        return run(["gpg", "--batch", "--yes", "--quiet", *arguments], env=self._environment).stdout

    def sign_rpms(self, rpms: Sequence[Path]) -> None:
        """Put a signature into each RPM."""
        defines = ["--define", f"_gpg_name {IDENTITY}", "--define", "__gpg /usr/bin/gpg"]
        run(["rpmsign", *defines, "--addsign", *rpms], env=self._environment)

    def sign_detached(self, path: Path) -> None:
        """Write the armored signature of `path` beside it, as `path`.asc."""
        self.gpg("--local-user", IDENTITY, "--detach-sign", "--armor", "--output", f"{path}.asc", path)


@contextmanager
def _gpg_home() -> Iterator[Signer]:
    # short, because the agent's socket lies in it and its path is limited to 107 bytes
    home = Path(tempfile.mkdtemp(prefix="sealift-gpg-"))
    try:
        yield Signer(home)
    finally:
        run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def _generate(folder: Path) -> None:
    with _gpg_home() as signer:
        signer.gpg("--passphrase", "", "--quick-generate-key", IDENTITY, "rsa3072", "sign", "never")
        signer.gpg("--armor", "--output", folder / PUBLIC_NAME, "--export", IDENTITY)
        signer.gpg("--armor", "--output", folder / _SECRET_NAME, "--export-secret-keys", IDENTITY)
    (folder / _SECRET_NAME).chmod(0o600)


def key_folder(cache: Cache) -> Path:
    """The folder with the public key `RPM-GPG-KEY-lab` and its secret half; generated when absent."""
    return cache.item("key", code_digest("signing.py"), _generate)


def key_digest(cache: Cache) -> str:
    """A digest of the public key: signed things are made again when it changes."""
    return digest_of((key_folder(cache) / PUBLIC_NAME).read_bytes())


@contextmanager
def open_signer(cache: Cache) -> Iterator[Signer]:
    """A signer with the lab's key; its GnuPG home and agent are gone afterwards."""
    folder = key_folder(cache)
    with _gpg_home() as signer:
        signer.gpg("--import", folder / _SECRET_NAME)
        yield signer
