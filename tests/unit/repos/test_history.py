"""Reading what a transaction changed; the outputs are from the real programs."""

from __future__ import annotations

from repos.history import parse_altered

DNF4 = """\
Transaction ID : 2
Return-Code    : Success
Command Line   : -y install tool >= 2 added
Comment        : mine2
Packages Altered:
    Install   added-1-1.noarch     @ours2
    Obsoleted goner-1-1.noarch     @@System
    Upgrade   library-1:2-1.noarch @ours2
    Upgraded  library-1:1-1.noarch @@System
 ** Install   broken-1-1.x86_64    @ours2
Scriptlet output:
   1 something-1-1.noarch was said
"""
DNF5 = """\
Transaction ID : 2
Comment        : mine2
Packages altered:
  Action   Package              Reason     Repository
  Install  added-0:1-1.noarch   User       ours2
  Replaced goner-0:1-1.noarch   User       @System
  Upgrade  library-1:2-1.noarch Dependency ours2
"""


def test_dnf_4() -> None:
    wanted = {("added", "noarch"), ("goner", "noarch"), ("library", "noarch"), ("broken", "x86_64")}
    assert parse_altered(DNF4) == wanted


def test_dnf_5() -> None:
    assert parse_altered(DNF5) == {("added", "noarch"), ("goner", "noarch"), ("library", "noarch")}


def test_nothing() -> None:
    assert parse_altered("Transaction ID : 3\n") == frozenset()
