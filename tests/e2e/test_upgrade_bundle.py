"""An upgrade bundle: it upgrades the release that it was made for, and refuses the rest before anything stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from payload.archive import open_bundle
from payload.model import Index
from tests.e2e.conftest import Bundles
from tests.e2e.product import version
from tests.e2e.state import look_at_files, settle
from tests.lab import Host

UPGRADE = "/root/upgrade.bin"
RELEASE = "/opt/sealift/releases/1.0.0"


@pytest.fixture(scope="module")
def upgrade(bundles: Bundles) -> Path:
    """From 1.0.0 to 1.1.0."""
    return bundles.upgrade("1.0.0", "1.1.0")


@pytest.fixture(scope="module")
def index(upgrade: Path) -> Index:
    """What the upgrade bundle says of itself."""
    return open_bundle(upgrade).claimed


def test_it_holds_only_what_the_installed_release_lacks(upgrade: Path, bundles: Bundles, index: Index) -> None:
    outside = {each.digest for each in index.borrowed}
    paths = {entry.path for entry in index.entries if entry.blob in outside}
    assert any(path.startswith("images/") for path in paths)
    assert any(path.startswith("wheels/server/") for path in paths)
    packages = {entry.path for entry in index.entries if entry.path.endswith(".rpm")}
    assert packages and packages <= paths, "hosts of 1.0.0 serve its packages, so all of them are there"
    full = open_bundle(bundles["1.1.0"]).claimed
    stored = {blob.digest: blob.stored_size for blob in full.blobs}
    saved = sum(stored[digest] for digest in outside)
    patches = sum(blob.stored_size for blob in index.blobs if blob.digest not in stored)
    assert upgrade.stat().st_size < bundles["1.1.0"].stat().st_size - saved + patches + (64 << 10)


def test_a_host_without_the_product_is_told_to_get_the_full_bundle(bare: Host, upgrade: Path) -> None:
    bare.put(upgrade, UPGRADE)
    before = look_at_files(bare)
    for option in ("-o", "-u"):
        done = bare.run(["bash", UPGRADE, option, "-y"], check=False)
        assert (done.returncode, "[upgrade-bundle]" in done.stderr) == (2, True), done.stdout + done.stderr
    assert look_at_files(bare) == before
    assert "needs:         1.0.0" in bare.run(["bash", UPGRADE, "--info"]).stdout


def test_an_altered_file_is_named_and_then_the_upgrade_is_what_the_full_bundle_makes(
    running: Host, upgrade: Path, index: Index
) -> None:
    settle(running)
    running.put(upgrade, UPGRADE)
    source = next(each.sources[0] for each in index.borrowed if each.sources[0].path.startswith("wheels/server/"))
    altered = f"{RELEASE}/{source.path}"
    running.sh(f"cp -p {altered} /root/kept; printf x >>{altered}")
    before, pid = look_at_files(running), running.sh("systemctl show -P MainPID sealift-server")
    refused = running.run(["bash", UPGRADE, "-u", "-y"], check=False)
    assert (refused.returncode, "[base-altered]" in refused.stderr) == (10, True), refused.stderr
    assert altered in refused.stderr
    assert look_at_files(running) == before
    assert running.sh("systemctl show -P MainPID sealift-server") == pid

    running.sh(f"cp -p /root/kept {altered}")
    running.run(["bash", UPGRADE, "-u", "-y"])
    assert version(running) == "1.1.0"
    again = running.run(["bash", "/root/sealift-installer-1.1.0.bin", "-u", "-y"])
    assert "nothing to do" in again.stdout, "the full bundle finds its own release, whole"
    running.run(["sealift-ctl", "rollback", "-y"])
    assert version(running) == "1.0.0"
