"""Runs that die, and what must hold after the next run: undone the host is as before, resumed as afterwards, and never
between."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import zip_longest

from tests.e2e.state import OWN, State, look, look_across, settle
from tests.e2e.watching import STOP_THE_RUN, watch
from tests.lab import Host, Snapshot

_LEFT = {"/var/lib/sealift", OWN, "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"}
"""Folders in which an undone first install leaves its journal; files in which rpm leaves the accounts of packages."""

_AGENT = "sealift-console-agent"
_OF_NEWER_SERVER = (
    "/var/lib/sealift/keys/agent-token: None / ",
    "/var/lib/sealift/keys/known_hosts: None / ",
    f"/etc/systemd/system/{_AGENT}.service: None / ",
    f"/etc/systemd/system/multi-user.target.wants/{_AGENT}.service: None / ",
    f"unit {_AGENT}: ",
)
"""Differences made by a newer server that ran before it was undone: its agent of a new kind stays (ADR 64)."""

_UNDONE = "is undone"
_TOO_LATE = "No run was cut off"
"""Or too early: it had not begun, or was done."""


@dataclass(frozen=True, slots=True)
class Blow:
    """How a run dies: `at` a number of records in its journal (int), when a step of a kind begins (str), or seconds
    after its start (float).

    It is killed with all its children, or with `power` the whole host is. Then it is resumed, or undone. With `again`,
    a first attempt to resume it is killed too, after so many seconds.
    """

    at: int | float | str
    power: bool = False
    again: float | None = None
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A run that changes a host, and the two ways out of it when it was cut off."""

    words: tuple[str, ...]
    resume: tuple[str, ...]
    undo: tuple[str, ...]


def _of_bundle(name: str, option: str) -> Command:
    return Command(("bash", name, option), ("bash", name, "--resume"), ("bash", name, "--undo"))


INSTALL = _of_bundle("sealift-installer-1.0.0.bin", "-o")
UPGRADE = _of_bundle("sealift-installer-1.1.0.bin", "-u")
UNINSTALL = replace(INSTALL, words=("sealift-ctl", "uninstall", "-y"))
"""Another program than that one has to end it: that one goes on the way."""
ROLLBACK = Command(("sealift-ctl", "rollback", "-y"), ("sealift-ctl", "resume"), ("sealift-ctl", "undo"))


@dataclass(frozen=True, slots=True)
class Whole:
    """A run that nobody disturbed: what it left, how many records it wrote and seconds it took."""

    state: State
    records: int
    seconds: float

    def blows(self, choose: random.Random, count: int) -> list[Blow]:
        """`count` records (all of them, if there are no more) and as many instants, in turn as long as there are both;
        of every four runs two are resumed and two undone, of every ten one dies by a power cut, and of every three the
        run after it is killed too."""
        records: list[int | float] = [*choose.sample(range(1, self.records + 1), min(count, self.records))]
        instants: list[int | float] = [round(choose.uniform(0.1, self.seconds), 2) for _ in range(count)]
        moments = [at for pair in zip_longest(records, instants) for at in pair if at is not None]
        return [
            Blow(at, n % 10 == 2, round(choose.uniform(0.2, 1.5), 2) if n % 3 == 1 else None, resumed=n % 4 < 2)
            for n, at in enumerate(moments)
        ]


@dataclass(frozen=True, slots=True)
class Target:
    """A host as it is before `command`, and the snapshot to return to when a run got through."""

    host: Host
    snapshot: Snapshot
    command: Command
    before: State
    look: Callable[[Host], State]

    def strike(self, blow: Blow, whole: Whole) -> str:
        """Start the command, let the blow fall, resume or undo.

        Returns "before" or "after": which of the two states the host is in; it is back in the first one on return.

        Raises:
            AssertionError: it is in neither; the host is left as it is.
        """
        kill_at(self.host, self.command.words, blow.at, power=blow.power)
        if blow.again is not None:
            kill_at(self.host, self.command.resume, blow.again)
        done = self.host.run(self.command.resume if blow.resumed else self.command.undo, check=False)
        said = f"{blow}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, said
        assert_no_rubbish(self.host)
        found = []
        if not blow.resumed or _TOO_LATE in done.stdout:  # else it went on to the end
            found = not_undone(self.before, self.look(self.host))
            if not found:
                return "before"
        assert _UNDONE not in done.stdout, "\n".join((said, *found[:20]))
        settle(self.host, check=False)
        across = whole.state.differences(look_across(self.host))
        assert across == [], "\n".join((said, "not as before:", *found[:20], "not as afterwards:", *across[:20]))
        self.go_back()
        return "after"

    def go_back(self) -> None:
        """Make the host as it was before the command."""
        self.host.restore(self.snapshot)
        if self.before.units:
            settle(self.host)


def not_undone(before: State, after: State) -> list[str]:
    """What is not as before after a run was undone, a line each."""
    return [line for line in before.differences(after) if not line.startswith(_OF_NEWER_SERVER)]


def look_bare(host: Host) -> State:
    """The state of a host on which nothing is installed."""
    state = look(host)
    tree = {path: one for path, one in state.tree.items() if path not in _LEFT}
    tree["accounts"] = host.sh("getent passwd sealift; getent group sealift", check=False)
    return replace(state, units={}, tree=tree)


def kill_at(host: Host, words: tuple[str, ...], moment: float | int | str, *, power: bool = False) -> None:
    """Start `words` and kill it with all its children: after seconds (float), when its journal has so many records
    (int), or when a step of a kind begins (str). A run that ends before is fine. With `power` the host dies as well,
    and boots again."""
    stop = STOP_THE_RUN if isinstance(moment, str) else ""  # else it may be past the step already
    watcher = None if isinstance(moment, float) else host.popen(watch(host, str(moment), stop))
    run = host.popen(words)
    ends = time.monotonic() + (moment if isinstance(moment, float) else 600)
    while run.poll() is None and time.monotonic() < ends and (watcher is None or watcher.poll() is None):
        time.sleep(0.002)
    if watcher is not None and isinstance(moment, str):
        assert watcher.finish().stdout == "reached\n"
    if power:
        host.power_cut()
        host.boot_again()
        return
    run.kill()
    done = run.finish()
    if watcher is not None:
        watcher.kill()
        watcher.finish()
    assert done.returncode in {0, 137, -9}, done.stdout


def assert_no_rubbish(host: Host) -> None:
    """No run is unfinished, and nothing that one kept for undoing is left."""
    assert host.sh(f"test ! -d {OWN} || find {OWN} -name undo -o -name '*.reserve' -o -name '.*.partial'") == ""
    assert "unfinished" not in host.sh("test ! -e /usr/local/bin/sealift-ctl || sealift-ctl status")


def assert_ends_as(host: Host, command: Command, expected: State) -> None:
    """Left alone now, the command ends as on a host where nothing was killed, and leaves no rubbish."""
    done = host.run(command.words, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0 or "no release below" in said, said
    settle(host)
    assert expected.differences(look_across(host)) == [], said
    assert_no_rubbish(host)
