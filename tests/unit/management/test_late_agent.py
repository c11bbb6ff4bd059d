"""A host agent whose time is over at a moment that real programs do not hit: what it has begun is ended."""

import importlib
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.management.agent_rigs import AGENTS
from tests.unit.management.test_moves import machine

VM = uuid.uuid4().hex
ROOT = f"/storage/rootVolumes/acct-{VM}/vol-{VM}/{VM}.qcow2"


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.setattr(sys, "path", [*sys.path, str(AGENTS / "host")])
    return {name: importlib.import_module(f"sealift_host_agent.{name}") for name in ("arriving", "calls", "machines")}


class Waiting:
    """As far as an arrival sees it, a QEMU that waits for the VM."""

    def __init__(self, locks: Any) -> None:
        self.locks = locks
        self.qemus: list[str] = []

    def alive(self, vm: str) -> bool:
        return vm in self.qemus

    def begin(self, machine: Any, *_: object) -> None:
        self.qemus.append(machine.uuid)

    def end(self, vm: str) -> None:
        self.qemus.remove(vm)

    def folder(self, vm: str) -> Path:
        return Path("/nowhere", vm)

    @contextmanager
    def conversation(self, vm: str) -> Iterator[None]:
        yield


def test_a_vm_does_not_wait_when_no_time_is_left_for_it(
    agent: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    arriving, calls = agent["arriving"], agent["calls"]
    machines = Waiting(calls.Locks())
    arrivals = arriving.Arrivals(machines, "127.0.0.1")

    def late() -> float:
        raise calls.CallError("the time for this call is over")

    for name, value in {"processor": lambda _talk: None, "introduce": lambda *_: None, "left": late}.items():
        monkeypatch.setattr(arriving, name, value)
    monkeypatch.setattr(arrivals, "_listen", lambda *_: {})
    told = {"machineType": "pc-1", "diskSlots": [1], "nicSlots": [], "key": "0" * 64, "sizes": [1]}
    with pytest.raises(calls.CallError, match="is over"):
        arrivals.receive({"vm": machine(VM, ROOT), **told})
    assert machines.qemus == []


class Silent:
    """A QEMU that runs, and never answers."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def poll(self) -> None:
        return None

    def kill(self) -> None:
        self.done.append("killed")

    def wait(self, _seconds: float) -> None:
        self.done.append("awaited")


def test_a_qemu_that_is_killed_is_gone_when_the_call_ends(
    agent: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    qemu = Silent()
    for name, value in {"launch": lambda *_: qemu, "command": lambda *_: []}.items():
        monkeypatch.setattr(agent["machines"], name, value)
    machines = agent["machines"].Machines(tmp_path, ["tcg"])
    parsed = importlib.import_module("sealift_host_agent.qemu").Machine.parse(machine(VM, ROOT))
    with agent["calls"].limited(0), pytest.raises(agent["calls"].CallError, match="is over"):
        machines.begin(parsed)
    assert qemu.done == ["killed", "awaited"]
