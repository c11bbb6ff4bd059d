"""An upgrade, going back after it succeeded, going forward again, and what an upgrade refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.conftest import Bundles
from tests.e2e.product import ADMIN_PASSWORD, call, log_in, version, wait_for_console
from tests.e2e.state import OWN, State, look, look_at_files, settle
from tests.lab import Host, Lab, Snapshot
from tests.lab.process import Completed

INSTALL = ["bash", "sealift-installer-1.0.0.bin", "-o"]
UPGRADE = ["bash", "sealift-installer-1.1.0.bin", "-u"]
CONFIG = "/etc/sealift/server.toml"
UNITS = ("sealift-server.service", "sealift-repository.service")
PASSWORD = "chosen by the administrator 0815"
_OTHERS = "of the other host 4711"
# how long the API does not answer, as a client on the host sees it
_POLL = """
import os, pathlib, time, urllib.request
last, worst = time.monotonic(), 0.0
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:8080/healthz", timeout=1).read()
        now = time.monotonic()
        worst, last = max(worst, now - last), now
        pathlib.Path("/run/downtime.new").write_text(str(worst))
        os.replace("/run/downtime.new", "/run/downtime")
    except OSError:
        pass
    time.sleep(0.05)
"""


@dataclass
class Turn:
    """The host after one turn of its story."""

    said: str
    version: str
    state: State
    config: str
    status: dict[str, Any]
    releases: dict[str, dict[str, Any]]
    hosts: list[dict[str, Any]]
    logins: dict[str, int]
    texts: str


@dataclass
class Story:
    """A host in the hands of an administrator, from release to release."""

    host: Host
    other: Host
    turns: dict[str, Turn] = field(default_factory=dict)
    console: dict[str, Any] = field(default_factory=dict)
    reconnected: dict[str, Any] = field(default_factory=dict)
    downtime: float = 0.0

    def note(self, name: str, done: Completed) -> None:
        """Look at everything now, and keep it under `name`."""
        host = self.host
        passwords = {"first": host.read(ADMIN_PASSWORD).strip(), "chosen": PASSWORD}
        self.turns[name] = Turn(
            said=done.stdout + done.stderr,
            version=version(host),
            state=look(host),
            config=host.read(CONFIG),
            status=json.loads(host.sh("sealift-ctl status --json")),
            releases={row["version"]: row for row in json.loads(host.sh("sealift-ctl releases --json"))},
            logins={which: _log_in_with(host, password) for which, password in passwords.items()},
            hosts=call(host, "QueryHost")["inventories"],
            texts=host.sh("sealift-ctl status; sealift-ctl releases"),
        )


def _log_in_with(host: Host, password: str) -> int:
    words = ["sealift-cli", "LogInByAccount", "accountName=admin"]
    return host.run(words, input=f"{password}\n", check=False).returncode


def _use(story: Story) -> None:
    """What an administrator does with 1.0.0."""
    host = story.host
    log_in(host)
    host.write("/root/other", _OTHERS + "\n", 0o600)
    address = f"managementIp={story.other.address}"
    call(host, "AddKVMHost", "name=one", address, "username=root", "password-file=/root/other")
    serve = ["runuser", "-u", "sealift", "--", "sealift-server", "--config", CONFIG]
    host.run([*serve, "set-admin-password"], input=PASSWORD + "\n")
    edited = host.read(CONFIG).replace("# session_seconds = 3600\n", "session_seconds = 600  # ours\n")
    host.write(CONFIG, edited + '\nlog_level = "WARNING"  # ours too\n', 0o640)
    host.sh("chgrp sealift /etc/sealift/server.toml; systemctl restart sealift-server")


@pytest.fixture(scope="module")
def story(lab: Lab, installed: Snapshot) -> Iterator[Story]:
    """1.0.0 in use, -u to 1.1.0, rollback with the network cut and the bundles gone, and forward again."""
    host, other = lab.boot("managed", snapshot=installed), lab.boot("managed-kvm", root_password=_OTHERS)
    settle(host)
    story = Story(host, other)
    _use(story)
    story.note("before", host.run(["sealift-ctl", "status"]))
    poll = host.popen(["python3", "-c", _POLL])
    upgraded = host.run(UPGRADE)
    story.downtime = float(host.read("/run/downtime"))
    poll.kill()
    story.note("upgraded", upgraded)
    story.console = wait_for_console(host)
    story.reconnected = call(host, "ReconnectHost", f"uuid={story.turns['before'].hosts[0]['uuid']}")
    host.cut()
    host.sh("rm sealift-installer-*.bin")
    story.note("back", host.run(["sealift-ctl", "rollback", "-y"]))
    story.note("forward", host.run(["sealift-ctl", "rollback", "--to", "1.1.0", "-y"]))
    host.uncut()
    yield story
    lab.drop(host)
    lab.drop(other)


def _names(turn: Turn) -> set[str]:
    """Paths outside of the release folders."""
    return {path for path in turn.state.tree if not path.startswith("/opt/sealift/releases/")}


def test_the_upgrade_keeps_what_is_the_operators(story: Story) -> None:
    before, after = story.turns["before"], story.turns["upgraded"]
    assert (before.version, after.version) == ("1.0.0", "1.1.0")
    assert after.logins == before.logins == {"first": 3, "chosen": 0}
    assert {line for line in before.config.splitlines() if "# ours" in line} <= set(after.config.splitlines())
    assert after.state.rows["AccountVO"] == before.state.rows["AccountVO"]
    assert after.state.rows["ImageEO"] == before.state.rows["ImageEO"]
    assert [host["uuid"] for host in after.hosts] == [host["uuid"] for host in before.hosts]
    private = {path: line for path, line in before.state.tree.items() if "/keys/id_" in path or "/root/.ssh" in path}
    assert len(private) >= 4
    assert private.items() <= after.state.tree.items()
    assert before.state.packages == after.state.packages


def test_the_upgrade_migrates_for_real(story: Story) -> None:
    before, after = story.turns["before"].state, story.turns["upgraded"].state
    assert "lastSeenDate" not in before.schema and "lastSeenDate" in after.schema
    assert "ConsoleProxyAgentVO" not in before.schema and "ConsoleProxyAgentVO" in after.schema
    assert (before.rows["alembic_version"], after.rows["alembic_version"]) == (["('1.0.0',)"], ["('1.1.0',)"])


def test_an_edited_file_gets_what_is_new_and_keeps_what_is_ours(story: Story) -> None:
    before, after = story.turns["before"], story.turns["upgraded"]
    new_comment = "# Where this host reaches itself over SSH, and where its console agent listens."
    assert after.config == before.config.replace("# Where this host reaches itself over SSH.", new_comment)
    assert _names(after) - _names(before) >= {f"{CONFIG}.new"}
    conflict = "    yours: session_seconds = 600  # ours\n    new default: # session_seconds = 7200\n"
    line = 1 + after.config.splitlines().index("session_seconds = 600  # ours")
    assert f"warning: ! config-conflict: {CONFIG}, line {line}: " in after.said
    assert after.said.index(conflict) < after.said.index(".. stop sealift-server")
    assert f"{CONFIG}: your lines stay; the new default is {CONFIG}.new" in after.said
    assert not _names(before) - _names(after)


def test_the_agents_work_after_the_upgrade(story: Story) -> None:
    assert story.console["status"] == "Connected"
    assert story.reconnected == {"success": True}


def test_it_is_said_how_long_the_service_was_away(story: Story) -> None:
    """By the installer: from the stop until healthy. A client sees at least the time between."""
    said = re.search(r"^  was away: +(\d+\.\d) s$", story.turns["upgraded"].said, re.MULTILINE)
    assert said is not None
    assert story.downtime > 0 and float(said[1]) > 0


def test_the_migration_is_rehearsed_before_the_stop(story: Story) -> None:
    said = story.turns["upgraded"].said
    assert said.index("ok rehearse the migration on a copy of /var/lib/sealift/sealift.db") < said.index(".. stop ")


def test_the_previous_release_stays_and_can_be_gone_back_to(story: Story) -> None:
    before, after = story.turns["before"], story.turns["upgraded"]
    old = {path: line for path, line in before.state.tree.items() if path.startswith("/opt/sealift/releases/1.0.0/")}
    assert len(old) > 100
    assert old.items() <= after.state.tree.items()
    assert {name: (row["current"], row["can-roll-back-to"]) for name, row in after.releases.items()} == {
        "1.0.0": (False, True),
        "1.1.0": (True, False),
    }
    assert "To go back: sealift-ctl rollback" in after.said


def test_the_control_command_says_the_same_twice(story: Story) -> None:
    for turn in story.turns.values():
        assert turn.status["version"] == turn.version
        assert turn.status["units"] == dict.fromkeys(UNITS, "active")
        assert turn.status["healthy"] is True and turn.status["unfinished"] == []
        assert turn.texts.startswith(f"Sealift management server {turn.version} in /opt/sealift\n")
        assert "sealift-server.service: active" in turn.texts and "healthz: answers" in turn.texts
        assert re.findall(r"^\* (\S+)", turn.texts, re.MULTILINE) == [turn.version]


def test_a_rollback_needs_neither_network_nor_bundle(story: Story) -> None:
    before, back = story.turns["before"], story.turns["back"]
    assert back.version == "1.0.0"
    assert back.state.schema == before.state.schema
    for table in back.state.rows.keys() | before.state.rows.keys():
        if table != "HostEO":  # a server that starts notes when it last saw its hosts
            assert back.state.rows[table] == before.state.rows[table]
    assert [host["uuid"] for host in back.hosts] == [host["uuid"] for host in before.hosts]
    assert back.config == before.config
    assert back.logins == before.logins
    assert back.status["units"] == before.status["units"]
    ours = {path for path in _names(before) | _names(back) if "sealift-console-agent" not in path}
    changed = {path for path in ours if before.state.tree.get(path) != back.state.tree.get(path)}
    made_by_the_server = {"/var/lib/sealift/keys/agent-token", "/var/lib/sealift/keys/known_hosts"}
    # What the host remembers of keys and newest versions is not forgotten by going back.
    assert changed - made_by_the_server == {f"{OWN}/state.json", f"{OWN}/trust.json"}


def test_a_rollback_says_where_the_newer_data_is(story: Story) -> None:
    found = re.search(r"^The newer database and configuration are in (\S+)$", story.turns["back"].said, re.MULTILINE)
    assert found is not None
    rows = story.host.run(["sqlite3", f"{found[1]}/database.sqlite", "select version_num from alembic_version"])
    assert rows.stdout.strip() == "1.1.0"


def test_going_forward_again_brings_the_newer_data(story: Story) -> None:
    after, forward = story.turns["upgraded"], story.turns["forward"]
    assert forward.version == "1.1.0"
    assert (forward.state.schema, forward.config, forward.logins) == (after.state.schema, after.config, after.logins)
    assert [host["uuid"] for host in forward.hosts] == [host["uuid"] for host in after.hosts]
    assert f"{CONFIG}.new" in forward.state.tree
    assert "The older database and configuration are in" in forward.said


def test_agents_go_back_with_the_server(story: Story) -> None:
    host = story.host

    def deployed() -> str:
        """What the other host has once it is connected again."""
        _log_in_with(host, PASSWORD)
        call(host, "ReconnectHost", f"uuid={story.turns['before'].hosts[0]['uuid']}")
        return story.other.read("/opt/sealift-agents/host/deployed").strip()

    before = deployed()
    host.sh("echo more >/opt/sealift/current/agents/host/more.txt")  # now 1.1.0 has another agent than 1.0.0
    assert deployed() != before
    host.run(["sealift-ctl", "rollback", "-y"])
    assert (version(host), deployed()) == ("1.0.0", before)
    host.run(["sealift-ctl", "rollback", "--to", "1.1.0", "-y"])
    host.sh("rm /opt/sealift/current/agents/host/more.txt")


def test_the_release_that_was_left_can_be_removed(story: Story) -> None:
    host = story.host
    assert host.sh("sealift-ctl verify --json | grep '\"drifted\"'").strip() == '"drifted": false,'
    shown = host.run(["sealift-ctl", "prune", "--keep", "0", "--dry-run"]).stdout
    assert "1.0.0: " in shown and host.sh("ls /opt/sealift/releases").split() == ["1.0.0", "1.1.0"]
    assert "releases removed: 1, " in host.run(["sealift-ctl", "prune", "--keep", "0", "-y"]).stdout
    assert host.sh("ls /opt/sealift/releases").split() == ["1.1.0"]
    assert version(host) == "1.1.0"
    assert host.sh("sealift-ctl verify --json | grep '\"drifted\"'").strip() == '"drifted": false,'


@pytest.fixture(scope="module")
def refusing(lab: Lab, installed: Snapshot) -> Iterator[Host]:
    """A host with 1.0.0, on which everything that is tried is refused."""
    host = lab.boot("refusing", snapshot=installed)
    settle(host)
    yield host
    lab.drop(host)


def _refused(host: Host, words: list[str], code: int, *texts: str) -> None:
    before = look_at_files(host)
    done = host.run(words, check=False)
    assert (done.returncode, look_at_files(host) == before) == (code, True), done.stdout + done.stderr
    for text in texts:
        assert text in done.stdout + done.stderr


def test_a_fresh_install_over_another_version_is_refused(refusing: Host) -> None:
    words = ["bash", "sealift-installer-1.1.0.bin", "-o"]
    _refused(refusing, words, 2, "1.0.0 is installed", "bash sealift-installer-1.1.0.bin -u")


def test_the_same_version_again_as_an_upgrade_has_nothing_to_do(refusing: Host) -> None:
    _refused(refusing, [*INSTALL[:2], "-u"], 0, "nothing to do")


def test_another_bundle_of_the_same_version_is_refused(lab: Lab, bundles: Bundles, running: Host) -> None:
    running.run(UPGRADE)
    log_in(running)
    wait_for_console(running)
    running.put(bundles["failing-migration"], "/root/other.bin")
    _refused(running, ["bash", "other.bin", "-u"], 2, "from another bundle of the same version")
    _refused(running, [*INSTALL[:2], "-u"], 2, "1.0.0 is older", "sealift-ctl rollback")
    _refused(running, INSTALL, 2, "1.0.0 is older")
    running.run(["sealift-ctl", "stop"])
    assert json.loads(running.sh("sealift-ctl status --json"))["units"] == dict.fromkeys(UNITS, "inactive")
    running.run(["sealift-ctl", "start"])
    assert version(running) == "1.1.0"
    running.run(["sealift-ctl", "uninstall", "--purge", "-y"])
    left = running.sh("ls -d /opt/sealift /etc/sealift /var/lib/sealift /usr/local/bin/sealift* 2>/dev/null || true")
    assert left == ""
    assert running.run(["systemctl", "is-active", "sealift-server"], check=False).stdout.strip() == "inactive"


def test_a_rollback_without_an_older_release_is_refused(refusing: Host) -> None:
    _refused(refusing, ["sealift-ctl", "rollback", "-y"], 2, "no release below 1.0.0")
    _refused(refusing, ["sealift-ctl", "rollback", "--to", "0.9.0", "-y"], 2, "cannot go back to 0.9.0")


def test_an_upgrade_of_nothing_is_refused(bare: Host) -> None:
    _refused(bare, UPGRADE, 2, "there is no sealift on this host to upgrade", "bash sealift-installer-1.1.0.bin -o")
