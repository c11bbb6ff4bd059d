"""Which packages of a host differ from what the release brought."""

from __future__ import annotations

from installer.drift.packages import version_findings
from repos.nevra import Nevra


def nevras(*texts: str) -> list[Nevra]:
    return [Nevra.parse(text) for text in texts]


def test_another_version_and_a_removed_package_are_named() -> None:
    expected = nevras("here-1-1.x86_64", "newer-1-1.x86_64", "gone-1:2-3.noarch", "twice-1-1.x86_64")
    installed = nevras(
        "here-1-1.x86_64",
        "newer-2-1.x86_64",
        "newer-1-1.i686",
        "twice-1-1.x86_64",
        "twice-2-1.x86_64",
        "other-1-1.x86_64",
    )
    seen = {finding.subject: finding for finding in version_findings(expected, installed)}
    assert {name: finding.kind for name, finding in seen.items()} == {"gone": "missing", "newer": "version"}
    assert seen["newer"].text == "the release brought newer-1-1.x86_64, and this host has newer-2-1.x86_64"
    assert all(finding.fix == "operator" for finding in seen.values())
