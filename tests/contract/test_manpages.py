"""The manual pages name every command and option, and groff has nothing to say against them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from tests.contract.test_docs import commands
from tests.manpages import PAGES, Page, roff, write


def read(source: str) -> str:
    """The page as somebody reads it: long lines, no bold. Any warning of groff's fails."""
    command = ("groff", "-man", "-Tutf8", "-ww", "-rLL=400n", "-P-c", "-P-b", "-P-u")
    done = subprocess.run(command, input=source, capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stderr == ""
    return done.stdout


def first_flags(line: str) -> Iterator[str]:
    """The options that a line is about; those that a sentence names do not count."""
    for word in takewhile(lambda word: word.startswith("-"), line.split()):
        yield word.strip(",")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.file_name)
def test_every_command_and_option_is_there(page: Page) -> None:
    shown = read(roff(page))
    lines = shown.splitlines()
    for name, flags in commands(page.command, page.name):
        heading = "Synopsis" if name == page.name else name
        start = lines.index(heading) + 1
        end = next((n for n, line in enumerate(lines) if n >= start and line[:1].strip()), len(lines))
        said = {flag for line in lines[start:end] for flag in first_flags(line)}
        assert flags - {"--help"} <= said, f"{name} lacks {flags - said}"
    assert page.about in shown


def test_a_page_is_the_same_each_time_and_lies_where_it_is_wanted(tmp_path: Path) -> None:
    write(tmp_path / "new" / "man")
    assert sorted(path.name for path in (tmp_path / "new" / "man").iterdir()) == ["NAME-ctl.8", "sealift.1"]
    for page in PAGES:
        assert (tmp_path / "new" / "man" / page.file_name).read_text() == roff(page)
