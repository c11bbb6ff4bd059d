"""Metadata comes in checked, or not at all."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from payload.errors import IntegrityError, ResolveError, TrustError
from payload.events import NullSink
from payload.manifest import Upstream
from payload.store import Store
from repos.closure import resolve_closure
from repos.metadata import load_metadata
from repos.sync import Fetcher
from tests.unit.repos.conftest import Signer
from tests.unit.repos.packages import Spec, write_repository
from tests.unit.repos.server import Behaviour, serve

SPECS = (Spec("tool", "1", requires=("/opt/library/file",)), Spec("library", "2", files=("/opt/library/file",)))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "repository", SPECS)


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return Fetcher(Store(tmp_path / "store"), NullSink(), pause=0.01)


def upstream(url: str, *, signed: bool = False) -> Upstream:
    return Upstream(id="base", url=url, gpg_keys=("key.asc",), signed_metadata=signed)


def repack(repository: Path, pack: Callable[[bytes], bytes], suffix: str) -> None:
    """Compress all documents in another way."""
    repomd = repository / "repodata" / "repomd.xml"
    text = repomd.read_text()
    for kind in ("primary", "filelists"):
        old = repository / "repodata" / f"{kind}.xml.gz"
        packed = old.read_bytes()
        new = pack(gzip.decompress(packed))
        old.unlink()
        old.with_name(f"{kind}.xml{suffix}").write_bytes(new)
        text = text.replace(hashlib.sha256(packed).hexdigest(), hashlib.sha256(new).hexdigest())
        text = text.replace(f"<size>{len(packed)}</size>", f"<size>{len(new)}</size>")
        text = text.replace(f"{kind}.xml.gz", f"{kind}.xml{suffix}")
    repomd.write_text(text)


@pytest.mark.parametrize(
    ("pack", "suffix"),
    [
        (gzip.compress, ".gz"),
        (lzma.compress, ".xz"),
        (bz2.compress, ".bz2"),
        (zstandard.ZstdCompressor().compress, ".zst"),
        (bytes, ""),
    ],
)
def test_every_compression(repository: Path, fetcher: Fetcher, pack: Callable[[bytes], bytes], suffix: str) -> None:
    repack(repository, pack, suffix)
    metadata = load_metadata(upstream(f"file://{repository}"), [], fetcher)
    found = resolve_closure(["tool"], [metadata]).packages
    assert [package.nevra.name for package in found] == ["library", "tool"]


def test_an_unchanged_upstream_costs_one_document(repository: Path, fetcher: Fetcher) -> None:
    behaviour = Behaviour()
    with serve(repository, behaviour) as url:
        load_metadata(upstream(url), [], fetcher)
        assert len(behaviour.requests) == 3
        load_metadata(upstream(url), [], fetcher)
    assert behaviour.requests[3:] == [("/repodata/repomd.xml", "")]


def test_signed_metadata(repository: Path, fetcher: Fetcher, signers: tuple[Signer, Signer]) -> None:
    repomd = repository / "repodata" / "repomd.xml"
    signers[0].sign_file(repomd)
    wanted = upstream(f"file://{repository}", signed=True)
    assert load_metadata(wanted, [signers[0].public], fetcher).repomd.revision == "1"
    with pytest.raises(TrustError):
        load_metadata(wanted, [signers[1].public], fetcher)
    repomd.write_bytes(repomd.read_bytes() + b"\n")
    with pytest.raises(TrustError):
        load_metadata(wanted, [signers[0].public], fetcher)


def test_a_missing_signature_is_no_way_round(
    repository: Path, fetcher: Fetcher, signers: tuple[Signer, Signer]
) -> None:
    with pytest.raises(ResolveError) as caught:
        load_metadata(upstream(f"file://{repository}", signed=True), [signers[0].public], fetcher)
    assert "repomd.xml.asc" in caught.value.brief


def test_a_changed_document_is_refused(repository: Path, fetcher: Fetcher) -> None:
    path = repository / "repodata" / "primary.xml.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        load_metadata(upstream(f"file://{repository}"), [], fetcher)


def test_a_document_that_does_not_unpack(repository: Path, fetcher: Fetcher) -> None:
    repack(repository, lambda content: gzip.compress(content)[:-20], ".gz")
    metadata = load_metadata(upstream(f"file://{repository}"), [], fetcher)
    with pytest.raises(IntegrityError) as caught:
        resolve_closure(["tool"], [metadata])
    assert caught.value.code == "bad-metadata"


def test_a_document_that_unpacks_to_something_else(repository: Path, fetcher: Fetcher) -> None:
    repack(repository, lambda content: gzip.compress(content.replace(b"library", b"librarx")), ".gz")
    metadata = load_metadata(upstream(f"file://{repository}"), [], fetcher)
    with pytest.raises(IntegrityError) as caught:
        resolve_closure(["tool"], [metadata])
    assert "something else" in caught.value.details


def test_no_repository_there(tmp_path: Path, fetcher: Fetcher) -> None:
    with pytest.raises(ResolveError) as caught:
        load_metadata(upstream(f"file://{tmp_path}/none"), [], fetcher)
    assert "repodata/repomd.xml" in caught.value.brief
