"""Time as the server stores it (naive UTC) and as the API prints it (local, en-US)."""

import time
from datetime import UTC, datetime, timedelta

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH, _SECOND = datetime(1970, 1, 1), timedelta(seconds=1)
WIRE_FORMAT = "%b %d, %Y %I:%M:%S %p"


def now() -> datetime:
    """The present, in UTC without a zone: what the database holds."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_wire(moment: datetime) -> str:
    """`moment` as the API prints it, e.g. `Mar 26, 2016 12:53:17 PM`, in the server's own zone."""
    # A third of the time of datetime.astimezone(), and a query's answer may have thousands.
    year, month, day, hour, minute, second, *_ = time.localtime((moment - _EPOCH) // _SECOND)
    half = "AM" if hour < 12 else "PM"
    return f"{_MONTHS[month - 1]} {day}, {year} {hour % 12 or 12}:{minute:02}:{second:02} {half}"


def from_wire(text: str) -> datetime:
    """The moment that `text` names: the printed form or ISO 8601.

    Raises:
        ValueError: it is neither.
    """
    try:
        parsed = datetime.strptime(text, WIRE_FORMAT)
    except ValueError:
        parsed = datetime.fromisoformat(text)
    return parsed.astimezone(UTC).replace(tzinfo=None)
