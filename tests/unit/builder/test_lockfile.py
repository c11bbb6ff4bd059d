from __future__ import annotations

import pytest

from builder.lockfile import document_path, lock_path, lock_text, read_documents, read_lock, write_lock
from builder.manifest import load_manifest
from payload.digest import digest_bytes
from payload.errors import InputError
from payload.lock import Lock, LockedDocument, LockedWheel
from tests.unit.builder.product import Site
from tests.unit.payload.bundles import locked_rpm

PIP = LockedWheel.model_validate(
    {
        "environment": "tools",
        "name": "pip",
        "version": "25.3",
        "filename": "pip-25.3-py3-none-any.whl",
        "digest": f"sha256:{'11' * 32}",
        "source": "index",
    }
)
RPM = locked_rpm("qemu", "2", epoch=1, version="2~rc1", release="3", arch="x86_64", size=10)


def lock_of(site: Site) -> Lock:
    digest = load_manifest(site.manifest).digest
    return Lock(manifest=digest, rpms=(RPM, RPM), wheels=(PIP,), pip=PIP, images=())


def test_a_lock_comes_back_as_it_was(site: Site) -> None:
    lock = lock_of(site)
    write_lock(lock_path(site.manifest), lock, {})
    assert lock_path(site.manifest).name == "bundle.lock"
    assert read_lock(load_manifest(site.manifest)) == lock


def test_each_artifact_has_a_line(site: Site) -> None:
    lines = lock_text(lock_of(site)).splitlines()
    assert sum('"qemu"' in line for line in lines) == 2
    assert all(line.count('"digest"') <= 1 for line in lines)


@pytest.mark.parametrize(
    ("content", "code"), [(None, "lock-missing"), ("", "lock-invalid"), ('{"format": 2}', "lock-invalid")]
)
def test_locks_that_cannot_be_read(site: Site, content: str | None, code: str) -> None:
    if content is not None:
        lock_path(site.manifest).write_text(content)
    with pytest.raises(InputError) as caught:
        read_lock(load_manifest(site.manifest))
    assert caught.value.code == code
    assert f"sealift lock {site.manifest}" in caught.value.remedy


def test_a_lock_of_another_manifest(site: Site) -> None:
    write_lock(lock_path(site.manifest), lock_of(site), {})
    site.rewrite('title = "Demo"', 'title = "Demo 2"')
    with pytest.raises(InputError) as caught:
        read_lock(load_manifest(site.manifest))
    assert caught.value.code == "lock-stale"
    assert f"sealift lock {site.manifest}" in caught.value.remedy


def with_updates(site: Site, text: bytes) -> Lock:
    row = LockedDocument(kind="updateinfo", digest=digest_bytes(text))
    return lock_of(site).model_copy(update={"documents": (row,)})


def test_documents_lie_beside_the_lock_and_leave_with_it(site: Site) -> None:
    path = lock_path(site.manifest)
    lock = with_updates(site, b"<updates/>")
    write_lock(path, lock, {"updateinfo": b"<updates/>"})
    file = document_path(path, "updateinfo")
    assert (file.name, read_documents(site.manifest, lock)) == ("bundle.updateinfo.xml", {"updateinfo": b"<updates/>"})
    (mine := document_path(path, "group")).write_text("not of this lock")
    write_lock(path, lock_of(site), {})
    assert (file.exists(), mine.exists()) == (False, True)


@pytest.mark.parametrize("content", [None, b"<updates >"])
def test_documents_that_are_not_those_of_the_lock(site: Site, content: bytes | None) -> None:
    if content is not None:
        document_path(lock_path(site.manifest), "updateinfo").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_documents(site.manifest, with_updates(site, b"<updates/>"))
    assert caught.value.code == "lock-stale"
