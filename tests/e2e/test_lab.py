"""The lab keeps its promises: hosts boot, signed packages install, nothing gets out, nothing stays behind."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Cache, Host, Lab, LabError, cgroups, repository, root
from tests.lab.lab import clear_leftovers

pytestmark = pytest.mark.lab

SSH = ("ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.open() as opened:
        yield opened


@pytest.fixture(scope="module")
def password() -> str:
    return secrets.token_urlsafe(12)


@pytest.fixture(scope="module")
def pair(lab: Lab, password: str) -> tuple[Host, Host]:
    first, second = lab.boot_all("first", "second", root_password=password)
    return first, second


def lab_repository(host: Host, folder: Path, *, name: str = "lab") -> list[str]:
    """Copy a repository into the host; the options with which dnf there uses that one alone, checking signatures."""
    host.put(folder, f"/srv/{name}")
    lines = [f"[{name}]", f"name={name}", f"baseurl=file:///srv/{name}", "enabled=0", "gpgcheck=1", "repo_gpgcheck=1"]
    lines += [f"gpgkey=file:///srv/{name}/RPM-GPG-KEY-lab", "skip_if_unavailable=0", ""]
    host.write(f"/srv/reposdir/{name}.repo", "\n".join(lines))
    return ["dnf", "-y", "-q", "--setopt=reposdir=/srv/reposdir", "--disablerepo=*", f"--enablerepo={name}"]


def test_hosts_are_up_and_are_bare(pair: tuple[Host, Host]) -> None:
    for host in pair:
        assert host.run(["hostname"]).stdout.strip() == host.name
        assert host.run(["systemctl", "is-system-running"]).stdout.strip() == "running"
        for tool in ("dpkg", "apt-get", "yum", "qemu-img", "sqlite3", "dnsmasq"):
            assert host.run(["which", tool], check=False).returncode == 1, tool
    keys = {host.read("/etc/ssh/ssh_host_ed25519_key.pub").split()[1] for host in pair}
    assert len(keys) == 2


def test_baseline_is_what_is_installed(pair: tuple[Host, Host]) -> None:
    lines = (root.root(Cache()) / root.BASELINE).read_text().splitlines()
    assert lines == sorted(lines)
    assert frozenset(lines) == pair[0].rpm_qa()


def test_what_installers_need_is_there(pair: tuple[Host, Host]) -> None:
    tools = "useradd runuser sha256sum tar gzip od dd tail head systemctl journalctl ssh-keygen"
    pair[0].sh(f"for tool in {tools}; do command -v $tool || exit 1; done")
    pair[0].sh("python3 -m venv --without-pip /opt/venv && /opt/venv/bin/python -c 'import sqlite3, ssl, ctypes, venv'")
    pair[0].sh(
        "useradd --system --home-dir /var/lib/x --shell /usr/sbin/nologin x && runuser -u x -- id -un && userdel x"
    )


def test_ssh_by_password(lab: Lab, pair: tuple[Host, Host], password: str) -> None:
    first, second = pair
    target = f"root@{second.address}"
    login = ["sshpass", "-d", "0", *SSH, "-o", "PubkeyAuthentication=no", target, "hostname"]
    assert lab.run(login, input=password + "\n").stdout.strip() == "second"
    assert lab.run(login, input="wrong\n", check=False).returncode == 5
    assert first.run([*SSH, "-o", "BatchMode=yes", target, "true"], check=False).returncode == 255
    first.sh("ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
    second.write("/root/.ssh/authorized_keys", first.read("/root/.ssh/id_ed25519.pub"), 0o600)
    assert first.run([*SSH, "-o", "BatchMode=yes", target, "hostname"]).stdout.strip() == "second"


def test_capture_shows_what_leaves(lab: Lab, pair: tuple[Host, Host]) -> None:
    first, second = pair
    with lab.capture(first, allow=[second]) as traffic:
        first.run(["ping", "-c1", second.address])
        first.run(["python3", "-c", "import socket; socket.create_server(('127.0.0.1', 4000))"])
    assert traffic.packets == []
    assert traffic.seen > 0

    connect = "import socket; socket.create_connection(('192.0.2.1', 443), 0.5)"
    with lab.capture(first) as traffic:
        assert first.run(["getent", "hosts", "example.org"], check=False).returncode != 0
        assert first.run(["python3", "-c", connect], check=False).returncode != 0
        assert first.run(["python3", "-c", connect.replace("192.0.2.1", "10.77.0.99")], check=False).returncode != 0
    attempts = {(packet.protocol, packet.target, packet.port) for packet in traffic.packets}
    assert {("udp", root.GATEWAY, 53), ("tcp", "192.0.2.1", 443), ("arp", "10.77.0.99", None)} <= attempts


def test_cut_off(lab: Lab, pair: tuple[Host, Host]) -> None:
    first, second = pair
    first.cut()
    assert second.run(["ping", "-c1", "-W1", first.address], check=False).returncode != 0
    first.uncut()
    assert second.run(["ping", "-c1", "-w30", first.address]).returncode == 0


def test_a_site_answers_by_name_with_ranges(lab: Lab, pair: tuple[Host, Host], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    fetch = """
        import json, sys, urllib.request
        request = urllib.request.Request(sys.argv[1], headers=json.loads(sys.argv[2]))
        with urllib.request.urlopen(request, timeout=5) as answer:
            print(answer.status, answer.read().decode())
    """
    argv = ["python3", "-c", textwrap.dedent(fetch), "http://mirror.example/file"]
    before = pair[0].read("/etc/hosts")
    with lab.serve(tmp_path, names=["mirror.example"], hosts=[pair[0]]) as site:
        assert pair[0].run([*argv, "{}"]).stdout == "200 0123456789\n"
        assert pair[0].run([*argv, json.dumps({"Range": "bytes=3-"})]).stdout == "206 3456789\n"
        assert site.requests == ["GET mirror.example /file"] * 2
    assert pair[0].read("/etc/hosts") == before


def test_signed_packages_install_and_upgrade(lab: Lab) -> None:
    host = lab.boot("packages")
    before = host.rpm_qa()
    dnf = lab_repository(host, repository.repository(Cache()))
    host.run([*dnf, "install", "qemu-utils", "sqlite3", "dnsmasq-base"])
    assert len(host.rpm_qa() - before) > 3
    host.run(["qemu-img", "--version"])
    agents = repository.agent_repositories(Cache())
    for version in ("1.0", "1.1"):
        dnf = lab_repository(host, agents / version, name=f"agent-{version}")
        host.run([*dnf, "install" if version == "1.0" else "upgrade", "sealift-demo-agent"])
        assert host.run(["systemctl", "is-active", "sealift-demo-agent"]).stdout.strip() == "active"
        assert f"sealift-demo-agent-0:{version}-1.noarch" in host.rpm_qa()

    host.sh("echo >> /srv/agent-1.0/repodata/repomd.xml; dnf -q clean all")
    dnf[-1] = "--enablerepo=agent-1.0"
    refused = host.run([*dnf, "downgrade", "sealift-demo-agent"], check=False)
    assert refused.returncode != 0
    assert "signature" in refused.stderr.lower()
    lab.drop(host)


def test_a_terminal(pair: tuple[Host, Host]) -> None:
    script = ["sh", "-c", "test -t 0 && test -t 1 && read -r word && echo got $word >&2"]
    assert "got this" in pair[0].run(script, tty=True, input="this\n").stdout
    assert pair[0].run(script, input="this\n", check=False).returncode == 1


def test_environment_is_clean(pair: tuple[Host, Host]) -> None:
    names = {line.split("=")[0] for line in pair[0].run(["env"], env={"EXTRA": "1"}).stdout.splitlines()}
    assert names == {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TERM", "EXTRA"}


def test_kill_in_the_middle_reaches_the_host(pair: tuple[Host, Host]) -> None:
    command = pair[0].popen(["sh", "-c", "echo started; sleep 4711 & sleep 4712; wait"])
    assert command.stdout is not None
    assert command.stdout.readline() == "started\n"
    time.sleep(0.1)
    command.kill(signal.SIGKILL)
    assert command.wait(60) != 0
    assert pair[0].run(["pgrep", "-f", "sleep 471[12]"], check=False).stdout == ""


def test_a_kill_reaches_what_is_started_meanwhile(pair: tuple[Host, Host]) -> None:
    for _ in range(10):
        command = pair[0].popen(["sh", "-c", "echo started; while :; do sleep 4714 & done"])
        assert command.stdout is not None
        assert command.stdout.readline() == "started\n"
        command.kill()
        assert command.wait(60) != 0
        assert pair[0].run(["pgrep", "-f", "sleep 471[4]"], check=False).stdout == ""


def test_too_slow_is_killed(pair: tuple[Host, Host]) -> None:
    with pytest.raises(LabError, match="still running"):
        pair[0].run(["sleep", "4713"], timeout=2)
    assert pair[0].run(["pgrep", "-f", "sleep 471[3]"], check=False).stdout == ""


def test_a_full_disk_is_real(lab: Lab) -> None:
    host = lab.boot("small", upper_size="64M")
    failed = host.run(["dd", "if=/dev/zero", "of=/opt/filler", "bs=1M", "count=200"], check=False)
    assert "No space left" in failed.stderr
    host.power_cut()
    host.boot_again()
    host.run(["rm", "/opt/filler"])
    host.write("/opt/now", "it fits")
    lab.drop(host)


def test_power_cut_reset_and_snapshot(lab: Lab) -> None:
    host = lab.boot("power")
    host.write("/etc/kept", "yes")
    host.sh("sync; systemd-run --quiet --unit=sleeper sleep infinity")
    host.power_cut()
    assert not host.running
    with pytest.raises(LabError, match="is off"):
        host.run(["true"])
    host.boot_again()
    assert host.read("/etc/kept") == "yes"
    assert host.run(["systemctl", "is-active", "sleeper"], check=False).stdout.strip() == "inactive"

    before = host.tree_hash(["/etc", "/opt"], without=["/etc/hosts"])
    snapshot = host.snapshot()
    twin = lab.boot("twin", snapshot=snapshot)
    assert twin.read("/etc/kept") == "yes"
    host.sh("rm /etc/kept; chmod 700 /opt; echo x >>/etc/hosts")
    changed = host.tree(["/etc", "/opt"], without=["/etc/hosts"])
    assert "/etc/kept" not in changed
    assert changed["/opt"].startswith("folder 0700")
    host.restore(snapshot)
    assert host.tree_hash(["/etc", "/opt"], without=["/etc/hosts"]) == before
    host.reset()
    assert not host.exists("/etc/kept")
    lab.drop(host)
    lab.drop(twin)


def test_files_travel(pair: tuple[Host, Host], tmp_path: Path) -> None:
    (tmp_path / "folder/sub").mkdir(parents=True)
    (tmp_path / "folder/sub/raw").write_bytes(bytes(range(256)))
    pair[0].put(tmp_path / "folder", "/srv/folder")
    pair[0].get("/srv/folder/sub/raw", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == bytes(range(256))
    pair[0].put(tmp_path / "back", "/srv/secret", mode=0o600)
    assert pair[0].tree(["/srv/secret"])["/srv/secret"].startswith("file 0600 0:0 ")


def left_of_this_process() -> tuple[list[str], list[str]]:
    """The runs of this process that have cgroups, and the mounts that any run has made where we see them."""
    runs = [name for name in cgroups.runs() if name.startswith(f"{os.getpid()}-")]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return runs, [line for line in mounts if str(Cache().folder) in line]


def test_two_labs_at_once_and_a_failure_leave_nothing(lab: Lab) -> None:
    before = left_of_this_process()
    with pytest.raises(ZeroDivisionError), Lab.open() as other:
        other.boot("first").popen(["sleep", "infinity"])
        assert len(left_of_this_process()[0]) == len(before[0]) + 1
        _ = 1 / 0
    assert left_of_this_process() == before
    assert before[1] == []


def is_running(pid: int) -> bool:
    """Whether a process is there and not just waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_a_killed_run_left_is_cleared() -> None:
    lines = [
        "import time",
        "from tests.lab import Lab",
        "with Lab.open() as lab:",
        "    lab.boot('x')",
        "    print('up', flush=True)",
        "    time.sleep(60)",
    ]
    argv, project = [sys.executable, "-c", "\n".join(lines)], Path(__file__).parents[2]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=project) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "up\n"
        left = [name for name in cgroups.runs() if name.startswith(f"{run.pid}-")]
        pids = cgroups.pids(left[0])
        assert len(pids) > 3
        run.kill()
    clear_leftovers(Cache().folder / "runs")
    assert not any(is_running(pid) for pid in pids)
    assert left[0] not in cgroups.runs()
    assert not (Cache().folder / "runs" / left[0]).exists()
