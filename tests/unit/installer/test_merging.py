from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installer.merging import Conflict, Merged, merge

BASE = "a = 1\n# b\nb = 2\n# c\nc = 3\n"

_LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n", "e\n", "\n"]), max_size=8).map("".join)


@pytest.mark.parametrize(
    ("found", "base", "new", "merged"),
    [
        pytest.param(None, None, "x\n", Merged("x\n"), id="first install"),
        pytest.param(None, "old\n", "x\n", Merged("x\n"), id="the file is gone"),
        pytest.param("old\n", "old\n", "x\n", Merged("x\n"), id="not edited"),
        pytest.param("mine\n", "old\n", "old\n", Merged("mine\n"), id="nothing new"),
        pytest.param("x\n", None, "x\n", Merged("x\n"), id="the same already"),
        pytest.param("mine\n", None, "x\n", Merged("mine\n", True, (Conflict(1, ("mine",), ("x",)),)), id="unknown"),
        pytest.param(
            BASE.replace("a = 1", "a = 7"),
            BASE,
            BASE + "d = 4\n",
            Merged(BASE.replace("a = 1", "a = 7") + "d = 4\n"),
            id="both, in different places",
        ),
        pytest.param(
            BASE.replace("c = 3", "c = 7"),
            BASE,
            BASE.replace("c = 3", "c = 9").replace("# b", "# B"),
            Merged(BASE.replace("c = 3", "c = 7").replace("# b", "# B"), True, (Conflict(5, ("c = 7",), ("c = 9",)),)),
            id="both, in the same place",
        ),
        pytest.param(
            "a = 1\nmine", "a = 1\n", "# new\na = 1\n", Merged("# new\na = 1\nmine"), id="no line feed at the end"
        ),
    ],
)
def test_what_becomes_of_a_file(found: str | None, base: str | None, new: str, merged: Merged) -> None:
    assert merge(found, base, new) == merged


def test_a_merge_that_does_not_parse_is_a_conflict_as_a_whole() -> None:
    base = "a = 1\n# end\n"
    mine, new = "b = 2\na = 1\n# end\n", "a = 1\n# end\nb = 3\n"
    assert merge(mine, base, new, name="x.conf").conflicts == ()
    found = merge(mine, base, new, name="x.toml")
    assert (found.content, found.shown, len(found.conflicts)) == (mine, True, 1)
    assert merge("}", "{", "{}", name="x.json").content == "}"


@given(found=_LINES, base=_LINES, new=_LINES)
def test_no_line_of_the_operators_is_lost(found: str, base: str, new: str) -> None:
    """What the operator wrote and the vendor never had is there, as often; without an edit there is no conflict."""
    merged = merge(found, base, new)
    for line in set(found.splitlines()):
        added = found.splitlines().count(line) - base.splitlines().count(line)
        assert merged.content.splitlines().count(line) >= min(added, 1) or line in new.splitlines()
    assert merge(base, base, new) == Merged(new)
    assert merge(found, base, base).content == found
    assert merge(new, base, new) == Merged(new)
    assert bool(merged.conflicts) == merged.shown


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.sampled_from(["", "mine", "theirs"]), min_size=3, max_size=9), end=st.booleans())
def test_a_clean_merge_is_the_one_of_git(tmp_path: Path, places: list[str], end: bool) -> None:
    """Blocks of distinct lines, of which each side changes some, never the same and never neighbours."""
    base = [f"{n}.{part}\n" for n in range(len(places)) for part in range(3)]
    mine, theirs = list(base), list(base)
    for n, who in enumerate(places):
        if who:
            {"mine": mine, "theirs": theirs}[who][3 * n + 1] = f"{who} {n}\n"
    if end:
        theirs.append("the end\n")
    texts = ["".join(lines) for lines in (mine, base, theirs)]
    for name, text in zip(("mine", "base", "theirs"), texts, strict=True):
        (tmp_path / name).write_text(text)
    git = subprocess.run(
        ["git", "merge-file", "-p", "mine", "base", "theirs"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert merge(*texts) == Merged(git.stdout)
