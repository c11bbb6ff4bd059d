"""Small bundles for tests."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from payload.lock import Lock, LockedRpm, LockedWheel
from payload.manifest import Manifest
from payload.signing import PrivateKey
from payload.trust import Keyring
from payload.writer import BundleWriter

HELP = "Usage: bash @program@ [OPTIONS]\n"
FILES = {
    "templates/config/app.toml.j2": b"port = {{ answers.port }}\n" * 40,
    "tools/pip-1-py3-none-any.whl": b"PK\x03\x04" + bytes(range(256)) * 40,
    "repository/Packages/a.rpm": b"\xed\xab\xee\xdb" + bytes(9000),
    "repository/Packages/copy-of-a.rpm": b"\xed\xab\xee\xdb" + bytes(9000),
    "server/empty": b"",
}


def manifest(version: str = "1.0.0", **changes: object) -> Manifest:
    """A valid manifest, with some of its tables replaced."""
    document: dict[str, object] = {
        "product": {"name": "app", "version": version, "title": "App"},
        "targets": [{"os": ["lab"], "python": ">=3.11"}],
        "server": {"requirements": ["app"]},
    }
    return Manifest.model_validate(document | changes)


def lock() -> Lock:
    """A lock with nothing but pip in it."""
    digest = "sha256:" + "0" * 64
    pip = LockedWheel(
        environment="tools", name="pip", version="1", filename="pip-1-py3-none-any.whl", digest=digest, source="index"
    )
    return Lock(manifest=digest, rpms=(), wheels=(), pip=pip, images=())


def locked_rpm(name: str, digit: str = "0", **changes: object) -> LockedRpm:
    """A package of a lock, with some of its fields replaced; `digit` is all of its digest."""
    document: dict[str, object] = {
        "name": name,
        "epoch": 0,
        "version": "1",
        "release": "1",
        "arch": "noarch",
        "upstream": "base",
        "location": f"Packages/{name}.rpm",
        "digest": "sha256:" + digit * 64,
        "size": 1,
        "requested": True,
    }
    return LockedRpm.model_validate(document | changes)


def runtime(folder: Path) -> Path:
    """A stand-in for the frozen runtime: a shell script that shows how it was called."""
    script = b'#!/bin/sh\nprintf "bundle=%s\\n" "$SEALIFT_BUNDLE"\nfor word; do printf "[%s]\\n" "$word"; done\n'
    path = folder / "runtime.tar.gz"
    with gzip.GzipFile(path, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("sealift-runtime")
        member.size, member.mode = len(script), 0o755
        archive.addfile(member, io.BytesIO(script))
    return path


def build(
    folder: Path,
    *signers: PrivateKey,
    name: str = "app.bin",
    files: dict[str, bytes] | None = None,
    keyring: Keyring | None = None,
) -> Path:
    """Write a small bundle signed by `signers`, whose keyring is the first of them if no other is given."""
    path = folder / name
    with BundleWriter(path, stub=lambda section: b"#!/bin/sh\nexit 0\n", runtime=runtime(folder)) as writer:
        for entry, content in (FILES if files is None else files).items():
            writer.add(content, path=entry, component=entry.split("/", 1)[0])
        writer.finish(
            manifest=manifest(),
            lock=lock(),
            created=0,
            keyring=keyring or Keyring(keys=(signers[0].public,)),
            signers=signers,
            help=HELP,
        )
    return path
