"""What is decided about a host, what travels to it, and one look over a real sshd."""

import configparser
import getpass
import io
import re
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

import pytest

from management import deadlines
from management.deploy.decision import Facts, decide, parse_facts, probe_command
from management.deploy.deployer import PLAYS, Deployer, DeployError, Places
from management.deploy.desired import Agent, Desired, PackageMissingError, Target, describe, write_archive
from management.deploy.keys import agent_token
from management.deploy.packages import KeysMissingError, PackageSource
from management.deploy.remote import Remote, RemoteError, failure_of
from management.effects import ProcessError, Processes
from tests.unit.management.cloud import eventually
from tests.unit.management.patience import PATIENCE

AGENT = Agent("host", 7070, "/host/echo", stores=True, outlived=True)
TOKEN = "t" * 43
AUTHORITY = "-----BEGIN CERTIFICATE-----\n"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "agents" / "host"
    folder.mkdir(parents=True)
    for name in ("pip-26.3-py3-none-any.whl", "sealift_host_agent-1.0.0-py3-none-any.whl", "requirements.txt"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    file.write_text(AUTHORITY)
    return file


@pytest.fixture
def desired(packages: Path) -> Desired:
    return describe(AGENT, "192.0.2.7", packages, TOKEN, AUTHORITY)


def test_the_fingerprint_covers_everything(packages: Path, desired: Desired) -> None:
    def again(address: str = "192.0.2.7", token: str = TOKEN, authority: str = AUTHORITY) -> str:
        return describe(AGENT, address, packages, token, authority).fingerprint

    assert again() == desired.fingerprint
    others = {again(address="192.0.2.8"), again(token="other"), again(authority="other")}
    (packages / "sealift_host_agent-1.0.0-py3-none-any.whl").write_text("newer")
    others.add(again())
    assert len(others - {desired.fingerprint}) == 4


def test_the_release_may_bring_its_own_python(packages: Path, desired: Desired) -> None:
    assert desired.python == "python3"
    (packages / "python.tar.gz").write_text("an interpreter")
    brings = describe(AGENT, "192.0.2.7", packages, TOKEN, AUTHORITY)
    assert brings.python == f"{brings.release}/python/bin/python3"
    assert "wheels/python.tar.gz" in dict(brings.files)
    assert brings.fingerprint != desired.fingerprint


def test_units_allow_what_their_agents_do(packages: Path, desired: Desired, tmp_path: Path) -> None:
    lines = desired.unit.splitlines()
    assert {"KillMode=process", "ProtectSystem=full"} <= set(lines), "VMs outlive it, and lie where the operator says"
    plain = describe(replace(AGENT, stores=False, outlived=False), "192.0.2.7", packages, TOKEN, AUTHORITY)
    assert "ProtectSystem=strict" in plain.unit
    assert "KillMode" not in plain.unit
    assert plain.fingerprint != desired.fingerprint
    unit = tmp_path / desired.agent.unit
    for text in (desired.unit, plain.unit):
        # As an agent that is there: only what the unit says is looked at.
        unit.write_text(re.sub(r"(?m)^ExecStart=.*", "ExecStart=/bin/true", text))
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
        assert (done.returncode, str(unit) in done.stderr) == (0, False), done.stderr


def test_an_incomplete_release_is_named(packages: Path) -> None:
    (packages / "requirements.txt").unlink()
    with pytest.raises(PackageMissingError, match=r"requirements\.txt"):
        describe(AGENT, "192.0.2.7", packages, TOKEN, AUTHORITY)


def test_the_archive_keeps_the_token_private(desired: Desired) -> None:
    stream = io.BytesIO()
    write_archive(desired, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        modes = {entry.name: entry.mode for entry in archive}
    release = desired.fingerprint
    assert modes.pop(f"{release}/token") == 0o600
    assert set(modes.values()) == {0o644}
    assert f"{release}/agent.json" in modes
    assert f"{release}/sealift-host-agent.service" in modes
    assert "ExecStart=/opt/sealift-agents/host/current/venv/bin/sealift-host-agent --config" in desired.unit
    assert TOKEN not in desired.config
    assert TOKEN not in probe_command(desired)


@pytest.fixture
def source(tmp_path: Path) -> PackageSource:
    for name in ("RPM-GPG-KEY-sealift", "base-0.asc"):
        (tmp_path / name).write_text(name)
    patterns = (str(tmp_path / "RPM-GPG-KEY-*"), str(tmp_path / "*.asc"))
    return PackageSource("http://192.0.2.1:8079", patterns, ("qemu-utils",))


def test_packages_travel_with_what_they_are_checked_against(
    packages: Path, desired: Desired, source: PackageSource
) -> None:
    wants = describe(AGENT, "192.0.2.7", packages, TOKEN, AUTHORITY, source=source)
    assert wants.fingerprint != desired.fingerprint
    stream = io.BytesIO()
    write_archive(wants, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        names = [entry.name for entry in archive if entry.name.startswith("packages/")]
        text = archive.extractfile("packages/sealift.repo")
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text.read().decode() if text else "")
    assert names == ["packages/sealift.repo", "packages/0-RPM-GPG-KEY-sealift", "packages/1-base-0.asc"]
    (repository,) = (parser[section] for section in parser.sections())
    assert repository["baseurl"] == "http://192.0.2.1:8079"
    assert (repository["gpgcheck"], repository["repo_gpgcheck"], repository["skip_if_unavailable"]) == ("1", "1", "0")
    keys = [f"file://{AGENT.reposdir}/{Path(name).name}" for name in names[1:]]
    assert repository["gpgkey"].split() == keys


def test_packages_without_keys_are_not_taken(packages: Path, source: PackageSource, tmp_path: Path) -> None:
    (tmp_path / "RPM-GPG-KEY-sealift").unlink()
    (tmp_path / "base-0.asc").unlink()
    with pytest.raises(KeysMissingError, match="RPM-GPG-KEY"):
        describe(AGENT, "192.0.2.7", packages, TOKEN, AUTHORITY, source=source)


@pytest.mark.parametrize(
    ("url", "address", "reaches"),
    [
        ("http://192.0.2.1:8079", "192.0.2.7", True),
        ("http://127.0.0.1:8079", "192.0.2.7", False),
        ("http://127.0.0.1:8079", "127.0.0.1", True),
        ("http://[::1]:8079", "2001:db8::7", False),
        ("http://localhost:8079", "192.0.2.7", False),
        ("http://packages.example:8079", "192.0.2.7", True),
    ],
)
def test_what_is_on_loopback_is_for_this_host_only(url: str, address: str, reaches: bool) -> None:
    assert PackageSource(url, (), ()).reaches(address) is reaches


@pytest.mark.parametrize(
    ("change", "health", "deploy", "said"),
    [
        ({}, None, False, "is deployed and the agent answers"),
        ({"deployed": ""}, None, True, "no deployment"),
        ({"deployed": "0" * 32}, None, True, "wanted is"),
        ({"python": "3.12.1"}, None, True, "has Python 3.11.2"),
        ({"venv_python": ""}, None, True, "has Python none"),
        ({}, "refused", True, "does not answer: refused"),
    ],
)
def test_decisions(desired: Desired, change: dict[str, str], health: str | None, deploy: bool, said: str) -> None:
    facts = replace(Facts(desired.fingerprint, "3.11.2", "3.11.2"), **change)
    decision = decide(desired, facts, health)
    assert decision.deploy is deploy
    assert said in decision.reason


def test_facts_ignore_banners() -> None:
    assert parse_facts("Welcome!\ndeployed=abc\npython=3.11.2\nvenv=\n") == Facts("abc", "3.11.2", "")


def test_the_token_is_made_once_and_private(tmp_path: Path) -> None:
    token = agent_token(tmp_path)
    assert agent_token(tmp_path) == token
    assert len(token) >= 40
    assert (tmp_path / "agent-token").stat().st_mode & 0o777 == 0o600


def test_ansible_failures_become_one_line() -> None:
    output = 'TASK [One] ***\nok: [target]\nTASK [Two] ***\nfatal: [target]: FAILED! => {"msg": "no", "stderr": "x"}\n'
    assert failure_of(output, "") == "task [Two] failed: no / x"
    assert failure_of("", "broken inventory") == "broken inventory"


def test_a_closing_server_ends_its_children() -> None:
    processes = Processes()
    outcome: list[str] = []

    def wait() -> None:
        try:
            processes.run(["sleep", "infinity"])
        except ProcessError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    eventually(lambda: processes._running != set(), "it runs")
    processes.close()
    thread.join()
    assert outcome == ["sleep was stopped because the server is stopping"]
    with pytest.raises(ProcessError, match="was not started"):
        processes.run(["true"])


@dataclass
class Sshd:
    """A real sshd on loopback with keys of its own; nothing outside of its folder is used or changed."""

    folder: Path
    port: int

    def prepare(self, authorized: Path) -> None:
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nPidFile none\n"
            f"AuthorizedKeysFile {authorized}\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)

    def make_key(self) -> None:
        (self.folder / "host").unlink(missing_ok=True)
        keygen(self.folder / "host")

    @contextmanager
    def running(self) -> Iterator[None]:
        program = shutil.which("sshd", path="/usr/sbin:/usr/bin")
        assert program, "openssh-server is needed"
        argv = [program, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (
            (self.folder / "log").open("ab") as log,
            subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log) as daemon,
        ):
            try:
                self._wait()
                yield
            finally:
                daemon.terminate()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())


def keygen(file: Path) -> None:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    keygen(folder / "id_ed25519")
    return folder


@pytest.fixture
def sshd(tmp_path: Path, keys: Path, port: int) -> Sshd:
    folder = tmp_path / "sshd"
    folder.mkdir()
    made = Sshd(folder, port)
    made.prepare(keys / "id_ed25519.pub")
    made.make_key()
    return made


def test_host_keys_are_pinned_at_first_contact(sshd: Sshd, keys: Path, tmp_path: Path, desired: Desired) -> None:
    remote = Remote(Processes(), keys, tmp_path, 60)
    target = Target("127.0.0.1", sshd.port, getpass.getuser())
    with sshd.running():
        facts = parse_facts(remote.probe(target, probe_command(desired)))
        assert facts.deployed == ""
        assert facts.python.startswith("3.")
    assert f"[127.0.0.1]:{sshd.port}" in (keys / "known_hosts").read_text()
    sshd.make_key()
    with sshd.running(), pytest.raises(RemoteError, match=r"(?i)host key"):
        remote.probe(target, "true")


def test_a_refused_key_is_a_deploy_error(
    sshd: Sshd, keys: Path, packages: Path, tmp_path: Path, authority: Path
) -> None:
    for file in keys.iterdir():
        file.unlink()
    (sshd.folder / "sshd_config").write_text(
        (sshd.folder / "sshd_config").read_text().replace("AuthorizedKeysFile", "AuthorizedKeysFile none #")
    )
    keygen(keys / "id_ed25519")
    deployer = Deployer(Processes(), Places(packages.parent, keys, tmp_path, authority), 60)
    target = Target("127.0.0.1", sshd.port, getpass.getuser())
    with sshd.running(), pytest.raises(DeployError, match="Permission denied"):
        deployer.ensure(AGENT, target)


def test_a_host_password_is_in_no_argv_and_no_file(
    sshd: Sshd, keys: Path, packages: Path, tmp_path: Path, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, wrapper = tmp_path / "said", tmp_path / "programs" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ > {said}\nexec {shutil.which("ssh")} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=":")
    config = sshd.folder / "sshd_config"
    config.write_text(config.read_text().replace("PasswordAuthentication no", "PasswordAuthentication yes"))
    deployer = Deployer(Processes(), Places(packages.parent, keys, tmp_path, authority), 60)
    password = token_hex(12)
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                # Processes end while they are looked at.
                with suppress(OSError):
                    words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                    program = words.split(b"\0")[0].decode(errors="replace")
                    seen.add(f"{'LEAK' if password.encode() in words else 'clean'} {Path(program).name}")

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with sshd.running(), pytest.raises(DeployError, match="Permission denied"):
            deployer.authorize(Target("127.0.0.1", sshd.port, getpass.getuser()), password)
    finally:
        done.set()
        watcher.join()
    assert b"PATH=" in said.read_bytes(), "what ssh was given is among the files"
    assert not [entry for entry in seen if entry.startswith("LEAK")]
    left = [file for file in tmp_path.rglob("*") if file.is_file() and password.encode() in file.read_bytes()]
    assert left == []


def test_an_unreachable_host_is_a_deploy_error(
    keys: Path, packages: Path, tmp_path: Path, authority: Path, port: int
) -> None:
    deployer = Deployer(Processes(), Places(packages.parent, keys, tmp_path, authority), 60)
    with pytest.raises(DeployError, match="Connection refused"):
        deployer.ensure(AGENT, Target("127.0.0.1", port, "root"))
    with pytest.raises(DeployError, match=r"authorize\.yml on 127\.0\.0\.1"):
        deployer.authorize(Target("127.0.0.1", port, "root"), "secret")
    left = [file for file in tmp_path.rglob("*") if file.is_file() and b"secret" in file.read_bytes()]
    assert left == []


def test_a_deployment_waits_for_a_place_as_long_as_its_call_may_take(tmp_path: Path) -> None:
    for name in ("id_ed25519", "id_ed25519.pub"):
        (tmp_path / name).write_text("ssh-ed25519 AAAA sealift\n")
    deployer = Deployer(Processes(), Places(tmp_path, tmp_path, tmp_path, tmp_path / "ca.pem"), 10)
    for _ in range(PLAYS):
        assert deployer._plays.acquire(blocking=False)
    with deadlines.within(0.05), pytest.raises(DeployError, match=r"took all the time that there was for 192\.0\.2\.1"):
        deployer.authorize(Target("192.0.2.1", 22, "root"), "secret")
    deployer._plays.release()
    with deadlines.within(0.05), pytest.raises(DeployError) as raised:
        deployer.authorize(Target("192.0.2.1", 22, "root"), "secret")
    assert "took all the time" not in str(raised.value)
    assert deployer._plays.acquire(blocking=False), "the place is free again"
