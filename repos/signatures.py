"""GPG: the signature of a repository's metadata, against the keys that the manifest names.

Each check uses a scratch keyring with exactly those keys; the keys of the machine or of the user play no part.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from payload import effects
from payload.errors import CommandError, InputError, TrustError

_BLOCK = re.compile(r"-----BEGIN PGP PUBLIC KEY BLOCK-----.*?-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)


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


def _keyring(keys: Sequence[Path], home: Path) -> Path:
    ring = home / "keyring.gpg"
    with ring.open("wb") as out:
        for number, block in enumerate(key_blocks(keys)):
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


def key_blocks(keys: Sequence[Path]) -> list[str]:
    """Each armored public key in the files `keys`.

    Raises:
        InputError: a file has none.
    """
    blocks: list[str] = []
    for key in keys:
        found = _BLOCK.findall(key.read_text(encoding="ascii", errors="replace"))
        if not found:
            raise InputError("bad-rpm-key", f"{key} holds no armored public key (BEGIN PGP PUBLIC KEY BLOCK)")
        blocks += found
    return blocks
