"""Two nodes that share a PostgreSQL database, commanded from a third machine by SSH."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.databases import query, start_database
from tests.e2e.product import version
from tests.lab import Host, Lab, Snapshot
from tests.lab.process import Completed

BUNDLE = "sealift-installer-1.1.0.bin"
CONFIG = "/etc/sealift/server.toml"
_AS_SERVER = ("runuser", "-u", "sealift", "--", "/opt/sealift/current/venv/bin/sealift-server", "--config", CONFIG)
_ONLY_OLD = """[Service]
ExecStartPre=/bin/sh -c '! readlink /opt/sealift/current | grep -q 1.1.0'
"""
_DROP_IN = "/etc/systemd/system/sealift-server.service.d/only-old.conf"


@dataclass
class Cluster:
    """The machine that commands and has the database, and the nodes."""

    commander: Host
    nodes: tuple[Host, Host]

    def command(self, *words: str, code: int = 0) -> Completed:
        done = self.commander.run(["bash", BUNDLE, *words, "--hosts", "nodes.toml"], check=False, timeout=600)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def query(self, statement: str) -> str:
        """The answer of the database."""
        return query(self.commander, statement)

    def assert_all(self, release: str) -> None:
        assert [version(node) for node in self.nodes] == [release, release]
        assert self.query("select version_num from alembic_version") == release
        assert self.query("select name from \"ZoneEO\" where uuid = 'z1'") == "east"
        assert not self.commander.exists("/root/nodes.toml.upgrade.json")
        for host in self.nodes:
            assert host.sh("ls -d /var/tmp/sealift-nodes-* 2>/dev/null || true") == ""


@pytest.fixture(scope="module")
def cluster(lab: Lab, provided: Snapshot, installed: Snapshot) -> Iterator[Cluster]:
    commander = lab.boot("commander", snapshot=provided)
    nodes = (lab.boot("node1", snapshot=installed), lab.boot("node2", snapshot=installed))
    cluster = Cluster(commander, nodes)
    start_database(commander)
    introduce(commander, nodes)
    for number, node in enumerate(nodes):
        node.run(["systemctl", "stop", "sealift-server"])
        url = f"postgresql://postgres@{commander.address}:5432/sealift"
        node.sh(f"printf '[database]\\nurl = \"{url}\"\\n' >>{CONFIG}; rm -f /var/lib/sealift/sealift.db*")
        if number == 0:
            node.run([*_AS_SERVER, "migrate"])
            node.run([*_AS_SERVER, "set-admin-password"], input="a-password-of-the-site\n")
        node.run(["systemctl", "start", "sealift-server"])
    cluster.query(
        """insert into "ZoneEO" (uuid, name, state, type, "createDate", "lastOpDate")
           values ('z1', 'east', 'Enabled', 'zstack', '2026-01-01', '2026-01-01')"""
    )
    yield cluster
    for host in (commander, *nodes):
        lab.drop(host)


def introduce(commander: Host, nodes: tuple[Host, ...]) -> None:
    """The commander's key is let in by the nodes, whose host keys are pinned."""
    commander.sh("ssh-keygen -q -t ed25519 -N '' -f /root/id_site")
    key = commander.read("/root/id_site.pub")
    inventory = ['known-hosts = "known"']
    known = ""
    for node in nodes:
        node.sh(f"mkdir -p -m 700 /root/.ssh; echo '{key.strip()}' >>/root/.ssh/authorized_keys")
        known += f"{node.address} {node.read('/etc/ssh/ssh_host_ed25519_key.pub')}"
        inventory += ["[[hosts]]", f'name = "{node.name}"', f'address = "{node.address}"', 'key = "id_site"']
    commander.write("/root/known", known)
    commander.write("/root/nodes.toml", "\n".join(inventory) + "\n")


def test_all_nodes_are_looked_at_and_those_that_cannot_be_are_named(cluster: Cluster) -> None:
    body = json.loads(cluster.command("-u", "--preflight", "--json").stdout)
    assert body["fits"] is True
    assert [(host["name"], host["report"]["mode"]) for host in body["hosts"]] == [
        ("node1", "upgrade"),
        ("node2", "upgrade"),
    ]
    host, known = cluster.commander, cluster.commander.read("/root/known")
    host.write("/root/known", known.splitlines()[0] + "\n")
    inventory = host.read("/root/nodes.toml")
    gone = '[[hosts]]\nname = "gone"\naddress = "10.77.0.99"\nkey = "id_site"\n'
    host.write("/root/nodes.toml", inventory + gone)
    shown = cluster.command("-u", "--preflight", "--report", "r.html", code=20).stdout
    host.write("/root/known", known)
    host.write("/root/nodes.toml", inventory)
    assert shown.count("cannot be looked at") == 2 and "this host fits" in shown.splitlines()[1]
    assert "Host key verification failed" in shown and "ssh-keyscan" in shown
    assert "1 of 3 hosts fit" in host.read("/root/r.html")


def test_a_node_that_stays_ill_takes_all_back(cluster: Cluster) -> None:
    node = cluster.nodes[1]
    node.write(_DROP_IN, _ONLY_OLD)
    node.run(["systemctl", "daemon-reload"])
    try:
        said = cluster.command("-u", "-y", code=30).stderr
    finally:
        node.run(["rm", _DROP_IN])
        node.run(["systemctl", "daemon-reload"])
    assert "[nodes-rolled-back]" in said and "node2" in said
    cluster.assert_all("1.0.0")


def test_an_upgrade_that_is_cut_off_goes_on(cluster: Cluster) -> None:
    run = cluster.commander.popen(["bash", BUNDLE, "-u", "-y", "--hosts", "nodes.toml"])
    deadline = time.monotonic() + 600
    while "1.1.0" not in cluster.nodes[0].sh("readlink /opt/sealift/current"):
        assert time.monotonic() < deadline and run.poll() is None
        assert cluster.nodes[1].sh("systemctl is-active sealift-server") == "active\n"  # it works beside the other
        time.sleep(0.1)
    run.kill(signal.SIGKILL)
    assert cluster.commander.exists("/root/nodes.toml.upgrade.json")
    shown = cluster.command("-u", "-y").stdout
    assert shown == "node1: 1.0.0 → 1.1.0\nnode2: 1.0.0 → 1.1.0\n"
    cluster.nodes[0].sh("rm -rf /var/tmp/sealift-nodes-*")  # of the one who was killed
    cluster.nodes[1].sh("rm -rf /var/tmp/sealift-nodes-*")
    cluster.assert_all("1.1.0")
    assert "nothing to do" in cluster.command("-u", "-y").stdout
