"""Runs that are killed, or whose host loses power: resumed they end as afterwards, undone as before, and the same
command again ends as if nothing had happened.

SEALIFT_KILLS says at how many records of its journal each kind of run is killed, and at how many instants beside (see
`make crash`); SEALIFT_SEED where.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.crashing import (
    INSTALL,
    ROLLBACK,
    UNINSTALL,
    UPGRADE,
    Blow,
    Command,
    Target,
    Whole,
    assert_ends_as,
    kill_at,
    look_bare,
)
from tests.e2e.faults import LEFT_BY_CLEAN_UP
from tests.e2e.injecting import run_injected
from tests.e2e.product import call, database, log_in, version
from tests.e2e.state import OWN, look, look_across, settle
from tests.e2e.watching import STOP_THE_RUN, last_journal, watch
from tests.lab import Host, Lab, Snapshot

KILLS = int(os.environ.get("SEALIFT_KILLS", "2"))
SEED = int(os.environ.get("SEALIFT_SEED", "20"))


@dataclass
class Reference:
    """A host on which nothing was ever killed."""

    upgraded: Snapshot | None = None
    runs: dict[Command, Whole] = field(default_factory=dict)


@pytest.fixture(scope="module")
def reference(lab: Lab, provided: Snapshot) -> Iterator[Reference]:
    """What each command does when it is left alone."""
    host = lab.boot("left-alone", snapshot=provided)
    found = Reference()
    for command in (INSTALL, UPGRADE, ROLLBACK):
        if command is ROLLBACK:
            found.upgraded = host.snapshot("upgraded")
            settle(host)
        began = time.monotonic()
        host.run(command.words)
        seconds = time.monotonic() - began
        settle(host)
        found.runs[command] = Whole(look_across(host), len(last_journal(host)), seconds)
    yield found
    lab.drop(host)


def assert_never_between(host: Host, snapshot: Snapshot, command: Command, reference: Reference, *first: Blow) -> None:
    """Kill the command again and again, each time another way; `first` are the ways that are always tried."""
    whole, view = reference.runs[command], look_bare if command is INSTALL else look
    target = Target(host, snapshot, command, view(host), view)
    ends: Counter[str] = Counter()
    between = []
    for blow in [*first, *whole.blows(random.Random(f"{SEED} {command.words}"), KILLS)]:
        began = time.monotonic()
        try:
            end = target.strike(blow, whole)
        except AssertionError as error:
            end = "between"
            between.append(str(error))
            logging.exception("%s", command.words)
            target.go_back()
        ends[end] += 1
        logging.info("%s: %s: %s, %.1f s", " ".join(command.words), blow, end, time.monotonic() - began)
    logging.info("%s was killed %d times and ended %s", " ".join(command.words), ends.total(), dict(ends))
    assert between == [], "\n\n".join(between)
    assert_ends_as(host, command, whole.state)


@pytest.mark.timeout(1800 + 120 * KILLS)
def test_a_killed_install(reference: Reference, bare: Host, provided: Snapshot) -> None:
    assert_never_between(bare, provided, INSTALL, reference, Blow("packages"))


@pytest.mark.timeout(1800 + 120 * KILLS)
def test_a_killed_upgrade(reference: Reference, running: Host, installed: Snapshot) -> None:
    assert_never_between(running, installed, UPGRADE, reference)


@pytest.mark.timeout(1800 + 120 * KILLS)
def test_a_killed_rollback(reference: Reference, lab: Lab, name: str) -> None:
    assert reference.upgraded is not None
    host = lab.boot(name, snapshot=reference.upgraded)
    settle(host)
    assert_never_between(host, reference.upgraded, ROLLBACK, reference)
    lab.drop(host)


def cut_uninstall_off_late(host: Host, log: Path) -> None:
    """Kill it when its own command is gone, and little is left to do: as it removes the record of what is installed."""
    # without --seccomp-bpf: with it strace 6.1 delivers no signal
    options = ["-P", f"{OWN}/state.json", "-e", "trace=unlink", "-e", "inject=unlink:signal=KILL"]
    done = run_injected(host, UNINSTALL.words, options, log)
    assert done.returncode in {137, -9}, done.stdout + done.stderr
    assert not host.exists("/usr/local/bin/sealift-ctl")


def test_a_killed_uninstall_whose_command_is_gone_already(running: Host, tmp_path: Path) -> None:
    """The bundle is what is left, and knows both ways out."""
    before = look(running)
    cut_uninstall_off_late(running, tmp_path / "log")
    assert "is undone" in running.run(UNINSTALL.undo).stdout
    running.sh(LEFT_BY_CLEAN_UP)
    assert before.differences(look(running)) == []
    cut_uninstall_off_late(running, tmp_path / "log")
    assert "sealift is removed from this host." in running.run(UNINSTALL.resume).stdout
    assert not running.exists("/opt/sealift") and not running.exists(OWN)
    assert running.exists("/var/lib/sealift/sealift.db")


# Prints one that stopped and has its own program: before, it is a copy of its parent; after, it waits to be reaped.
_STOP_A_CHILD = """
import contextlib, os, pathlib, signal, sys, time
holder = pathlib.Path("/proc", sys.argv[1])
def children():
    for task in holder.glob("task/*/children"):
        with contextlib.suppress(OSError):
            yield from map(int, task.read_text().split())
def stopped(pid):
    with contextlib.suppress(OSError):
        if os.readlink(f"/proc/{pid}/exe") == os.readlink(holder / "exe"):
            return False
        os.kill(pid, signal.SIGSTOP)
        while (state := pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) not in "TZX":
            time.sleep(0.001)
        return state == "T"
    return False
while not (found := next(filter(stopped, children()), None)):
    time.sleep(0.001)
print(found)
"""


def test_a_killed_installer_whose_child_works_on(reference: Reference, running: Host) -> None:
    watcher = running.popen(watch(running, "venv"))
    run = running.popen(UPGRADE.words)
    assert watcher.finish().stdout == "reached\n"
    holder = running.read(f"{OWN}/lock").strip()
    child = running.run(["python3", "-c", _STOP_A_CHILD, holder]).stdout.strip()
    running.run(["kill", "-KILL", holder])
    run.finish()
    busy = running.run(UPGRADE.words, check=False)
    assert busy.returncode == 21, busy.stdout + busy.stderr
    running.run(["kill", "-KILL", child])
    assert_ends_as(running, UPGRADE, reference.runs[UPGRADE].state)


def test_a_power_cut_at_the_worst_moment(reference: Reference, running: Host) -> None:
    """The new release is the current one, so the reboot starts it before anybody can undo."""
    kill_at(running, UPGRADE.words, "start", power=True)
    assert_ends_as(running, UPGRADE, reference.runs[UPGRADE].state)
    assert version(running) == "1.1.0"


def test_what_is_written_after_a_power_cut_is_kept_when_it_is_undone(running: Host) -> None:
    """The new release serves after the reboot, and the database that an undo puts back is from before it."""
    kill_at(running, UPGRADE.words, "start", power=True)
    settle(running)
    log_in(running)
    call(running, "CreateZone", "name=written-since")
    undone = running.run(UPGRADE.undo)
    (kept,) = running.sh(f"ls -d {OWN}/backup/*-since").split()
    assert kept in undone.stdout + undone.stderr
    assert version(running) == "1.0.0"
    assert "written-since" not in str(database(running)["ZoneEO"])
    names = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('select name from ZoneEO'))"
    assert "written-since" in running.run(["python3", "-c", names, f"{kept}/sealift.db"]).stdout


def test_a_second_installer_says_who_is_at_work(running: Host) -> None:
    watcher = running.popen(watch(running, "venv", STOP_THE_RUN))
    first = running.popen(UPGRADE.words)
    assert watcher.finish().stdout == "reached\n"
    second = running.run(UPGRADE.words, check=False)
    assert second.returncode == 21, second.stdout + second.stderr
    holder = running.read(f"{OWN}/lock").strip()
    assert f"(process {holder})" in second.stderr
    assert "sealift-runtime" in running.run(["tr", "\\0", " "], input=running.read(f"/proc/{holder}/cmdline")).stdout
    other = running.run(["sealift-ctl", "stop"], check=False)
    assert other.returncode == 21, other.stdout + other.stderr
    assert version(running) == "1.0.0"
    first.kill()
