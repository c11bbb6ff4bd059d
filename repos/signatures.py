"""GPG: the signature of a repository's metadata, and those of its packages, against the keys that the manifest names.

Each check uses a scratch keyring with exactly those keys; the keys of the machine or of the user play no part.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from payload import effects
from payload.errors import CommandError, InputError, IntegrityError, TrustError
from repos.header import read_rpm

_BLOCK = re.compile(r"-----BEGIN PGP PUBLIC KEY BLOCK-----.*?-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
_AT_ONCE = 200


def verify_metadata(content: bytes, signature: bytes, keys: Sequence[Path], *, where: str) -> None:
    """Hold `content` (a repomd.xml) against its detached, armored signature.

    Raises:
        TrustError: the signature is not one of `keys` over exactly this content.
        InputError: a key file has no public key.
    """
    with tempfile.TemporaryDirectory(prefix="sealift-gpg-") as scratch:
        home = Path(scratch)
        (home / "content").write_bytes(content)
        (home / "content.asc").write_bytes(signature)
        ring = _keyring(keys, home)
        argv: list[str | Path] = [
            "gpg",  # every host with dnf has it; gpgv is a package of its own on some
            "--homedir",
            home,
            "--batch",
            "--no-options",
            "--no-default-keyring",
            "--no-auto-key-retrieve",
            "--trust-model",
            "always",
            "--status-fd",
            "1",
            "--keyring",
            ring,
            "--verify",
            home / "content.asc",
            home / "content",
        ]
        answer = effects.run(argv, check=False)
    status = {line.split()[1] for line in answer.output.splitlines() if line.startswith("[GNUPG:] ")}
    if answer.returncode != 0 or not {"GOODSIG", "VALIDSIG"} <= status:
        raise TrustError(
            "metadata-signature",
            f"The signature of {where} does not hold",
            details=answer.errors.strip(),
            remedy="Check the upstream and the keys that the manifest names for it. Nothing of it was used.",
        )


def verify_packages(packages: Sequence[Path], keys: Sequence[Path]) -> None:
    """Hold every RPM's own signature and digests against `keys`.

    Raises:
        TrustError: some are unsigned, damaged, or signed by another key; `details` names each.
        InputError: a key file has no public key.
    """
    if not packages:
        return
    with tempfile.TemporaryDirectory(prefix="sealift-rpm-") as scratch:
        database = Path(scratch)
        for number, block in enumerate(_blocks(keys)):
            key = database / f"key-{number}.asc"
            key.write_text(block)
            _import(database, key)
        bad = [line for group in _groups(packages) for line in _check(database, group)]
    if bad:
        raise TrustError(
            "package-signature",
            f"{len(bad)} packages are not signed by a key that the manifest names",
            details="\n".join(sorted(bad)),
            remedy="Check the upstream and its keys in the manifest. None of these packages was used.",
        )


def _check(database: Path, packages: Sequence[Path]) -> Iterator[str]:
    # Level "all" makes an unsigned package an error; the text is read as well, for an rpm that is older than the level.
    argv: list[str | Path] = [
        "rpmkeys",
        "--define",
        "_pkgverify_level all",
        "--dbpath",
        database,
        "--checksig",
        *packages,
    ]
    answer = effects.run(argv, check=False)
    lines = {line.partition(": ")[0]: line.partition(": ")[2].strip() for line in answer.output.splitlines()}
    for package in packages:
        verdict = lines.get(str(package), "")
        if verdict != "digests signatures OK":
            yield f"{_label(package)}: {verdict or 'no verdict'}"


def _label(package: Path) -> str:
    """Its name in words: in a store its file name is a digest."""
    try:
        return f"{read_rpm(package).nevra.short} ({package})"
    except IntegrityError:
        return str(package)


def _import(database: Path, key: Path) -> None:
    try:
        effects.run(["rpmkeys", "--dbpath", database, "--import", key])
    except CommandError as error:
        raise InputError("bad-rpm-key", "rpm does not take a key of the manifest", details=error.output) from error


def _groups(packages: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(packages), _AT_ONCE):
        yield packages[start : start + _AT_ONCE]


def _keyring(keys: Sequence[Path], home: Path) -> Path:
    ring = home / "keyring.gpg"
    with ring.open("wb") as out:
        for number, block in enumerate(_blocks(keys)):
            part = home / f"key-{number}.gpg"
            with _readable(block):
                effects.run(["gpg", "--homedir", home, "--batch", "--output", part, "--dearmor"], stdin=block)
            out.write(part.read_bytes())
    return ring


@contextmanager
def _readable(block: str) -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise InputError(
            "bad-rpm-key", "A key of the manifest is damaged", details=f"{error.output}\n{block}"
        ) from error


def _blocks(keys: Sequence[Path]) -> list[str]:
    blocks: list[str] = []
    for key in keys:
        found = _BLOCK.findall(key.read_text(encoding="ascii", errors="replace"))
        if not found:
            raise InputError("bad-rpm-key", f"{key} holds no armored public key (BEGIN PGP PUBLIC KEY BLOCK)")
        blocks += found
    return blocks
