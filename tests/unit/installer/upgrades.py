"""A small upgrade bundle that lacks two packages: one lies in the base, one is left to the host."""

from __future__ import annotations

import os
from pathlib import Path

from payload.archive import VerifiedBundle, open_bundle
from payload.digest import digest_bytes
from payload.model import Base, Borrowed, Source
from payload.signing import PrivateKey
from payload.trust import Keyring
from payload.version import Version
from payload.writer import BundleWriter
from tests.unit.payload.bundles import HELP, lock, locked_rpm, runtime
from tests.unit.repos.manifests import manifest

INSIDE = {
    "keys/base-0.asc": b"the upstream's key",
    "repository/RPM-GPG-KEY-thing": b"the product's key",
    "repository/Packages/inside-1-1.noarch.rpm": b"\xed\xab\xee\xdb inside",
    "repository/repodata/repomd.xml": b"<repomd/>",
    "repository/repodata/primary.xml.gz": b"primary",
}
TAKEN, TAKEN_PATH = os.urandom(300_000), "repository/Packages/taken-1-1.noarch.rpm"
SOURCE_PATH = "repository/Packages/taken-as-it-was-called.rpm"
LEFT_PATH = "repository/Packages/left-1-1.noarch.rpm"
LEFT = locked_rpm("left", "3", location="left-1-1.noarch.rpm", size=16)


def upgrade_bundle(folder: Path) -> VerifiedBundle:
    """The bundle, at `folder`/upgrade.bin."""
    key = PrivateKey.generate("vendor")
    keyring = Keyring(keys=(key.public,))
    base = Base(version=Version("0.9"), release="sha256:" + "1" * 64)
    path = folder / "upgrade.bin"
    with BundleWriter(path, stub=lambda section: b"#!/bin/sh\n", runtime=runtime(folder)) as writer:
        for name, content in INSIDE.items():
            writer.add(content, path=name, component=name.partition("/")[0])
        taken = Borrowed(digest=digest_bytes(TAKEN), size=len(TAKEN), sources=(Source(path=SOURCE_PATH),))
        left = Borrowed(digest=LEFT.digest, size=LEFT.size, header="2" * 64)
        writer.borrow(taken, path=TAKEN_PATH, component="repository")
        writer.borrow(left, path=LEFT_PATH, component="repository")
        writer.finish(
            manifest=manifest(),
            lock=lock().model_copy(update={"rpms": (LEFT,)}),
            created=0,
            keyring=keyring,
            signers=(key,),
            help=HELP,
            bases=(base,),
        )
    return open_bundle(path).verify(keyring)
