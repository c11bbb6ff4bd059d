"""A write that fails, in the installer or in anything that it starts: refused or undone, and the host is as before.

The kernel's answer to one system call is replaced (strace's fault injection): the Nth call of a kind fails once, or it
and all that follow, in each process of the run. SEALIFT_FAULTS says how many such runs there are, SEALIFT_SEED which.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.crashing import UPGRADE, assert_no_rubbish, not_undone
from tests.e2e.injecting import run_injected
from tests.e2e.state import State, look, settle
from tests.lab import Host, Lab, Snapshot

FAULTS = int(os.environ.get("SEALIFT_FAULTS", "3"))
SEED = int(os.environ.get("SEALIFT_SEED", "20"))
_UNDONE, _REFUSED, _OPERATOR = 30, {10, 20}, 31
# how often the installer itself makes each call in an upgrade, about; most of its 2700 writes unpack files
_CALLS = {
    "write": (2750, ("ENOSPC", "EIO")),
    "pwrite64": (75, ("ENOSPC", "EIO")),
    "fallocate": (1, ("ENOSPC", "EROFS")),
    "fsync": (92, ("EIO", "ENOSPC")),
    "fdatasync": (4, ("EIO",)),
    "syncfs": (2, ("EIO", "ENOSPC")),
    "mkdir": (163, ("ENOSPC", "EROFS")),
    "rename": (23, ("EROFS", "ENOSPC", "EIO")),
    "symlink": (3, ("EROFS", "ENOSPC")),
    "unlink": (7, ("EROFS", "EIO")),
    "fchmod": (18, ("EROFS", "EIO")),
    "chmod": (180, ("EROFS",)),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """The `nth` `call` of every process of a run answers `error`; `on`: and so do all after it."""

    call: str
    error: str
    nth: int
    on: bool

    def options(self) -> list[str]:
        """For strace."""
        when = f"{self.nth}{'+' if self.on else ''}"
        inject = f"inject={self.call}:error={self.error}:when={when}"
        return ["--seccomp-bpf", "-e", f"trace={self.call}", "-e", inject]


def faults(count: int) -> list[Fault]:
    """As many faults, every kind of call in turn."""
    choose = random.Random(SEED)
    kinds = [*_CALLS]
    choose.shuffle(kinds)
    found = []
    for n in range(count):
        call = kinds[n % len(kinds)]
        calls, errors = _CALLS[call]
        found.append(Fault(call, choose.choice(errors), choose.randint(1, calls), on=choose.random() < 0.3))
    return found


@dataclass(frozen=True)
class Kept:
    """A host on which 1.0.0 runs, and how it is."""

    host: Host
    snapshot: Snapshot
    before: State


@pytest.fixture(scope="module")
def kept(lab: Lab, installed: Snapshot) -> Iterator[Kept]:
    host = lab.boot("faulty", snapshot=installed)
    settle(host)
    yield Kept(host, installed, look(host))
    lab.drop(host)


@pytest.mark.parametrize("fault", faults(FAULTS), ids=str)
def test_a_write_that_fails(kept: Kept, fault: Fault, tmp_path: Path) -> None:
    host = kept.host
    done = run_injected(host, UPGRADE.words, fault.options(), tmp_path / "log")
    said = f"{fault}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.returncode in {0, _UNDONE, _OPERATOR, *_REFUSED}, said
    if done.returncode == _OPERATOR:  # undoing met the fault too; the next run takes it up
        host.run(UPGRADE.undo, check=False)
    assert_no_rubbish(host)
    if done.returncode != 0:
        assert not_undone(kept.before, look(host)) == [], said
        return
    again = host.run(UPGRADE.words)  # nobody needed that write
    assert "is installed and complete" in again.stdout, said + again.stdout
    host.restore(kept.snapshot)
    settle(host)
