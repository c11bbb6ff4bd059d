"""What changed between two bundles, by component and package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from builder.diff import changes, to_lines
from payload.archive import open_bundle
from payload.lock import Lock, LockedPython, LockedRpm, LockedWheel
from payload.manifest import Manifest
from payload.model import Index
from payload.signing import PrivateKey
from payload.version import Version
from tests.unit.payload import bundles


def test_what_changed_between_two_bundles(tmp_path: Path) -> None:
    key = PrivateKey.generate()
    (tmp_path / "new").mkdir()
    old = open_bundle(bundles.build(tmp_path, key)).claimed
    files = bundles.FILES | {"templates/config/app.toml.j2": b"port = 1\n", "templates/config/more.j2": b"x"}
    new = open_bundle(bundles.build(tmp_path / "new", key, files=files)).claimed
    assert changes(old, old) == ()
    lock = Lock.model_validate(
        new.lock.model_dump(by_alias=True) | {"pip": new.lock.pip.model_copy(update={"version": "2"}).model_dump()}
    )
    manifest = Manifest.model_validate(
        new.manifest.model_dump(by_alias=True, mode="json") | {"preflight": {"memory-mb": 512}}
    )
    lines = "\n".join(
        to_lines(changes(old, replace(new, lock_table=lock.to_table(), manifest_table=manifest.to_table())))
    )
    assert "wheel: tools\n  ~ pip 1 -> 2" in lines
    assert "file: templates\n  ~ templates/config/app.toml.j2" in lines
    assert "  + templates/config/more.j2" in lines
    assert "manifest: preflight\n  ~ preflight.memory-mb 0 -> 512" in lines
    assert "keyring" not in lines


def wheel(name: str, version: str, build: str) -> LockedWheel:
    filename = f"{name}-{version}-py3-none-any.whl"
    digest = "sha256:" + build * 64
    return LockedWheel(
        environment="server", name=name, version=Version(version), filename=filename, digest=digest, source="index"
    )


def test_another_build_of_the_same_version_is_a_change(tmp_path: Path) -> None:
    """So are the Python that the bundle brings, and whose signatures its packages need."""
    index = open_bundle(bundles.build(tmp_path, PrivateKey.generate())).claimed

    def release(build: str, python: str, key: str, *more: LockedRpm) -> Index:
        lock = index.lock.model_copy(
            update={
                "rpms": (bundles.locked_rpm("same"), bundles.locked_rpm("rebuilt", build), *more),
                "wheels": (wheel("kept", "1", "0"), wheel("again", "1", build)),
                "python": LockedPython(version=Version(python), libc="2.17", digest="sha256:" + build * 64),
            }
        )
        entry = replace(index.entries[0], path="keys/base-0.asc", component="repository", blob="sha256:" + key * 64)
        return replace(index, lock_table=lock.to_table(), entries=(entry,))

    old, new = release("a", "3.13.1", "1"), release("b", "3.13.2", "2", bundles.locked_rpm("new", version="2"))
    assert [*to_lines(changes(old, new))] == [
        "package: repository",
        "  + new.noarch 2-1",
        f"  ~ rebuilt.noarch 1-1 ({'a' * 12}) -> 1-1 ({'b' * 12})",
        "wheel: server",
        f"  ~ again 1 ({'a' * 12}) -> 1 ({'b' * 12})",
        "python: python",
        f"  ~ python 3.13.1, glibc 2.17 ({'a' * 12}) -> 3.13.2, glibc 2.17 ({'b' * 12})",
        "file: repository",
        f"  ~ keys/base-0.asc {'1' * 12}, mode 0644 -> {'2' * 12}, mode 0644",
    ]
