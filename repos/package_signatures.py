"""The signatures of RPM files, checked by rpm against the keys that the manifest names and no others.

Apart from `repos.signatures` because it reads headers, for which a host has no library.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from payload import effects
from payload.errors import CommandError, InputError, IntegrityError, TrustError
from repos.header import read_rpm
from repos.signatures import key_blocks

_AT_ONCE = 200


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
        for number, block in enumerate(key_blocks(keys)):
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
    except (IntegrityError, OSError):
        return str(package)


def _import(database: Path, key: Path) -> None:
    try:
        effects.run(["rpmkeys", "--dbpath", database, "--import", key])
    except CommandError as error:
        raise InputError("bad-rpm-key", "rpm does not take a key of the manifest", details=error.output) from error


def _groups(packages: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(packages), _AT_ONCE):
        yield packages[start : start + _AT_ONCE]
