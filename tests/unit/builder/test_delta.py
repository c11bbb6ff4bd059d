"""Which packages an upgrade bundle need not hold: those that lie in every installed release of its bases."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.delta import OneHost, reduce
from builder.stage import Staged
from payload.archive import VerifiedBundle, open_bundle
from payload.digest import digest_bytes
from payload.events import NullSink
from payload.model import Source
from payload.signing import PrivateKey
from payload.siteplan import HeldFile, SitePlan
from payload.trust import Keyring
from payload.version import Version
from payload.writer import BundleWriter
from tests.unit.payload import bundles

OLD, NEW = b"\xed\xab\xee\xdb" + bytes(9000), b"\xed\xab\xee\xdb" + bytes(8000)
FOLDER = "repository/Packages"
TREE = (
    Staged(OLD, f"{FOLDER}/same.rpm", "repository"),
    Staged(NEW, f"{FOLDER}/new.rpm", "repository"),
    Staged(b"signed", "repository/repodata/repomd.xml", "repository"),
    Staged(b"wheel", "wheels/server/a.whl", "server"),
)


def base(folder: Path, serve: str | None) -> VerifiedBundle:
    key, path = PrivateKey.generate(), folder / "old.bin"
    with BundleWriter(path, stub=lambda section: b"#!/bin/sh\n", runtime=bundles.runtime(folder)) as writer:
        writer.add(OLD, path=f"{FOLDER}/older-name.rpm", component="repository")
        writer.add(b"signed", path="repository/repodata/repomd.xml", component="repository")
        writer.add(b"wheel", path="wheels/server/a.whl", component="server")
        writer.finish(
            manifest=bundles.manifest(repository={} if serve is None else {"serve": serve}),
            lock=bundles.lock(),
            created=0,
            keyring=Keyring(keys=(key.public,)),
            signers=(key,),
            help="help",
        )
    opened = open_bundle(path)
    return opened.known(opened.digest)


@pytest.mark.parametrize("serve", [None, "0.0.0.0:8079"])
def test_packages_of_a_base_that_serves_them_are_on_all_its_hosts(tmp_path: Path, serve: str | None) -> None:
    (scratch := tmp_path / "scratch").mkdir()
    found = reduce(TREE, [base(tmp_path, serve)], scratch=scratch, sink=NullSink())
    expected = {"wheels/server/a.whl"} | ({f"{FOLDER}/same.rpm"} if serve else set())
    assert found.borrowed.keys() == expected
    if serve:
        assert found.borrowed[f"{FOLDER}/same.rpm"].sources == (Source(path=f"{FOLDER}/older-name.rpm"),)
    assert found.patches == ()


def test_what_a_plan_says_decides_for_its_host(tmp_path: Path) -> None:
    """A file that lies there is taken from there; a package that is only installed is left to the host."""
    (scratch := tmp_path / "scratch").mkdir()
    plan = SitePlan(
        product="app",
        version=Version("1.0"),
        release="sha256:" + "1" * 64,
        releases=(Version("1.0"),),
        running=False,
        answers={},
        files=(HeldFile(path=f"{FOLDER}/kept.rpm", digest=digest_bytes(OLD)),),
        packages=(),
    )
    headers = {digest_bytes(OLD): "a" * 64, digest_bytes(NEW): "b" * 64}
    found = reduce(TREE, [], host=OneHost(plan, headers), scratch=scratch, sink=NullSink())
    assert found.bases[0].release == plan.release
    assert found.borrowed.keys() == {f"{FOLDER}/same.rpm", f"{FOLDER}/new.rpm"}
    assert found.borrowed[f"{FOLDER}/same.rpm"].sources == (Source(path=f"{FOLDER}/kept.rpm"),)
    assert found.borrowed[f"{FOLDER}/new.rpm"].header == "b" * 64
