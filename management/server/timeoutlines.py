"""The lines that set API timeouts: `ApiTimeout.<API> = <inner>, <inner>; 6h`, in a properties file.

A line gives the API's own time, and names the inner work that may take all of it.
"""

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

PREFIX = "ApiTimeout."
FORM = f"{PREFIX}<API class> = <inner class>, <inner class>; <time such as 90s, 30m, 6h, 1d or milliseconds>"
LONGEST_MS = 3650 * 86_400_000
_UNITS = {"": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TIME = re.compile(r"(?P<number>[0-9]{1,18})(?P<unit>[smhd]?)", re.IGNORECASE)


class LineError(Exception):
    """A line, or a part of it, cannot be used; the text says why and what to write."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """An API may take so many milliseconds, and so may the `inner` work that it does."""

    milliseconds: int
    inner: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong on a line, counted from 1."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Lines:
    """A file's timeouts by API, and all of its mistakes."""

    timeouts: dict[str, Timeout]
    mistakes: tuple[Mistake, ...]


def parse_time(text: str) -> int:
    """Milliseconds of `6h`, `90S` or `1500`.

    Raises:
        LineError: it is no time, nothing, or longer than ten years.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise LineError(f"[{text}] is no time; write milliseconds, or a number with s, m, h or d, such as 6h")
    milliseconds = int(found["number"]) * _UNITS[found["unit"].lower()]
    if not 0 < milliseconds <= LONGEST_MS:
        raise LineError(f"[{text}] is no time to wait; write one from 1 millisecond to 3650d")
    return milliseconds


def parse_value(text: str, known: Collection[str]) -> Timeout:
    """What stands right of the `=`; `known` are the inner names that this server knows.

    Raises:
        LineError: every mistake in it is named.
    """
    names, semicolon, time = text.partition(";")
    if not semicolon:
        raise LineError("there is no ';' before the time; write <inner class>, <inner class>; 6h")
    if ";" in time:
        raise LineError("there is more than one ';'; keep the one before the time")
    inner = tuple(name.strip() for name in names.split(",")) if names.strip() else ()
    mistakes = [_unknown("inner class", name, known) for name in inner if name not in known]
    milliseconds = 0
    try:
        milliseconds = parse_time(time.strip())
    except LineError as error:
        mistakes.append(str(error))
    if mistakes:
        raise LineError("; ".join(mistakes))
    return Timeout(milliseconds, tuple(dict.fromkeys(inner)))


def parse_lines(text: str, apis: Collection[str], inner: Collection[str]) -> Lines:
    """A whole file, whose names must be among `apis` and `inner`."""
    timeouts: dict[str, Timeout] = {}
    mistakes: list[Mistake] = []
    seen: dict[str, int] = {}
    for number, line in _logical(text):
        api, found = _parse_line(line, apis, inner)
        wrong = [found] if isinstance(found, str) else []
        if api is not None and api in seen:
            wrong.append(f"{api} has a timeout on line {seen[api]} already; keep one of them")
        if api is not None:
            seen.setdefault(api, number)
        if isinstance(found, Timeout) and api is not None and not wrong:
            timeouts[api] = found
        mistakes += [Mistake(number, each) for each in wrong]
    return Lines(timeouts, tuple(mistakes))


def _parse_line(line: str, apis: Collection[str], inner: Collection[str]) -> tuple[str | None, Timeout | str]:
    """The API that the line is about, and its timeout or what is wrong."""
    key, equals, value = line.partition("=")
    api = key.strip().removeprefix(PREFIX)
    if not equals or not key.strip().startswith(PREFIX):
        return None, f"this sets no API's timeout; write {FORM}"
    wrong = [] if api in apis else [_unknown("API class", api, apis)]
    try:
        timeout = parse_value(value, inner)
    except LineError as error:
        wrong.append(str(error))
    return api, "; ".join(wrong) if wrong else timeout


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines without blank ones and comments; one that ends in a backslash goes on in the next."""
    begun = 0
    parts: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if not parts:
            begun = number
            if not line.strip() or line.lstrip()[0] in "#!":
                continue
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        yield begun, "".join([*parts, line]).strip()
        parts = []


def _unknown(kind: str, name: str, known: Collection[str]) -> str:
    if not name:
        return f"an {kind} is missing" if kind[0] in "aeiou" else f"the {kind} is missing"
    near = difflib.get_close_matches(name, known, 1, 0.8) or _of_that_end(name, known)
    return f"there is no {kind} {name}" + (f"; did you mean {near[0]}?" if near else f"; write {FORM}")


def _of_that_end(name: str, known: Collection[str]) -> list[str]:
    """For somebody who wrote the last part of a name only, or not quite."""
    ends = {re.split(r"[.$]", each)[-1].removeprefix("API"): each for each in sorted(known)}
    end = re.split(r"[.$]", name)[-1].removeprefix("API")
    longer = sorted((each for each in ends if end and each.startswith(end)), key=len)
    return [ends[each] for each in difflib.get_close_matches(end, ends, 1, 0.6) or longer]
