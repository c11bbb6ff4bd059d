"""`sealift rebuild --verify`: a bundle is what its inputs give, or the first thing that differs is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder import pipeline
from builder.rebuild import verify_rebuild
from payload.archive import open_bundle
from payload.errors import InputError, IntegrityError
from payload.events import NullSink
from tests.unit.builder.product import Site
from tests.unit.builder.test_pipeline import KEY, NO_RPM_KEY, build


def test_a_bundle_is_what_its_inputs_give_without_any_key(locked: Site, tmp_path: Path) -> None:
    bundle = build(locked, tmp_path / "demo.bin")
    os.utime(locked.manifest, (1, 1))  # the time of the release is in the bundle
    (locked.folder / "bundle.lock").unlink(missing_ok=True)
    proven = verify_rebuild(bundle.path, locked.manifest, bases=(), store=locked.store, sink=NullSink())
    assert (proven.digest, [key.fingerprint for key in proven.signers]) == (bundle.digest, [KEY.public.fingerprint])
    assert not list(locked.store.root.glob(".stage-*"))


def test_the_first_difference_is_named(locked: Site, tmp_path: Path) -> None:
    bundle = build(locked, tmp_path / "demo.bin")
    template = locked.folder / "config/demo.toml.j2"
    template.write_text(template.read_text() + "# other\n")
    with pytest.raises(IntegrityError) as caught:
        verify_rebuild(bundle.path, locked.manifest, bases=(), store=locked.store, sink=NullSink())
    assert caught.value.code == "rebuild-differs"
    assert "templates/config/demo.toml.j2" in caught.value.brief


def test_another_manifest_and_a_damaged_bundle_are_refused(locked: Site, tmp_path: Path) -> None:
    bundle = build(locked, tmp_path / "demo.bin")
    content = bytearray(bundle.path.read_bytes())
    content[bundle.index.blobs[-1].offset] ^= 1
    bad = tmp_path / "bad.bin"
    bad.write_bytes(content)
    with pytest.raises(IntegrityError) as damage:
        verify_rebuild(bad, locked.manifest, bases=(), store=locked.store, sink=NullSink())
    assert damage.value.code == "bundle-damaged"
    locked.manifest.write_text(locked.manifest.read_text() + "\n# another\n")
    with pytest.raises(InputError) as caught:
        verify_rebuild(bundle.path, locked.manifest, bases=(), store=locked.store, sink=NullSink())
    assert caught.value.code == "manifest-other"


def test_a_bundle_that_is_not_signed_yet(locked: Site, tmp_path: Path) -> None:
    (locked.folder / "release.pub").write_text(KEY.public.to_text())
    locked.manifest.write_text(locked.manifest.read_text() + '\n[trust]\nkeys = ["release.pub"]\n')
    pipeline.lock(locked.manifest, store=locked.store, sink=NullSink())
    out = tmp_path / "demo.bin"
    pipeline.build(locked.manifest, out=out, signers=(), rpm_key=NO_RPM_KEY, store=locked.store, sink=NullSink())
    proven = verify_rebuild(out, locked.manifest, bases=(), store=locked.store, sink=NullSink())
    assert proven.digest == open_bundle(out).digest
