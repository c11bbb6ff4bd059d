"""Each kind of step fails once, by a cause of real life: docs/faults.md says what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import Bundles
from tests.e2e.crashing import INSTALL, ROLLBACK, UPGRADE, Command, assert_no_rubbish, look_bare
from tests.e2e.faults import BACKUP, FAULTS, Fault, On
from tests.e2e.state import State, look, settle
from tests.e2e.watching import watch
from tests.lab import Host, Lab, Snapshot
from tests.lab.process import Completed


@dataclass(frozen=True)
class Victim:
    """A host and how it is when nothing is wrong with it: a failure leaves no trace, so it serves for all faults."""

    host: Host
    before: State
    look: Callable[[Host], State]
    usual: Command


@pytest.fixture(scope="module")
def victims(lab: Lab, bundles: Bundles, provided: Snapshot, installed: Snapshot) -> Iterator[dict[On, Victim]]:
    bare = lab.boot("bare-victim", snapshot=provided)
    bare.put(bundles["never-answers"], "/root/never-answers.bin")
    running = lab.boot("running-victim", snapshot=installed)
    upgraded = lab.boot("upgraded-victim", snapshot=installed)
    upgraded.run(UPGRADE.words)
    for host in (running, upgraded):
        settle(host)
    running.run(["sealift-ctl", "backup", BACKUP])
    yield {
        "bare": Victim(bare, look_bare(bare), look_bare, INSTALL),
        "running": Victim(running, look(running), look, UPGRADE),
        "upgraded": Victim(upgraded, look(upgraded), look, ROLLBACK),
    }
    for host in (bare, running, upgraded):
        lab.drop(host)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_step_that_fails(victims: dict[On, Victim], fault: Fault) -> None:
    victim = victims[fault.on]
    host = victim.host
    done = run_into(fault, victim)
    said = done.stdout + done.stderr
    if fault.cure:
        host.sh(fault.cure)
    assert done.returncode == fault.code, said
    assert fault.says in said
    if fault.step:
        assert failed_kind(host) == fault.step, said
    if fault.code == 31:  # the next run takes up undoing
        host.run(victim.usual.undo, check=False)
    assert_no_rubbish(host)
    assert victim.before.differences(victim.look(host)) == [], said


def run_into(fault: Fault, victim: Victim) -> Completed:
    """Run the command with the fault in its way."""
    host = victim.host
    words = fault.words or victim.usual.words
    if fault.bundle:
        words = ("bash", f"{fault.bundle}.bin", "-o")
    watcher = None
    if fault.at:
        watcher = host.popen(watch(host, fault.at, fault.cause))
    elif fault.cause:
        host.sh(fault.cause)
    done = host.run(words, check=False)
    if watcher is not None:
        assert watcher.finish().stdout == "reached\n"
    return done


def failed_kind(host: Host) -> str:
    """The kind of the step at which the newest run stopped, as its journal says."""
    script = (
        "import json, pathlib\n"
        "newest = max(pathlib.Path('/var/lib/sealift/installer/journal').glob('*.jsonl'))\n"
        "records = [json.loads(line) for line in newest.read_text().splitlines()]\n"
        "applied = sum(record['record'] == 'applied' for record in records)\n"
        "print(records[0]['plan']['steps'][applied]['kind'])"
    )
    return host.run(["python3", "-c", script]).stdout.strip()
