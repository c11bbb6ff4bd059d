"""Structured logs: one JSON object a line, with the request and the call that it belongs to."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

NOISY = ("httpx", "httpcore", "alembic", "uvicorn.error")
_marks: ContextVar[dict[str, str]] = ContextVar("marks", default={})  # noqa: B039 -- it is replaced, never changed


@contextmanager
def marked(**marks: str) -> Iterator[None]:
    """Whatever is logged inside, in this thread or task, carries these, e.g. `request="7f3a"`."""
    token = _marks.set({**_marks.get(), **marks})
    try:
        yield
    finally:
        _marks.reset(token)


class JsonFormatter(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `message`, the marks, and `exception` with its traceback if there was one."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_marks.get(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(level: str) -> None:
    """Log to standard error, which the service manager keeps."""
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[stream], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
