"""Time as the server stores it (naive UTC) and as the API prints it (local, en-US)."""

from datetime import UTC, datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WIRE_FORMAT = "%b %d, %Y %I:%M:%S %p"


def now() -> datetime:
    """The present, in UTC without a zone: what the database holds."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_wire(moment: datetime) -> str:
    """`moment` as the API prints it, e.g. `Mar 26, 2016 12:53:17 PM`, in the server's own zone."""
    local = moment.replace(tzinfo=UTC).astimezone()
    half = "AM" if local.hour < 12 else "PM"
    date = f"{_MONTHS[local.month - 1]} {local.day}, {local.year}"
    return f"{date} {local.hour % 12 or 12}:{local.minute:02}:{local.second:02} {half}"


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
