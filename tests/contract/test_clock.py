"""The wall clock, which can be set, gives labels and dates. Waits and durations go by the monotonic one."""

from __future__ import annotations

import ast
from itertools import chain

import pytest

from tests.paths import CHECKOUT, PACKAGES, sources

NUMBERS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
"""What gives the time of day as something to reckon with. As text (`strftime`, of `gmtime`) it is only shown."""

KNOWN = {
    "builder/cli.py": "dates: the end of a keyring",
    "installer/backup/making.py": "a label: when a backup was made",
    "installer/facts/services.py": "a fact about the host, which preflight judges",
    "installer/opened.py": "dates: the end of a keyring",
    "installer/support/collect.py": "a label: the time of a file in an archive",
    "management/server/certificates.py": "dates: the days of a certificate",
    "management/server/clock.py": "a label: when something was made or changed",
    "management/server/migrations/versions/v1_0_0_inventory.py": "a label, as that",
    "management/server/work.py": "ends of calls, which outlive a restart; labels; the age of old calls",
    "payload/sinks.py": "a label: the time of an event",
}
RECKONS = {"management/server/work.py"}
"""Of those the ones that add to it, or take from it."""


def reads(tree: ast.AST) -> bool:
    """Whether a piece of code reads the wall clock as a number."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == "time"
            and {f"time.{a.name}" for a in node.names} & NUMBERS
        ):
            return True
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if f"{owner}.{node.attr}" in NUMBERS:
                return True
    return False


def reckons(tree: ast.AST) -> bool:
    """Whether what it reads is computed with or compared at once, as waits and durations do."""
    sums = (node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub))
    others = (node for node in ast.walk(tree) if isinstance(node, ast.Compare | ast.AugAssign))
    return any(reads(node) for node in chain(sums, others))


def parsed() -> dict[str, ast.Module]:
    return {str(path.relative_to(CHECKOUT)): ast.parse(path.read_text()) for path in sources(*PACKAGES)}


def test_every_module_that_reads_the_wall_clock_has_a_reason() -> None:
    assert {name for name, tree in parsed().items() if reads(tree)} == KNOWN.keys()


def test_waits_and_durations_go_by_another_clock() -> None:
    assert {name for name, tree in parsed().items() if reckons(tree)} == RECKONS


@pytest.mark.parametrize(
    ("text", "read", "reckoned"),
    [
        ("ends = time.time() + 5", True, True),
        ("while time.time() < ends: pass", True, True),
        ("made = int(time.time())", True, False),
        ("from time import time", True, False),
        ("old = datetime.now(UTC) - age", True, True),
        ("made = datetime.datetime.now(UTC)", True, False),
        ("ends = time.monotonic() + 5", False, False),
        ("text = time.strftime('%Y', time.gmtime())", False, False),
    ],
)
def test_the_examination_sees_each_way_to_ask(text: str, read: bool, reckoned: bool) -> None:
    tree = ast.parse(text)
    assert (reads(tree), reckons(tree)) == (read, reckoned)
