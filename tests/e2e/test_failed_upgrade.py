"""Upgrades that fail, each in another place: the old release runs again, and nothing else is different."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import Bundles
from tests.e2e.product import version
from tests.e2e.state import State, look, look_at_files, settle
from tests.e2e.watching import watch
from tests.lab import Host, Lab
from tests.lab.process import Completed

UPGRADE = ["bash", "1.1.0.bin", "-u"]
# a host that was deleted: a server that starts notes nothing about it
_ROW = """INSERT INTO ZoneEO (uuid, name, state, type, createDate, lastOpDate)
  VALUES ('z1', 'east', 'Enabled', 'zstack', '2026-01-01', '2026-01-01');
INSERT INTO ClusterEO (uuid, zoneUuid, name, hypervisorType, state, type, createDate, lastOpDate)
  VALUES ('c1', 'z1', 'first', 'KVM', 'Enabled', 'zstack', '2026-01-01', '2026-01-01');
INSERT INTO HostEO VALUES ('h1', 'z1', 'c1', 'kept', NULL, '10.99.0.1', 'KVM', 'Disabled', 'Disconnected', 'root', 22,
  0, 0, 0, 0, '2026-01-02', '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000');"""


@dataclass
class Kept:
    """A host with a small disk on which 1.0.0 is in use, and how it was before anybody tried to upgrade it."""

    host: Host
    before: State

    def assert_as_it_was(self, done: Completed, *texts: str, code: int = 30) -> None:
        """The run failed with `code`, said `texts`, and left nothing behind; the old release runs."""
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        for text in texts:
            assert text in said
        assert version(self.host) == "1.0.0"
        self.host.run(["rm", "-f", "/var/filler"])
        assert self.before.differences(look(self.host)) == [], said


@pytest.fixture(scope="module")
def kept(lab: Lab, bundles: Bundles) -> Iterator[Kept]:
    """One host for all: a failure leaves no trace, so the next one can be tried on it."""
    host = lab.boot("kept", upper_size="1500M")
    host.put(bundles.public_key, "/etc/sealift/trusted-keys.d/vendor.pub", 0o644)
    for name in ("1.0.0", "1.1.0", "failing-migration", "unrehearsed-migration", "never-healthy"):
        host.put(bundles[name], f"/root/{name}.bin")
    host.run(["bash", "1.0.0.bin", "-o"])
    host.run(["systemctl", "stop", "sealift-server"])
    host.run(["runuser", "-u", "sealift", "--", "sqlite3", "/var/lib/sealift/sealift.db"], input=_ROW)
    host.sh("echo '# edited' >>/etc/sealift/server.toml; systemctl start sealift-server")
    settle(host)
    before = look(host)
    assert len(before.rows["HostEO"]) == 1 and before.units["sealift-server"] == "enabled active"
    yield Kept(host, before)
    lab.drop(host)


def test_a_migration_that_fails_on_a_copy_is_refused(kept: Kept) -> None:
    done = kept.host.run(["bash", "failing-migration.bin", "-u"], check=False)
    kept.assert_as_it_was(done, "NoSuchTable", "[rehearsal-failed]", "/var/log/sealift/install-", code=20)
    assert "stop sealift-server" not in done.stderr


def test_a_migration_that_fails_on_the_database_itself(kept: Kept) -> None:
    done = kept.host.run(["bash", "unrehearsed-migration.bin", "-u"], check=False)
    kept.assert_as_it_was(done, "NoSuchTable", "[rolled-back]", "was undone", "/var/log/sealift/install-")
    assert any("'kept'" in row for row in look(kept.host).rows["HostEO"])


def test_a_service_that_does_not_become_healthy(kept: Kept) -> None:
    done = kept.host.run(["bash", "never-healthy.bin", "-u"], check=False)
    kept.assert_as_it_was(done, "No such option", "[rolled-back]")
    assert kept.host.run(["systemctl", "is-failed", "sealift-server"], check=False).stdout.strip() == "active"


@pytest.mark.parametrize("step", ["stage", "venv", "stop"])
def test_a_disk_that_fills_up(kept: Kept, step: str) -> None:
    filler = kept.host.popen(watch(kept.host, step, "fill"))
    done = kept.host.run(UPGRADE, check=False)
    assert filler.finish().stdout == "reached\n"
    kept.assert_as_it_was(done)
    said = done.stdout + done.stderr
    assert "No space left on device" in said or "disk is full" in said


def test_a_disk_that_is_too_full_is_seen_before(kept: Kept) -> None:
    host = kept.host
    host.sh("fallocate -l $(($(df --output=avail -B1 /var | tail -1) - 50000000)) /var/filler")
    before = look_at_files(host)
    done = host.run(UPGRADE, check=False)
    assert look_at_files(host) == before
    kept.assert_as_it_was(done, "disk-space", "nothing was changed", code=20)


def test_a_package_transaction_that_fails(kept: Kept) -> None:
    host = kept.host
    host.run(["rpm", "-e", "sqlite3", "dnsmasq-base"])
    host.sh("mkdir /usr/bin/sqlite3; touch /usr/bin/sqlite3/in-the-way")
    packages = host.rpm_qa()
    before = State(kept.before.tree, packages, kept.before.units, kept.before.rows, kept.before.schema)
    done = host.run(UPGRADE, check=False)
    Kept(host, before).assert_as_it_was(done, "sqlite3", "[rolled-back]")
    assert not host.exists("/usr/sbin/dnsmasq")
    host.sh("rm -r /usr/bin/sqlite3")
    done = host.run(["bash", "1.0.0.bin", "-o"])  # the same release again puts back what is missing
    assert "is repaired" in done.stdout
    assert kept.before.differences(look(host)) == []


def test_a_signal_puts_everything_back(kept: Kept) -> None:
    watcher = kept.host.popen(watch(kept.host, "venv"))
    run = kept.host.popen(UPGRADE)
    assert watcher.finish().stdout == "reached\n"
    run.kill(signal.SIGTERM, tree=False)
    kept.assert_as_it_was(run.finish(), "SIGTERM", code=130)
