"""What commands say at their end: values for machines and text for people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from builder.pipeline import Built
from builder.seal import Request
from payload.archive import UnverifiedBundle, VerifiedBundle
from payload.digest import Digest
from payload.lock import Lock
from payload.model import Index
from payload.statement import Statement
from payload.strict import document
from payload.trust import Keyring, PublicKey, names

Report = tuple[dict[str, object], str]


def locked(path: Path, lock: Lock) -> Report:
    """A lock that was written."""
    counts = {"packages": len(lock.rpms), "wheels": len(lock.wheels), "images": len(lock.images)}
    text = ", ".join(f"{count} {what if count != 1 else what.removesuffix('s')}" for what, count in counts.items())
    return {"lock": str(path), **counts}, f"locked {text} in {path}"


def explained(package: str, lines: tuple[str, ...]) -> Report:
    """Why a package is in."""
    return {"package": package, "chain": list(lines)}, "\n".join(lines)


def built(bundle: Built) -> Report:
    """A bundle that was built."""
    files = (bundle.path, *bundle.parts)
    size = sum(path.stat().st_size for path in files)
    values: dict[str, object] = {
        "bundle": str(bundle.path),
        "parts": [str(path) for path in bundle.parts],
        "size": size,
        "digest": bundle.digest,
        "signed-by": [key.fingerprint for key in bundle.signers],
    }
    lines = (*map(str, files), f"{_mebibytes(size)}, signed by {names(bundle.signers) or 'nobody yet'}")
    return values, "\n".join(lines)


def verified(bundle: VerifiedBundle) -> Report:
    """A bundle that is whole and signed by a trusted key."""
    product = bundle.index.manifest.product
    values: dict[str, object] = {
        "product": product.name,
        "version": str(product.version),
        "digest": bundle.digest,
        "signed-by": [key.fingerprint for key in bundle.signers],
    }
    whose = ", ".join(f"{key.fingerprint} {key.comment}".strip() for key in bundle.signers)
    return values, f"{product.title} {product.version}: whole, signed by {whose}"


def made_key(private: Path, public: Path, rpm: Path, key: PublicKey) -> Report:
    """The keys that were made."""
    values: dict[str, object] = {
        "private": str(private),
        "public": str(public),
        "rpm-key": str(rpm),
        "fingerprint": key.fingerprint,
    }
    lines = (
        f"{private}: keep it secret and backed up",
        f"{public}: give it to those who install",
        f"{rpm}: keep it secret and backed up; it signs the metadata of packages",
        key.fingerprint,
    )
    return values, "\n".join(lines)


def made_rpm_key(path: Path) -> Report:
    """An RPM key that was made."""
    return {"rpm-key": str(path)}, f"{path}: keep it secret and backed up; it signs the metadata of packages"


def portable(path: Path, digest: Digest, version: str, libc: str) -> Report:
    """A portable Python, and how a manifest names it."""
    size = path.stat().st_size
    values: dict[str, object] = {"path": str(path), "digest": digest, "size": size, "version": version, "libc": libc}
    return values, f"{path}\n{_mebibytes(size)}, CPython {version} for glibc {libc} and newer, {digest}"


def contents(bundle: UnverifiedBundle) -> Report:
    """What a bundle claims to hold."""
    index = bundle.claimed
    sizes = _sizes(index)
    values: dict[str, object] = {
        "verified": False,
        "signed-by": list(bundle.signers()),
        "created": index.created,
        "product": index.manifest.product.model_dump(mode="json"),
        "components": sizes,
        "packages": [rpm.nevra for rpm in index.lock.rpms],
        "wheels": [f"{wheel.environment}/{wheel.filename}" for wheel in index.lock.wheels],
        "images": [image.model_dump(mode="json") for image in index.lock.images],
        "runtime": index.runtime.size,
    }
    return values, "\n".join(_lines(index, sizes, bundle.signers()))


def _lines(index: Index, sizes: dict[str, int], signers: tuple[str, ...]) -> list[str]:
    product, embedded = index.manifest.product, {image.name for image in index.manifest.images if image.embed}
    images = (f"{image.name} {'' if image.name in embedded else '(not embedded) '}" for image in index.lock.images)
    return [
        f"{product.title} ({product.name}) {product.version}",
        f"upgrades from  {product.upgrades_from or 'nothing'}",
        f"signed by      {', '.join(signers)} (not checked here: sealift verify)",
        f"packages       {len(index.lock.rpms)}",
        f"wheels         {len(index.lock.wheels)}",
        f"images         {', '.join(image.strip() for image in images) or 'none'}",
        f"runtime        {_mebibytes(index.runtime.size)}",
        "components",
        *(f"  {name:<20} {_mebibytes(size):>12}" for name, size in sorted(sizes.items())),
    ]


def _sizes(index: Index) -> dict[str, int]:
    stored = {blob.digest: blob.stored_size for blob in index.blobs}
    sizes: dict[str, int] = {}
    for entry in index.entries:
        sizes[entry.component] = sizes.get(entry.component, 0) + stored.get(entry.blob, 0)
    return sizes


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MB"


def statement_lines(statement: Statement) -> list[str]:
    """What a signature would vouch for."""
    ring = statement.keyring
    ends = "" if ring.expires is None else f", until {time.strftime('%Y-%m-%d', time.gmtime(ring.expires))}"
    made = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(statement.created))
    return [
        f"{statement.product} {statement.version}, {made}",
        f"  index     {statement.index}",
        f"  manifest  {statement.manifest}",
        f"  runtime   {statement.runtime}",
        f"  inside    {statement.packages} packages, {statement.wheels} wheels, {statement.images} images,"
        f" {_mebibytes(statement.size)}",
        f"  keyring   version {ring.version}: {ring.threshold} of {len(ring.keys)} keys{ends}",
        *(f"            {key.fingerprint} {key.comment}".rstrip() for key in ring.keys),
    ]


def requested(path: Path, request: Request) -> Report:
    """A signing request that was written."""
    text = "\n".join((f"{path}: carry it to the key, and run: sealift sign", *statement_lines(request.statement)))
    return {"request": str(path), "statement": document(request.statement, defaults=True)}, text


def signed(path: Path, signers: Sequence[PublicKey]) -> Report:
    """Signatures that were made."""
    values: dict[str, object] = {"signatures": str(path), "signed-by": [key.fingerprint for key in signers]}
    return values, f"{path}: signed by {names(signers)}; put it in with: sealift attach-signature"


def attached(bundle: Path, signers: Sequence[PublicKey], ring: Keyring) -> Report:
    """A bundle that got signatures."""
    counted = len({key.raw for key in signers} & {key.raw for key in ring.keys})
    missing = max(0, ring.threshold - counted)
    values: dict[str, object] = {
        "bundle": str(bundle),
        "signed-by": [key.fingerprint for key in signers],
        "missing": missing,
    }
    rest = f"; {missing} more must sign before a host takes it" if missing else ""
    return values, f"{bundle}: signed by {names(signers)}{rest}"


def keyring(ring: Keyring, path: Path | None, text: str) -> Report:
    """A keyring to be given away."""
    values: dict[str, object] = {"keyring": document(ring, defaults=True), "file": None if path is None else str(path)}
    return values, text.rstrip() if path is None else f"{path}: {ring.threshold} of {names(ring.keys)}"
