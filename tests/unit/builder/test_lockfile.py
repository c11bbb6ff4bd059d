from __future__ import annotations

import pytest

from builder.lockfile import lock_path, lock_text, read_lock, write_lock
from builder.manifest import load_manifest
from payload.errors import InputError
from payload.model import Lock, LockedRpm, LockedWheel
from tests.unit.builder.product import Site

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
RPM = LockedRpm(
    name="qemu",
    epoch=1,
    version="2~rc1",
    release="3",
    arch="x86_64",
    upstream="base",
    location="Packages/q/qemu-2~rc1-3.x86_64.rpm",
    digest=f"sha256:{'22' * 32}",
    size=10,
    requested=True,
)


def lock_of(site: Site) -> Lock:
    digest = load_manifest(site.manifest).digest
    return Lock(manifest=digest, rpms=(RPM, RPM), wheels=(PIP,), pip=PIP, images=())


def test_a_lock_comes_back_as_it_was(site: Site) -> None:
    lock = lock_of(site)
    write_lock(lock_path(site.manifest), lock)
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
    write_lock(lock_path(site.manifest), lock_of(site))
    site.rewrite('title = "Demo"', 'title = "Demo 2"')
    with pytest.raises(InputError) as caught:
        read_lock(load_manifest(site.manifest))
    assert caught.value.code == "lock-stale"
    assert f"sealift lock {site.manifest}" in caught.value.remedy
