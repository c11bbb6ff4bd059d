"""The bundle's command line as people and scripts use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from payload.model import Index
from payload.signing import PrivateKey
from tests.e2e.conftest import Bundles
from tests.e2e.forge import Anatomy
from tests.lab import Host, Lab, Snapshot
from tests.lab.process import Completed

NAME = "sealift-installer-1.1.0.bin"
PLACES = ("/etc", "/opt", "/usr", "/root", "/var/lib", "/var/log")
NOT_OURS = (
    *("/var/log/journal", "/var/lib/systemd", "/root/out", "/root/events.jsonl", "/root/.cache"),
    *("/var/lib/dnf/history.sqlite-shm", "/var/lib/dnf/history.sqlite-wal"),  # SQLite's, where dnf only reads
)
INFO_KEYS = {
    "product", "title", "version", "upgrades-from", "created", "digest", "signed-by", "trusted", "targets", "packages",
    "mirrors", "images", "questions", "files", "size",
}  # fmt: skip
REPORT_KEYS = {"product", "version", "host", "mode", "fits", "findings", "passed"}
AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


@pytest.fixture(scope="module")
def host(lab: Lab, provided: Snapshot) -> Iterator[Host]:
    """A host without the product; what the tests below call on it must not change it."""
    host = lab.boot("shell", snapshot=provided)
    host.sh("chmod 755 /root; systemctl is-system-running --wait || true")
    before = host.tree(PLACES, without=NOT_OURS)
    packages = host.rpm_qa()
    yield host
    assert host.tree(PLACES, without=NOT_OURS) == before
    assert host.rpm_qa() == packages
    assert host.sh("ls -d /tmp/sealift-* 2>/dev/null || true") == "", "the runtime stayed"
    lab.drop(host)


def call(host: Host, *words: str, code: int = 0, nobody: bool = False, env: dict[str, str] | None = None) -> Completed:
    """Run the bundle and check its exit code."""
    done = host.run([*(AS_NOBODY if nobody else ()), "bash", NAME, *words], check=False, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("nobody", [False, True])
def test_looking_needs_no_root(host: Host, nobody: bool) -> None:
    help_ = call(host, "--help", nobody=nobody).stdout
    assert all(word in help_ for word in ("-o, --offline", "-u, --upgrade", "-R, --mirror", "Examples:", "Exit codes:"))
    assert f"bash {NAME} -o " in help_
    assert call(host, "--version", nobody=nobody).stdout == "sealift 1.1.0\n"
    info = call(host, "--info", nobody=nobody).stdout
    assert "Sealift management server 1.1.0 (sealift)" in info
    assert "blank-1g (not embedded)" in info and "mirrors (-R):  163, aliyun, official, tuna, ustc" in info
    listed = call(host, "--list", nobody=nobody).stdout.splitlines()
    assert any("images/trial.qcow2" in line for line in listed) and len(listed) > 50
    assert "every file is intact" in call(host, "--check", nobody=nobody).stdout


def test_json_of_everything_that_shows(host: Host) -> None:
    def document(*words: str) -> object:
        done = call(host, *words, "--json")
        assert done.stderr == ""
        return json.loads(done.stdout)

    info = document("--info")
    assert isinstance(info, dict) and set(info) == INFO_KEYS
    assert (info["version"], info["mirrors"]) == ("1.1.0", ["163", "aliyun", "official", "tuna", "ustc"])
    assert document("--version") == {"product": "sealift", "version": "1.1.0"}
    rows = document("--list")
    assert isinstance(rows, list) and {frozenset(row) for row in rows} == {
        frozenset(("component", "path", "size", "digest"))
    }
    assert info["files"] == len(rows)
    assert document("--check") == {"intact": True, "files": len(rows), "signed-by": info["signed-by"]}
    fits = document("-o", "--preflight")
    assert isinstance(fits, dict) and set(fits) == REPORT_KEYS
    assert fits["fits"] is True and fits["mode"] == "install" and not any(each["strict"] for each in fits["findings"])
    plan = document("-o", "--dry-run")
    assert isinstance(plan, dict)
    assert set(plan) == {"mode", "product", "version", "run", "steps", "digest", "unfinished", "packages", "mirrors"}
    assert plan["packages"]["changes"] and plan["mirrors"] is None
    kinds = [step["kind"] for step in plan["steps"]]
    assert kinds[0] == "stage" and {"packages", "venv", "units", "switch", "record"} <= set(kinds), kinds


def test_extract_writes_every_file_as_an_ordinary_user(host: Host) -> None:
    host.run(["install", "-d", "-m", "777", "/root/out"])
    try:
        call(host, "--extract", "/root/out/a folder", nobody=True)
        rows = json.loads(call(host, "--list", "--json").stdout)
        for row in rows[:: len(rows) // 10]:
            found = host.run(["sha256sum", f"/root/out/a folder/{row['path']}"]).stdout.split()[0]
            assert f"sha256:{found}" == row["digest"]
        counted = host.sh("find '/root/out/a folder' -type f | wc -l; stat -c %U '/root/out/a folder'").split()
        assert counted == [str(len(rows)), "nobody"]
        again = call(host, "--extract", "/root/out/a folder", code=2)
        assert "[folder-not-empty]" in again.stderr
    finally:
        host.run(["rm", "-rf", "/root/out"])


def test_the_plan_for_people(host: Host) -> None:
    shown = call(host, "-o", "--dry-run").stdout
    assert "This is a dry run: nothing is done." in shown
    assert " 1. unpack the release into /opt/sealift/releases/1.1.0" in shown
    assert "from the bundle" in shown
    assert "\nthis host fits: install can go on (" in call(host, "-o", "--preflight").stdout


def test_only_root_installs(host: Host) -> None:
    refused = call(host, "-o", "-y", code=2, nobody=True)
    assert "[not-root]" in refused.stderr and "sudo" in refused.stderr
    found = call(host, "-o", "--preflight", code=20, nobody=True)
    assert "root: user id 65534" in found.stdout


def greedy(index: Index) -> Index:
    """A bundle that wants more memory than there is."""
    wants = index.manifest.preflight.model_copy(update={"memory_mb": 10_000_000})
    return replace(index, manifest_table=index.manifest.model_copy(update={"preflight": wants}).to_table())


def test_preflight_says_everything_at_once(lab: Lab, bundles: Bundles) -> None:
    small = lab.boot("unfit", upper_size="300M")
    try:
        small.put(bundles["1.1.0"], "/root/whole.bin")
        small.put(bundles.public_key, "/etc/sealift/trusted-keys.d/vendor.pub")
        vendor = PrivateKey.from_pem(bundles.key.read_bytes())
        Anatomy.of(bundles["1.1.0"]).signed_by(vendor, edit=greedy).make(small, "/root/whole.bin", f"/root/{NAME}")
        small.run(["rm", "/root/whole.bin"])
        listener = "import socket, time; s = socket.create_server(('127.0.0.1', 8080)); time.sleep(999)"
        small.run(["systemd-run", "--quiet", "--unit=other", "python3", "-c", listener])
        small.sh("for i in $(seq 600); do ss -ltn | grep -q :8080 && exit 0; sleep 0.1; done; exit 1")
        small.sh("mkdir -p /usr/local/bin; ln -s /bin/true /usr/local/bin/sealift-cli")
        small.sh("mv /usr/lib/python3.11/venv /usr/lib/python3.11/gone")
        before = small.tree(PLACES, without=NOT_OURS)
        shown = call(small, "-o", "--preflight", code=20).stdout
        findings = {
            "port": r"python3.* \(process \d+\) listens on 8080",
            "disk-space": "MB free for ",
            "command-taken": "/usr/local/bin/sealift-cli",
            "memory": "MB",
            "python-venv": "python3 has no module venv",
        }
        assert all(re.search(f"✘ {name}: .*{seen}", shown) for name, seen in findings.items()), shown
        assert shown.count("✘ ") == len(findings)
        assert "ss -ltnp 'sport = :8080'" in shown
        body = json.loads(call(small, "-o", "--preflight", "--json", code=20).stdout)
        assert body["fits"] is False
        assert {finding["id"] for finding in body["findings"] if finding["strict"]} == set(findings)
        assert all(finding["fix"] and finding["wanted"] for finding in body["findings"])
        refused = call(small, "-o", "-y", code=20)
        assert "[host-does-not-fit]" in refused.stderr and "nothing was changed" in refused.stderr
        assert all(f"✘ {name}: " in refused.stderr for name in findings)
        assert small.tree(PLACES, without=NOT_OURS) == before
        assert small.run(["systemctl", "is-active", "other"]).stdout.strip() == "active"
    finally:
        lab.drop(small)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say where packages come from: -o or -R [source-missing]"),
        (("-x",), "No such option"),
        (("--offlin",), "--offline"),
        (("-R",), "requires an argument"),
        (("-o", "--config"), "requires an argument"),
        (("-o", "stray word"), "stray word"),
        (("--info", "--check"), "[two-actions]"),
        (("-u",), "[nothing-installed]"),
        (("-o", "-r", "not/absolute"), "[root-relative]"),
        (("-o", "--events", "/no/such/folder/file"), "[events-unwritable]"),
    ],
)
def test_usage_errors_say_what_to_do(host: Host, words: tuple[str, ...], said: str) -> None:
    done = call(host, *words, code=2)
    assert done.stdout == ""
    assert said in done.stderr
    assert "What to do: " in done.stderr or "events-unwritable" in said
    assert "Traceback" not in done.stderr


def test_arguments_with_blanks_and_quotes(host: Host) -> None:
    strange = '/srv/it\'s a "place" of $HOME *'
    plan = json.loads(call(host, "-o", "--dry-run", "--json", "-r", strange).stdout)
    assert plan["steps"][0]["release"] == f"{strange}/releases/1.1.0"
    assert '"  no such"' not in call(host, "-o", "--config", "/root/ no  such ", code=12).stderr
    assert "/root/ no  such " in call(host, "-o", "--config", "/root/ no  such ", code=12).stderr


def test_all_mistakes_of_the_answers_at_once(host: Host) -> None:
    host.write("/run/answers.toml", 'listen_port = "many"\nlisten_adress = "0.0.0.0"\nssh_port = true\n')
    done = call(host, "-o", "-y", "--config", "/run/answers.toml", code=12, env={"SEALIFT_ANSWER_COLOUR": "red"})
    for mistake in (
        "listen_port: must be a whole number",
        "listen_adress: no such question",
        "ssh_port: must be a whole number",
        "SEALIFT_ANSWER_COLOUR (environment): no such question",
    ):
        assert mistake in done.stderr
    host.write("/run/answers.toml", "listen_port = \n")
    done = call(host, "-o", "-y", "--config", "/run/answers.toml", code=12)
    assert "[answers-unreadable]" in done.stderr and "line 1" in done.stderr


def test_bars_on_a_terminal_and_lines_in_a_pipe(host: Host) -> None:
    piped = call(host, "--check")
    assert ".. check every file\nok check every file (" in piped.stderr
    assert "\x1b" not in piped.stdout + piped.stderr
    shown = host.run(["bash", NAME, "--check"], tty=True).stdout
    assert "\x1b[" in shown and "━" in shown and "MB" in shown
    assert "✔" in shown
    plain = host.run(["bash", NAME, "--check"], tty=True, env={"NO_COLOR": "1"}).stdout
    assert not re.search(r"\x1b\[[0-9;]*3[0-9](;|m)", plain), "a colour in spite of NO_COLOR"
    assert "every file is intact" in plain


def test_events_are_json_lines(host: Host) -> None:
    call(host, "--check", "--events", "/root/events.jsonl")
    rows = [json.loads(line) for line in host.read("/root/events.jsonl").splitlines()]
    assert (rows[0]["event"], rows[0]["stage"], rows[-1]["event"]) == ("started", "check", "finished")
    assert sum(row["amount"] for row in rows if row["event"] == "advanced") <= rows[0]["total"]
    assert all(isinstance(row["time"], float) for row in rows)
    assert host.sh("stat -c %a /root/events.jsonl").strip() == "600"
    host.run(["rm", "/root/events.jsonl"])


def test_a_reader_that_goes_away(host: Host) -> None:
    assert host.sh(f"bash {NAME} --list | head -n 1").count("\n") == 1


def test_looking_at_an_installed_host_as_nobody(running: Host, bundles: Bundles) -> None:
    running.sh("chmod 755 /root")
    running.put(bundles.public_key, "/run/vendor.pub")
    key = ("--key", "/run/vendor.pub")
    assert call(running, "--version", nobody=True).stdout == "sealift 1.1.0\n"
    assert "every file is intact" in call(running, "--check", *key, nobody=True).stdout
    assert "can be read by root only" in call(running, "--check", code=11, nobody=True).stderr
    refused = call(running, "-u", "--dry-run", *key, code=2, nobody=True)
    assert "[not-root]" in refused.stderr
    before = running.tree(["/etc", "/opt", "/usr/local"])
    plan = json.loads(call(running, "-u", "--dry-run", "--json").stdout)
    assert (plan["mode"], plan["version"]) == ("upgrade", "1.1.0")
    assert "[already-installed]" in call(running, "-o", code=2).stderr
    assert running.tree(["/etc", "/opt", "/usr/local"]) == before
