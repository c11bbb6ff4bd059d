"""Scripts depend on the exit codes: the table is pinned, and the documentation shows the same one."""

from __future__ import annotations

from payload.errors import ExitCode, SealiftError
from tests.paths import CHECKOUT

TABLE = {
    "OK": 0,
    "USAGE": 2,
    "INTEGRITY": 10,
    "TRUST": 11,
    "INPUT": 12,
    "RESOLVE": 13,
    "PREFLIGHT": 20,
    "BUSY": 21,
    "ROLLED_BACK": 30,
    "NEEDS_OPERATOR": 31,
    "INTERNAL": 70,
    "INTERRUPTED": 130,
}


def test_the_table() -> None:
    assert {code.name: code.value for code in ExitCode} == TABLE


def test_the_documentation_shows_it() -> None:
    text = (CHECKOUT / "docs" / "operating.md").read_text()
    for code in ExitCode:
        assert f"| {code.value} |" in text, f"docs/operating.md does not explain exit code {code.value}"


def test_every_kind_of_error_has_its_own_code() -> None:
    codes = [kind.exit_code for kind in SealiftError.__subclasses__()]
    assert len(codes) == len(set(codes))


def test_an_error_says_what_where_why_and_what_to_do() -> None:
    text = str(SealiftError("some-code", "it broke", details="here", remedy="mend it"))
    assert text == "it broke [some-code]\nhere\nWhat to do: mend it"
