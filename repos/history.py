"""Which packages a transaction of ours changed, as the package manager's own history says.

Undoing is for exactly that transaction: between a crash and its undoing, an administrator may have installed and
removed other things, and those are left as they are. The transaction is known by a comment that nobody else gives.
"""

from __future__ import annotations

import re
from itertools import takewhile

from payload import effects
from payload.errors import InputError
from repos.dialect import Dialect
from repos.nevra import Nevra

Package = tuple[str, str]
"""Name and architecture."""

_NUMBER = re.compile(r"^\s*(\d+)\s", re.MULTILINE)
_COMMENT = re.compile(r"^Comment\s*: (.*)$", re.MULTILINE)
_ALTERED = re.compile(r"^Packages [Aa]ltered", re.MULTILINE)
_LATEST = 30
"""So many transactions are looked through, newest first."""


def altered_by(dialect: Dialect, comment: str) -> frozenset[Package] | None:
    """The packages that transactions with `comment` installed, changed or removed: none if nothing was begun. None if
    this package manager keeps no comments, or its history cannot be read."""
    if not dialect.keeps_comments:
        return None
    listing = effects.run(dialect.history_list(), check=False)
    if listing.returncode != 0:
        return None
    numbers = [int(number) for number in _NUMBER.findall(listing.output)]
    found: set[Package] = set()
    for number in sorted(numbers, reverse=True)[:_LATEST]:
        text = effects.run(dialect.history_info(number), check=False).output
        if (match := _COMMENT.search(text)) and match[1].strip() == comment:
            found |= parse_altered(text)
    return frozenset(found)


def parse_altered(text: str) -> frozenset[Package]:
    """The packages in what `history info` prints of a transaction."""
    match = _ALTERED.search(text)
    if match is None:
        return frozenset()
    _, *lines = text[match.end() :].splitlines()
    rows = (line.split() for line in takewhile(lambda line: line.startswith(" "), lines))
    return frozenset(package for row in rows for package in _package(row))


def _package(row: list[str]) -> tuple[Package, ...]:
    """The package of a row; a mark may stand between the action and it when it did not go well."""
    for word in row[1:3]:
        try:
            nevra = Nevra.parse(word)
        except InputError:
            continue
        return ((nevra.name, nevra.arch),)
    return ()
