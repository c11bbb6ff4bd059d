"""Looking again and again: in place on a terminal, as lines elsewhere, following what happens to the product."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from installer import control
from installer.views import View
from installer.watching import watch
from payload.errors import UsageError
from tests.paths import CHECKOUT
from tests.unit.installer.lab import UPGRADE, Lab

PROGRAM = """
import sys
from itertools import count
from installer.views import View
from installer.watching import watch
n = count()
watch(lambda: View({"n": 1}, (f"look {next(n)}",)), sys.stdout, 0.05)
print("ended well")
"""


def turns(*actions: Callable[[], object]) -> Callable[[float], None]:
    """A pause in which something happens; after the last one somebody presses Ctrl-C."""
    left = iter(actions)

    def pause(seconds: float) -> None:
        assert seconds == 0.5
        action = next(left, None)
        if action is None:
            raise KeyboardInterrupt
        action()

    return pause


def test_lines_begin_with_the_time_and_follow_an_upgrade(lab: Lab) -> None:
    lab.run("1.0.0")
    out = io.StringIO()
    happens = turns(lambda: control.stop(lab.found()), lambda: lab.run("1.1.0", UPGRADE))
    watch(lambda: control.status(lab.found()), out, 0.5, pause=happens)
    lines = out.getvalue().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines)
    said = [line.partition(" ")[2] for line in lines]
    assert [line for line in said if line.startswith("App ")] == [
        f"App {version} in {lab.layout.prefix}" for version in ("1.0.0", "1.0.0", "1.1.0")
    ]
    assert [line for line in said if "app.service" in line] == [
        "  app.service: active", "  app.service: inactive", "  app.service: inactive",
    ]  # fmt: skip


def test_json_is_one_object_a_line() -> None:
    out = io.StringIO()
    watch(lambda: View({"n": 1}, ("x",)), out, 0.5, as_json=True, pause=turns(lambda: None))
    assert [set(json.loads(line)) for line in out.getvalue().splitlines()] == [{"time", "n"}] * 2


def test_an_error_ends_it() -> None:
    views = iter([View({}, ("one",))])

    def look() -> View:
        for view in views:
            return view
        raise UsageError("nothing-installed", "it was removed")

    out = io.StringIO()
    with pytest.raises(UsageError):
        watch(look, out, 0.5, pause=turns(lambda: None))
    assert out.getvalue().endswith(" one\n")


def test_on_a_terminal_it_is_drawn_in_place_and_ends_well_by_ctrl_c() -> None:
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "PYTHONPATH": str(CHECKOUT)}
    child = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=follower, env=environment)
    os.close(follower)
    seen = b""
    while b"look 3" not in seen:
        seen += os.read(leader, 4096)
    for _ in range(3):  # whoever presses it once more does no harm
        child.send_signal(signal.SIGINT)
    while True:
        try:
            block = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        seen += block
    os.close(leader)
    assert child.wait(timeout=30) == 0
    assert b"\x1b[" in seen and b"Ctrl-C ends this" in seen and seen.rstrip().endswith(b"ended well")
