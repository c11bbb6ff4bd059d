"""Kernel settings, set and set back in a network namespace of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from installer.steps import Host, SetSysctls, dump_undo, load_undo
from installer.steps.sysctl import Setting, live_value
from payload import effects
from payload.errors import CommandError, StepError

FORWARD, TTL = "net.ipv4.ip_forward", "net.ipv4.ip_default_ttl"
NAMESPACE = "sealift-sysctl-test"


def in_namespace(argv: tuple[str, ...], **options: Any) -> effects.Completed:
    return effects.run(("ip", "netns", "exec", NAMESPACE, *argv), **options)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    effects.run(("ip", "netns", "delete", NAMESPACE), check=False)
    effects.run(("ip", "netns", "add", NAMESPACE))
    yield Host(scratch=tmp_path / "scratch", run=in_namespace)
    effects.run(("ip", "netns", "delete", NAMESPACE))


def setting(tmp_path: Path, **values: int) -> SetSysctls:
    keys = {"forward": FORWARD, "ttl": TTL, "odd": "net.ipv4.no_such_setting"}
    settings = tuple(Setting(keys[name], str(value)) for name, value in values.items())
    return SetSysctls(
        file=tmp_path / "sysctl.d/90-app.conf", origin=tmp_path / "origin.json", settings=settings, reason="a test"
    )


def applied(step: SetSysctls, host: Host) -> Any:
    undo = step.prepare(host)
    step.apply(host, undo)
    return load_undo(step, dump_undo(step, undo))


def live(host: Host) -> tuple[str, str]:
    return live_value(FORWARD, host), live_value(TTL, host)


def test_settings_come_and_go(tmp_path: Path, host: Host) -> None:
    before = live(host)
    assert before == ("0", "64")
    step = setting(tmp_path, forward=1, ttl=70)
    undo = applied(step, host)
    assert live(host) == ("1", "70")
    assert step.file.read_text().endswith("net.ipv4.ip_forward = 1\nnet.ipv4.ip_default_ttl = 70\n")
    assert step.file.stat().st_mode & 0o777 == 0o644
    for _ in range(2):
        step.undo(undo, host)
        assert live(host) == before
        assert [path.name for path in tmp_path.iterdir()] == ["scratch"]


def test_what_a_later_release_does_not_name_gets_its_old_value_back(tmp_path: Path, host: Host) -> None:
    host.run(("sysctl", "-q", "-w", f"{TTL}=65"))
    applied(setting(tmp_path, forward=1, ttl=70), host)
    later = setting(tmp_path, forward=1)
    undo = applied(later, host)
    assert live(host) == ("1", "65")
    later.undo(undo, host)
    assert live(host) == ("1", "70")
    applied(later, host)
    applied(setting(tmp_path, forward=0), host)
    removal = setting(tmp_path)
    host.run(("sysctl", "-q", "-w", f"{FORWARD}=1"))
    applied(removal, host)
    assert live(host) == ("0", "65")
    assert not removal.file.exists() and not removal.origin.exists()


def test_an_unknown_setting_is_named_before_anything_is_done(tmp_path: Path, host: Host) -> None:
    with pytest.raises(StepError, match="no_such_setting"):
        setting(tmp_path, forward=1, odd=1).prepare(host)
    assert live(host) == ("0", "64")


def test_a_value_that_the_kernel_refuses_is_undone(tmp_path: Path, host: Host) -> None:
    step = setting(tmp_path, forward=1, ttl=7000)
    undo = step.prepare(host)
    with pytest.raises(CommandError):
        step.apply(host, undo)
    step.undo(undo, host)
    assert live(host) == ("0", "64")
    assert not step.file.exists() and not step.origin.exists()
