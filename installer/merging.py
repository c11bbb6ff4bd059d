"""A configuration file between its operator and its vendor: a three-way merge that loses no line of the operator's.

Pure. Three texts meet: `found` is the operator's, `base` what the last release shipped, `new` what this one ships.
A change of one side is taken. Where both changed the same lines, the operator's stay, and that is a conflict.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Conflict:
    """Lines that both sides changed. `line` is where the operator's stand, counted from 1."""

    line: int
    operators: tuple[str, ...]
    shipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """`content` is what the file is to hold. `shown`: the new default is to lie beside it, for somebody to look at."""

    content: str
    shown: bool = False
    conflicts: tuple[Conflict, ...] = ()


def merge(found: str | None, base: str | None, new: str, *, name: str = "") -> Merged:
    """What becomes of a file. `found` is None when it is not there, `base` when it is not known what was shipped.

    `name` is the file's: of TOML and JSON, a merge that does not parse, of texts that do, is a conflict as a whole.
    """
    if found is None or found in {base, new}:
        return Merged(new)
    if base == new:
        return Merged(found)
    whole = Conflict(1, _bare(_lines(found)), _bare(_lines(new)))
    if base is None:
        return Merged(found, True, (whole,))
    lines, conflicts = _merge_lines(_lines(found), _lines(base), _lines(new))
    content = "".join(lines)
    if _parses(name, found) and _parses(name, new) and not _parses(name, content):
        return Merged(found, True, (whole,))
    return Merged(content, bool(conflicts), tuple(conflicts))


def _merge_lines(mine: list[str], base: list[str], theirs: list[str]) -> tuple[list[str], list[Conflict]]:
    lines: list[str] = []
    conflicts: list[Conflict] = []
    for chunk, old, other in _regions(mine, base, theirs):
        taken = other if chunk == old else chunk
        if other not in (old, taken):
            conflicts.append(Conflict(len(lines) + 1, _bare(chunk), _bare(other)))
        if taken and lines and not lines[-1].endswith("\n"):  # one side ended there, and the other goes on
            lines[-1] += "\n"
        lines += taken
    return lines, conflicts


def _regions(
    mine: list[str], base: list[str], theirs: list[str]
) -> Iterator[tuple[Sequence[str], Sequence[str], Sequence[str]]]:
    """The three texts cut at the lines of `base` that both others kept: each piece is kept by all, or changed."""
    in_mine, in_theirs = _kept(base, mine), _kept(base, theirs)
    m = b = t = 0
    for line in (*(n for n in range(len(base)) if n in in_mine and n in in_theirs), len(base)):
        to_mine = in_mine.get(line, len(mine))
        to_theirs = in_theirs.get(line, len(theirs))
        yield mine[m:to_mine], base[b:line], theirs[t:to_theirs]
        if line < len(base):
            yield mine[to_mine : to_mine + 1], base[line : line + 1], theirs[to_theirs : to_theirs + 1]
        m, b, t = to_mine + 1, line + 1, to_theirs + 1


def _kept(base: list[str], other: list[str]) -> Mapping[int, int]:
    """Which lines of `base` are in `other`, and where."""
    blocks = SequenceMatcher(None, base, other, autojunk=False).get_matching_blocks()
    return {one + n: two + n for one, two, size in blocks for n in range(size)}


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _bare(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.rstrip("\r\n") for line in lines)


_PARSERS: Mapping[str, Callable[[str], Any]] = {".toml": tomllib.loads, ".json": json.loads}


def _parses(name: str, text: str) -> bool:
    parse = _PARSERS.get(Path(name).suffix)
    if parse is None:
        return True
    try:
        parse(text)
    except ValueError:
        return False
    return True
