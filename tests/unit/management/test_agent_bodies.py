"""Whatever a caller sends, the host agent does it or says what is wrong; nothing is made, nothing breaks."""

import importlib
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

AGENT = Path(__file__).parents[3] / "management" / "agents" / "host"
NAMES = [
    "vmInstanceUuid",
    "uuid",
    "vmUuid",
    "vmUuids",
    "memory",
    "cpuNum",
    "rootVolume",
    "dataVolumes",
    "nics",
    "volume",
    "installPath",
    "installUrl",
    "path",
    "volumeInstallPath",
    "srcPath",
    "destPath",
    "fullRebase",
    "templatePathInCache",
    "imageUrl",
    "backupStorage",
    "hostname",
    "size",
    "timeout",
    "volumeUuid",
    "cacheMode",
    "nicInternalName",
    "bridgeName",
    "mac",
    "digest",
    "hostUuid",
    "vm",
    "storageMigrationPolicy",
    "destHostIp",
    "machineType",
    "diskSlots",
    "nicSlots",
    "sizes",
    "processor",
    "key",
]
ID = uuid.uuid4().hex
LIKELY: tuple[object, ...] = (
    ID,
    f"/r/rootVolumes/acct-{ID}/vol-{ID}/{ID}.qcow2",
    "/etc/passwd",
    "../x",
    "none",
    "FullCopy",
    "pc-i440fx-7.2",
    [],
    "",
    0,
    1 << 27,
    -1,
    True,
    None,
)
MODULES = ("agent", "machines", "volumes", "arriving", "leaving")
WITHOUT = {"/host/connect", "/host/fact", "/host/capacity", "/localstorage/volume/createempty"}
"""Calls that look at the host, whatever the body says; and one that may do what it is asked."""
VALUES = st.recursive(
    st.sampled_from(LIKELY) | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(sys, "path", [*sys.path, str(AGENT)])
    agent, machines, volumes, arriving, leaving = (
        importlib.import_module(f"sealift_host_agent.{name}") for name in MODULES
    )
    running = machines.Machines(tmp_path / "vms", ["tcg"])
    moves = arriving.Arrivals(running, "127.0.0.1"), leaving.Departures(running, 1, "token")
    yield agent.HostAgent(running, volumes.Volumes(running, "token"), *moves)
    assert list((tmp_path / "vms").iterdir()) == []


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(body=BODIES)
def test_every_body_is_answered(agent: Any, body: dict[str, Any]) -> None:
    refusal = importlib.import_module("sealift_host_agent.calls").CallError
    for path in sorted(agent.calls().keys() - WITHOUT):
        try:
            assert isinstance(agent.calls()[path](body), dict)
        except refusal as error:
            assert str(error)
