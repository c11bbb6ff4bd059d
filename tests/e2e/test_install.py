"""A fresh install on a host without a network."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.product import ADMIN_PASSWORD, NOT_STATE, call, log_in, version, wait_for_console
from tests.lab import Host, Lab, Snapshot, Traffic
from tests.lab.command import enter, environment

INSTALL = ["bash", "sealift-installer-1.1.0.bin", "-o"]


@pytest.fixture(scope="module")
def watched(lab: Lab, provided: Snapshot) -> Iterator[tuple[Host, Traffic, dict[str, str], frozenset[str]]]:
    """A host installed while everything that left it was recorded; its repository files and packages before."""
    host = lab.boot("watched", snapshot=provided)
    repositories, packages = host.tree(["/etc/yum.repos.d", "/etc/dnf"]), host.rpm_qa()
    with lab.capture(host) as traffic:
        host.run(INSTALL)
        log_in(host)
        wait_for_console(host)
    yield host, traffic, repositories, packages
    lab.drop(host)


Watched = tuple[Host, Traffic, dict[str, str], frozenset[str]]


def test_the_services_run_and_the_api_answers(watched: Watched) -> None:
    host = watched[0]
    assert host.sh("systemctl is-active sealift-server sealift-console-agent").split() == ["active", "active"]
    assert host.sh("systemctl is-enabled sealift-server").strip() == "enabled"
    assert version(host) == "1.1.0"
    assert host.sh("sealift-ctl status").startswith("Sealift management server 1.1.0")


def test_the_api_is_served_over_tls_and_the_shell_takes_lines(watched: Watched) -> None:
    host = watched[0]
    ca = "/var/lib/sealift/tls/ca.pem"
    host.run(["sealift-cli", "-H", "localhost", "--ca", ca, "GetVersion"])
    shown = host.run(["sealift-server", "--config", "/etc/sealift/server.toml", "show-authority"]).stdout
    assert shown == host.read(ca)
    lines = host.run(["sealift-cli"], input=">>>GetVersion\n>>>QueryHost fields=uuid, name~=x\n").stdout
    assert '"version": "1.1.0"' in lines and '"inventories": []' in lines
    # plain HTTP is for this host alone, whatever the API listens on
    assert host.sh("ss -Hltn 'sport = :8080'").split()[3] == "127.0.0.1:8080"


def test_nothing_tried_to_leave_the_host(watched: Watched) -> None:
    assert watched[1].packets == []


def test_the_hosts_repositories_are_as_they_were(watched: Watched) -> None:
    host, _, repositories, _ = watched
    assert host.tree(["/etc/yum.repos.d", "/etc/dnf"]) == repositories


def test_packages_came_from_the_bundle(watched: Watched) -> None:
    host, _, _, before = watched
    added = {line.rsplit("-", 2)[0] for line in host.rpm_qa() - before}
    assert {"qemu-utils", "sqlite3", "dnsmasq-base"} <= added
    assert before <= host.rpm_qa()


def test_the_console_agent_answers_as_in_the_transcript(watched: Watched) -> None:
    host = watched[0]
    answer = call(host, "QueryConsoleProxyAgent")
    (agent,) = answer["inventories"]
    assert set(agent) == {
        "createDate", "description", "lastOpDate", "managementIp", "state", "status", "type", "uuid",
    }  # fmt: skip
    assert (agent["state"], agent["status"], agent["type"]) == ("Enabled", "Connected", "ManagementServerConsoleProxy")
    again = call(host, "ReconnectConsoleProxyAgent")
    assert again == {"inventory": {agent["uuid"]: True}, "success": True}


def test_images_are_registered_and_the_other_is_said_to_be_elsewhere(watched: Watched) -> None:
    images = {row["name"]: row for row in call(watched[0], "QueryImage")["inventories"]}
    assert images["trial"]["status"] == "Ready"
    assert images["blank-1g"]["status"] == "NotEmbedded"
    path = images["trial"]["url"].removeprefix("file://")
    watched[0].run(["qemu-img", "check", path])
    log = watched[0].sh("cat /var/log/sealift/install-*.log")
    assert "not embedded: blank-1g" in log


def test_the_same_again_does_nothing(watched: Watched) -> None:
    host = watched[0]
    paths, without = ["/etc", "/opt", "/usr/local/bin", "/root/.ssh"], ["/opt/sealift-agents"]
    before, pid = host.tree(paths, without=without), host.sh("systemctl show -P MainPID sealift-server")
    done = host.run(INSTALL)
    assert "nothing to do" in done.stdout
    assert host.tree(paths, without=without) == before
    assert host.sh("systemctl show -P MainPID sealift-server") == pid


def test_the_status_can_be_watched(watched: Watched) -> None:
    looks = ["sealift-ctl", "status", "--watch", "--interval", "0.2"]
    run = watched[0].popen(looks)
    assert run.stdout is not None
    for _ in range(2):
        assert any(line.endswith("sealift-server.service: active\n") for line in iter(run.stdout.readline, ""))
    run.kill(signal.SIGINT, tree=False)
    assert run.finish(60).returncode == 0


def test_what_drifts_is_found_and_put_back(watched: Watched) -> None:
    host = watched[0]
    assert "all as it was installed" in host.run(["sealift-ctl", "verify"]).stdout
    host.sh("systemctl disable -q sealift-server && chmod 777 /usr/local/bin/sealift-ctl")
    done = host.run(["sealift-ctl", "verify"], check=False)
    assert done.returncode == 10
    kinds = [line.split(": ")[:2] for line in done.stdout.splitlines()[:2]]
    assert kinds == [["mode", "/usr/local/bin/sealift-ctl"], ["disabled", "sealift-server.service"]]
    host.sh("echo '# more' >> /opt/sealift/current/venv/bin/sealift-server")
    assert "all as it was installed" in host.run(["sealift-ctl", "verify", "--repair", "-y"]).stdout
    assert version(host) == "1.1.0"


def test_secrets_are_private(watched: Watched) -> None:
    host = watched[0]
    password = host.read(ADMIN_PASSWORD).strip()
    assert len(password) >= 20
    keys = "/var/lib/sealift/keys/id_ed25519 /var/lib/sealift/tls/ca.key"
    assert host.sh(f"stat -c '%a %U' {ADMIN_PASSWORD} {keys}").split("\n")[:3] == [
        "600 root",
        "600 sealift",
        "600 sealift",
    ]
    found = host.run(["grep", "-rlF", "--exclude-dir=proc", "--exclude-dir=sys", password, "/"], check=False).stdout
    assert found.split() == [ADMIN_PASSWORD], "the password lies somewhere else too"
    private = host.sh("sed -n 4p /var/lib/sealift/keys/id_ed25519").strip()
    found = host.run(
        ["grep", "-rlF", private, "/etc", "/opt", "/root", "/tmp", "/usr/local", "/var"], check=False
    ).stdout
    assert found.split() == ["/var/lib/sealift/keys/id_ed25519"]


def test_support_gets_no_secret_even_of_a_broken_install(watched: Watched) -> None:
    host = watched[0]
    password = host.read(ADMIN_PASSWORD).strip()
    host.sh("sealift-ctl stop && cd /var/lib/sealift/installer && cp -a state.json whole && echo '{' > state.json")
    try:
        done = host.run(["sealift-ctl", "collect", "--output", "/root/support.tar.gz"])
    finally:
        host.sh("cd /var/lib/sealift/installer && mv whole state.json && sealift-ctl start")
    assert "secrets removed" in done.stdout
    host.sh("mkdir /root/support && tar -xzf /root/support.tar.gz -C /root/support")
    names = host.sh("cd /root/support/support && find . -type f")
    journal = "units/sealift-server.service.journal.txt"
    for wanted in ("config/server.toml", journal, "host/rpm-qa.txt", "contents.json"):
        assert f"./{wanted}\n" in names
    private = host.sh("sed -n 4p /var/lib/sealift/keys/id_ed25519").strip()
    for secret in (password, private):
        assert host.run(["grep", "-rlF", secret, "/root/support"], check=False).stdout == ""
    host.sh("rm -r /root/support /root/support.tar.gz")


def test_a_reboot_brings_the_product_back(watched: Watched) -> None:
    host = watched[0]
    host.power_off()
    host.boot_again()
    host.sh("for i in $(seq 600); do systemctl is-active -q sealift-server && exit 0; sleep 0.1; done; exit 1")
    assert version(host) == "1.1.0"


def test_another_host_gets_its_agent(lab: Lab, watched: Watched) -> None:
    host, password = watched[0], "only for this test 4711"
    other = lab.boot("compute", root_password=password)
    try:
        host.write("/root/other-password", password + "\n", 0o600)
        by_password = ("username=root", "password-file=/root/other-password")
        with lab.capture(host, allow=[other]) as traffic:
            answer = call(host, "AddKVMHost", "name=compute", f"managementIp={other.address}", *by_password)
        assert answer["inventory"]["status"] == "Connected"
        assert traffic.packets == []
        assert other.sh("systemctl is-active sealift-host-agent").strip() == "active"
        public = host.read("/var/lib/sealift/keys/id_ed25519.pub").strip()
        assert public in other.read("/root/.ssh/authorized_keys")
        (row,) = call(host, "QueryHost", f"managementIp={other.address}")["inventories"]
        assert row["totalMemoryCapacity"] > 0
        pid = other.sh("systemctl show -P MainPID sealift-host-agent")
        assert call(host, "ReconnectHost", f"uuid={row['uuid']}") == {"success": True}
        assert other.sh("systemctl show -P MainPID sealift-host-agent") == pid, "an unchanged agent was deployed again"
    finally:
        lab.drop(other)


def test_a_backup_makes_another_host_the_same(lab: Lab, provided: Snapshot, watched: Watched) -> None:
    host, password = watched[0], watched[0].read(ADMIN_PASSWORD)
    call(host, "CreateZone", "name=of-the-backup")
    said = host.run(["sealift-ctl", "backup", "/root/sealift.backup"]).stdout
    key = next(word for word in said.split() if word.startswith("SHA256:")).rstrip(".")
    content = host.run(["base64", "-w0", "/root/sealift.backup"]).stdout
    other = lab.boot("restored", snapshot=provided)
    try:
        other.run(INSTALL)
        other.write("/root/sealift.base64", content, 0o600)
        other.sh("umask 077 && base64 -d /root/sealift.base64 > /root/sealift.backup")
        refused = other.run(["sealift-ctl", "restore", "/root/sealift.backup", "-y"], check=False)
        assert refused.returncode == 11 and key in refused.stderr
        assert other.read(ADMIN_PASSWORD) != password
        other.run(["sealift-ctl", "restore", "/root/sealift.backup", "-y", "--key", key])
        assert other.read(ADMIN_PASSWORD) == password
        log_in(other)
        assert "of-the-backup" in {row["name"] for row in call(other, "QueryZone")["inventories"]}
        for path in ("/var/lib/sealift/keys/id_ed25519.pub", "/var/lib/sealift/tls/ca.pem"):
            assert other.read(path) == host.read(path)
        public = host.read("/var/lib/sealift/keys/id_ed25519.pub").split()[:2]
        assert other.read("/root/.ssh/authorized_keys").split()[:2] == public
        assert "all as it was installed" in other.run(["sealift-ctl", "verify"]).stdout
    finally:
        lab.drop(other)
        host.sh("rm /root/sealift.backup")


def test_no_secret_is_in_an_argument_list_and_every_host_has_its_own(
    bare: Host, watched: Watched, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    strace: list[str | Path] = ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "4096", "-e", "trace=execve", "-o", trace]
    subprocess.run([*strace, *enter(bare.container.leader, INSTALL)], check=True, env=environment(None))
    assert "set-admin-password" in trace.read_text()
    assert bare.read(ADMIN_PASSWORD).strip() not in trace.read_text()
    for path in (ADMIN_PASSWORD, "/var/lib/sealift/keys/id_ed25519.pub"):
        assert bare.read(path) != watched[0].read(path)


def test_the_operators_choices_and_uninstall_leaves_the_host_as_it_was(bare: Host) -> None:
    paths = ["/etc", "/usr", "/opt", "/root", "/srv", "/var/lib"]
    logs_of_tools = ["/var/lib/rpm", "/var/lib/dnf", "/var/lib/systemd", "/root/.sealift"]
    # packages leave their users behind, and Debian's a folder that none of them owns
    of_packages = ["/etc/passwd", "/etc/shadow", "/usr/share/dnsmasq-base"]
    without = [*NOT_STATE, *logs_of_tools, *of_packages, "/etc/sealift", "/usr/local/bin", "/root/answers.toml"]
    before, packages = bare.tree(paths, without=without), bare.rpm_qa()

    bare.write("/root/answers.toml", 'admin_password = "a password of \\"my\\" own"\nlisten_port = 8088\n', 0o600)
    bare.run([*INSTALL, "--config", "answers.toml", "-r", "/srv/my product", "-z"])
    assert not bare.exists(ADMIN_PASSWORD)
    assert bare.exists("/srv/my product/current/venv/bin/sealift-server")
    assert not bare.exists("/opt/sealift")
    assert bare.run(["systemctl", "is-active", "sealift-server"], check=False).stdout.strip() == "inactive"

    bare.run(["sealift-ctl", "start"])
    login = ["sealift-cli", "-p", "8088", "LogInByAccount", "accountName=admin"]
    assert bare.run(login, input="password\n", check=False).returncode == 3
    assert bare.run(login, input='a password of "my" own\n').returncode == 0
    wait_for_console(bare, "-p", "8088")
    bare.run(["sealift-ctl", "stop"])
    assert bare.run(["systemctl", "is-active", "sealift-server"], check=False).stdout.strip() == "inactive"

    bare.run(["sealift-ctl", "uninstall", "--purge"], tty=True, input="y\n")
    assert bare.rpm_qa() == packages
    after = bare.tree(paths, without=without)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    # Python writes its caches into packages of the host
    assert not {path for path in changed if "__pycache__" not in path}
    assert bare.run(["id", "sealift"], check=False).returncode == 1
    assert not bare.exists("/etc/sealift")
    assert bare.sh("ls /usr/local/bin") == ""
