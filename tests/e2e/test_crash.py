"""Runs that are killed, or whose host loses power: the same command again ends as if nothing had happened.

SEALIFT_KILLS says how often each run is killed before it is left alone, SEALIFT_SEED where.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.e2e.product import version
from tests.e2e.state import OWN, State, look_across, settle
from tests.e2e.watching import watch
from tests.lab import Host, Lab, Snapshot

INSTALL = ["bash", "sealift-installer-1.0.0.bin", "-o"]
UPGRADE = ["bash", "sealift-installer-1.1.0.bin", "-u"]
ROLLBACK = ["sealift-ctl", "rollback", "-y"]
KILLS = int(os.environ.get("SEALIFT_KILLS", "2"))
SEED = int(os.environ.get("SEALIFT_SEED", "20"))
_RUN_SECONDS = {"-o": 12.0, "-u": 12.0, "-y": 2.5}
_RECORDS = {"-o": 40, "-u": 36, "-y": 24}


@dataclass
class Reference:
    """A host on which nothing was ever killed."""

    upgraded: Snapshot | None = None
    states: dict[str, State] = field(default_factory=dict)


@pytest.fixture(scope="module")
def reference(lab: Lab, installed: Snapshot) -> Iterator[Reference]:
    """What each command leaves when it is left alone."""
    host = lab.boot("left-alone", snapshot=installed)
    settle(host)
    found = Reference()
    found.states["-o"] = look_across(host)
    host.run(UPGRADE)
    found.upgraded = host.snapshot("upgraded")
    settle(host)
    found.states["-u"] = look_across(host)
    host.run(ROLLBACK)
    found.states["-y"] = look_across(host)
    yield found
    lab.drop(host)


def kill_at(host: Host, words: list[str], moment: float | int | str) -> None:
    """Start `words` and kill it with all its children: after seconds (float), when its journal has so many records
    (int), or when a step of a kind begins (str). A run that ends before is fine."""
    watcher = None if isinstance(moment, float) else host.popen(watch(host, str(moment)))
    run = host.popen(words)
    ends = time.monotonic() + (moment if isinstance(moment, float) else 60)
    while run.poll() is None and time.monotonic() < ends and (watcher is None or watcher.poll() is None):
        time.sleep(0.005)
    run.kill()
    done = run.finish(30)
    if watcher is not None:
        watcher.kill()
        watcher.finish(10)
    assert done.returncode in {0, 137, -9}, done.stdout


def moments(mode: str) -> list[float | int]:
    """Where to kill: at records and at instants in turn, so that a run's recovery is killed too."""
    choose = random.Random(f"{SEED} {mode}")
    instants = [round(choose.uniform(0.2, _RUN_SECONDS[mode]), 2) for _ in range(KILLS)]
    records = [choose.randrange(1, _RECORDS[mode]) for _ in range(KILLS)]
    return [records[n] if n % 2 == 0 else instants[n] for n in range(KILLS)]


def assert_ends_as(host: Host, words: list[str], expected: State) -> None:
    """Left alone now, `words` ends as on a host where nothing was killed, and leaves no rubbish."""
    done = host.run(words, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0 or "no release below" in said, said
    settle(host)
    assert expected.differences(look_across(host)) == [], said
    assert host.sh(f"find {OWN} -name undo -o -name '*.reserve' -o -name '.*.partial'") == ""
    assert "unfinished" not in host.sh("sealift-ctl status")


def test_a_killed_install(reference: Reference, bare: Host) -> None:
    for moment in ["packages", *moments("-o")]:
        kill_at(bare, INSTALL, moment)
    assert_ends_as(bare, INSTALL, reference.states["-o"])


def test_a_killed_upgrade(reference: Reference, running: Host) -> None:
    for moment in moments("-u"):
        kill_at(running, UPGRADE, moment)
    assert_ends_as(running, UPGRADE, reference.states["-u"])


def test_a_killed_rollback(reference: Reference, lab: Lab, name: str) -> None:
    host = lab.boot(name, snapshot=reference.upgraded)
    settle(host)
    for moment in moments("-y"):
        kill_at(host, ROLLBACK, moment)
    assert_ends_as(host, ROLLBACK, reference.states["-y"])
    lab.drop(host)


def test_a_killed_installer_whose_child_works_on(reference: Reference, running: Host) -> None:
    watcher = running.popen(watch(running, "venv"))
    run = running.popen(UPGRADE)
    assert watcher.finish(120).stdout == "reached\n"
    holder = running.read(f"{OWN}/lock").strip()
    child = running.sh(  # one that ends before it can be stopped is not the one
        f"for i in $(seq 100); do for pid in $(ps -o pid= --ppid {holder}); do"
        " kill -STOP $pid 2>/dev/null && echo $pid && exit 0; done; sleep 0.01; done; exit 1"
    ).strip()
    running.run(["kill", "-KILL", holder])
    run.finish(30)
    busy = running.run(UPGRADE, check=False)
    assert busy.returncode == 21, busy.stdout + busy.stderr
    running.run(["kill", "-KILL", child])
    assert_ends_as(running, UPGRADE, reference.states["-u"])


@pytest.mark.parametrize("step", ["start"])
def test_a_power_cut(reference: Reference, running: Host, step: str) -> None:
    """The worst moment: the new release is the current one, so the reboot starts it before anybody can undo."""
    watcher = running.popen(watch(running, step))
    running.popen(UPGRADE)
    watcher.finish(120)
    running.power_cut()
    running.boot_again()
    assert_ends_as(running, UPGRADE, reference.states["-u"])
    assert version(running) == "1.1.0"


def test_a_second_installer_says_who_is_at_work(running: Host) -> None:
    watcher = running.popen(watch(running, "venv"))
    first = running.popen(UPGRADE)
    watcher.finish(60)
    second = running.run(UPGRADE, check=False)
    assert second.returncode == 21, second.stdout + second.stderr
    holder = running.read(f"{OWN}/lock").strip()
    assert f"(process {holder})" in second.stderr
    assert "sealift-runtime" in running.run(["tr", "\\0", " "], input=running.read(f"/proc/{holder}/cmdline")).stdout
    other = running.run(["sealift-ctl", "stop"], check=False)
    assert other.returncode == 21, other.stdout + other.stderr
    assert version(running) == "1.0.0"
    first.kill()
