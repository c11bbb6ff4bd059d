"""The bundle's RPM key: an OpenPGP key that signs the metadata of the repositories which are made here.

The secret half is an armored file without a passphrase, 0600. gpg works on it in a scratch home, which ends with its
agent when the work is done: no key of the machine or the user plays a part.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from payload import effects
from payload.effects import atomic_write
from payload.errors import CommandError, InputError, UsageError

SIGNATURE_SUFFIX = ".asc"
# RSA, because the gpg and rpm of EL 7 and 8 know no other kind that is still good.
_ALGORITHM = "rsa3072"
# A signature bears its key's time, and a generated key a time that no host's clock is behind: equal inputs give equal
# bytes, and a host whose clock is wrong does not take the signature for one from the future.
_BORN = "20200101T000000"


class MetadataKey(Protocol):
    """What signs the metadata of a repository."""

    @property
    def public(self) -> str:
        """The public half, armored."""

    def sign(self, document: Path) -> Path:
        """Write the armored, detached signature of `document` beside it."""


@dataclass(frozen=True, slots=True)
class RpmKey:
    """A secret key in an open scratch home. `public` is its armored public half."""

    home: Path
    fingerprint: str
    public: str
    time: int
    """Seconds since the epoch at which the newest part of the key was made, and so what its signatures bear."""

    def sign(self, document: Path) -> Path:
        """Write the armored, detached signature of `document` beside it: the same document gives the same bytes.

        Raises:
            InputError: the key cannot sign.
        """
        signature = document.with_name(document.name + SIGNATURE_SUFFIX)
        argv = _gpg(self.home, "--faked-system-time", f"{self.time}!", "--local-user", self.fingerprint)
        argv += ["--digest-algo", "SHA256", "--no-emit-version", "--no-comments", "--armor", "--yes"]
        _run([*argv, "--output", signature, "--detach-sign", document])
        return signature


def generate_rpm_key(name: str) -> str:
    """A new secret key that names `name` as its user, armored.

    Raises:
        InputError: gpg does not take the name, or is not there.
    """
    with _scratch_home() as home:
        argv = _gpg(home, "--faked-system-time", _BORN, "--passphrase", "", "--allow-freeform-uid")
        _run([*argv, "--quick-generate-key", name, _ALGORITHM, "sign", "never"])
        return _run(_gpg(home, "--armor", "--export-secret-keys")).output


@contextmanager
def open_rpm_key(path: Path) -> Iterator[RpmKey]:
    """The key in the armored secret key file `path`, until the block ends.

    Raises:
        UsageError: there is none.
        InputError: it is not one usable secret key without a passphrase.
    """
    try:
        secret = path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise _unusable(path, "it is not armored text") from error
    except OSError as error:
        raise UsageError(
            "rpm-key-missing",
            f"there is no key to sign the package repository with: {path}: {error.strerror}",
            details="Hosts hold the repository's metadata against it.",
            remedy=f"run: sealift keygen --rpm {path}    or name another key by --rpm-key",
        ) from error
    with _scratch_home() as home:
        try:
            effects.run(_gpg(home, "--import"), stdin=secret)
        except CommandError as error:
            raise _unusable(path, error.output) from error
        fingerprint, time = _described(home, path)
        yield RpmKey(home, fingerprint, _run(_gpg(home, "--armor", "--export", fingerprint)).output, time)


def write_public_key(key: MetadataKey, path: Path) -> None:
    """Write the public half, armored, for rpm and dnf."""
    atomic_write(path, key.public.encode())


def _described(home: Path, path: Path) -> tuple[str, int]:
    rows = [line.split(":") for line in _run(_gpg(home, "--with-colons", "--list-secret-keys")).output.splitlines()]
    keys = [row for row in rows if row[0] in ("sec", "ssb")]
    if sum(row[0] == "sec" for row in keys) != 1:
        raise _unusable(path, "it must hold exactly one secret key")
    if (validity := keys[0][1]) in ("e", "r", "i", "d"):
        words = {"e": "it has expired", "r": "it was revoked"}
        raise _unusable(path, words.get(validity, "gpg calls it invalid or disabled"))
    fingerprint = next(row[9] for row in rows if row[0] == "fpr")
    return fingerprint, max(int(row[5]) for row in keys)


def _unusable(path: Path, why: str) -> InputError:
    return InputError(
        "bad-rpm-key",
        f"{path} cannot sign the package repository",
        details=why.strip(),
        remedy="give one armored secret key without a passphrase (gpg --armor --export-secret-keys ID), "
        "or make one: sealift keygen --rpm PATH",
    )


def _gpg(home: Path, *words: str | Path) -> list[str | Path]:
    return ["gpg", "--homedir", home, "--batch", "--quiet", "--no-tty", "--pinentry-mode", "error", *words]


def _run(argv: list[str | Path]) -> effects.Completed:
    try:
        return effects.run(argv)
    except CommandError as error:
        raise InputError("bad-rpm-key", "gpg cannot work with the RPM key", details=error.output.strip()) from error


@contextmanager
def _scratch_home() -> Iterator[Path]:
    # Directly below the folder for temporary files: the path of the agent's socket may have 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="sealift-gpg-"))
    try:
        yield home
    finally:
        effects.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        # Where a user has a folder for run-time files, the agent's socket is there and not in the home.
        effects.run(["gpgconf", "--homedir", home, "--remove-socketdir"], check=False)
        shutil.rmtree(home, ignore_errors=True)
