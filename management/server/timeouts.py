"""How long calls and their inner work may take: what a call says, else what is changed at run time, else what this
node's file says, else what this release says."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from management import deadlines
from management.server.agentcommands import ALIASES, COMMANDS, DOWNLOAD_IMAGE, INNER
from management.server.config import ConfigError
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Registry
from management.server.timeoutlines import Timeout, parse_lines

CALL_MS = 1_800_000
MESSAGE_SECONDS = 1800.0
COMMAND_SECONDS = 300.0
LONG_MS = 10_800_000
LONG: Mapping[str, tuple[str, ...]] = {
    "org.zstack.header.image.APIAddImageMsg": (
        DOWNLOAD_IMAGE,
        COMMANDS["/sftpbackupstorage/download"],
        *sorted(ALIASES),
    ),
    "org.zstack.header.vm.APIMigrateVmMsg": (COMMANDS["/vm/migrate"],),
}
"""The calls of this release that move whole disks, and the inner work that takes their time."""

DEFAULT, FILE, CHANGED = "default", "file", "changed"
Changes = Callable[[], Mapping[str, Timeout]]

_whole: ContextVar[frozenset[str]] = ContextVar("whole", default=frozenset())
"""The inner work that may take all of the present call's time."""


@dataclass(frozen=True, slots=True)
class Effective:
    """The timeout that holds for an API, and where it comes from."""

    timeout: Timeout
    source: str


class Timeouts:
    """The table of one node. What is changed at run time is asked for anew each time, so that all nodes agree."""

    def __init__(self, registry: Registry, configured: Mapping[str, Timeout]) -> None:
        self._messages = registry.messages
        self._configured = configured
        self._changes: Changes = dict

    def follow(self, changes: Changes) -> None:
        """Ask `changes` what was changed at run time."""
        self._changes = changes

    def effective(self) -> dict[str, Effective]:
        """What holds for each API of this release."""
        entries = self._entries()
        return {name: _of(kind, entries) for name, kind in self._messages.items()}

    def of_call(self, kind: type[ApiMessage], fields: Mapping[str, Any]) -> int:
        """Milliseconds that such a call may take. A `timeout` that is no number is the checks' business."""
        given = fields.get("timeout", -1)
        if isinstance(given, int) and not isinstance(given, bool) and given > 0:
            return given
        return _of(kind, self._entries()).timeout.milliseconds

    @contextmanager
    def bound(self, kind: type[ApiMessage], seconds: float) -> Iterator[None]:
        """What is inside is done for such a call, which may take `seconds` more."""
        token = _whole.set(frozenset(_of(kind, self._entries()).timeout.inner))
        try:
            with deadlines.within(seconds):
                yield
        finally:
            _whole.reset(token)

    def of_command(self, path: str) -> float:
        """Seconds that an agent may take for `path` now, 0 when there is no time left."""
        return self._of_inner(COMMANDS.get(path, path), COMMAND_SECONDS)

    @contextmanager
    def inner(self, message: str) -> Iterator[None]:
        """What is inside is the work of an inner message."""
        with deadlines.within(self._of_inner(message, MESSAGE_SECONDS)):
            yield

    def _of_inner(self, name: str, default: float) -> float:
        if name in _whole.get():
            return deadlines.remaining()
        # Several APIs may name the same work: the longest time is the one that is right for all.
        named = [each.timeout for each in self._entries().values() if name in each.timeout.inner]
        return deadlines.clip(max((each.milliseconds / 1000 for each in named), default=default))

    def _entries(self) -> dict[str, Effective]:
        """What is said for the classes that have something said for them."""
        sources = ((DEFAULT, _LONG_CALLS), (FILE, self._configured), (CHANGED, self._changes()))
        return {name: Effective(timeout, source) for source, table in sources for name, timeout in table.items()}


def load_timeouts(path: Path | None, registry: Registry) -> dict[str, Timeout]:
    """Read the file of timeout lines; without one there are none.

    Raises:
        ConfigError: it cannot be read, or has mistakes (all of them are named, each with its line).
    """
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is not UTF-8; write it as text") from error
    lines = parse_lines(text, registry.messages, INNER)
    if lines.mistakes:
        raise ConfigError("\n".join(f"{path}:{mistake.line}: {mistake.text}" for mistake in lines.mistakes))
    return lines.timeouts


def check_time() -> None:
    """Return while there is time left.

    Raises:
        ApiError: SYS.1001.
    """
    if deadlines.passed():
        raise ApiError("SYS.1001", "the time that the call may take is over")


def late(kind: type[ApiMessage], milliseconds: int, cause: ApiError | None = None) -> ApiError:
    """The answer to a call whose time was over before it was finished."""
    return ApiError("SYS.1001", f"message[{kind.wire_name}] was not finished within {milliseconds / 1000:g} s", cause)


def _of(kind: type[ApiMessage], entries: Mapping[str, Effective]) -> Effective:
    """What holds for a message class. One without an entry of its own has its base's."""
    own = (entries[name] for name in _names(kind) if name in entries)
    return next(own, Effective(Timeout(CALL_MS), DEFAULT))


def _names(kind: type[ApiMessage]) -> Iterator[str]:
    """The message's own name, and those of the messages that it is derived from."""
    for base in kind.__mro__:
        if base.__dict__.get("wire_name"):
            yield base.__dict__["wire_name"]


_LONG_CALLS = {api: Timeout(LONG_MS, inner) for api, inner in LONG.items()}
