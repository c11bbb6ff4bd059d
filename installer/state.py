"""What is installed on this host, as `state.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from installer.layout import Layout
from payload.digest import Digest
from payload.document import Document
from payload.errors import IntegrityError, UsageError
from payload.fields import Name
from payload.version import Version

AnswerValue = str | int | bool


class ReleaseRecord(Document):
    """A release that lies on this host."""

    version: Version
    installed_at: str
    bundle: Digest
    """What the release is, however it came: see `payload.index.release_digest`."""
    config: dict[str, Digest] = Field(default_factory=dict)
    """Digest of each configuration file as it was rendered, by path: tells an operator's edit from a new default."""
    database_backup: str | None = None
    """The database as it was when the host left this release for a newer one."""
    config_snapshot: str | None = None
    """The configuration at the same moment."""


class State(Document):
    """The whole state. Holds no secret."""

    format: Literal[1] = 1
    product: Name
    prefix: str
    current: Version
    releases: tuple[ReleaseRecord, ...]
    packages_added: tuple[str, ...] = ()
    """Names of the packages that installs of this product brought to the host."""
    mirror: str | None = None
    bundle_first: bool = False
    answers: dict[str, AnswerValue] = Field(default_factory=dict)
    units: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    user_created: bool = False

    def release(self, version: object) -> ReleaseRecord | None:
        """The record of `version`."""
        return next((record for record in self.releases if str(record.version) == str(version)), None)

    @property
    def current_record(self) -> ReleaseRecord:
        """The record of the current release."""
        record = self.release(self.current)
        if record is None:
            raise IntegrityError("state-damaged", f"state names {self.current} as current, but has no record of it")
        return record

    def to_text(self) -> str:
        """The file's content."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"


def parse_state(text: str, where: Path) -> State:
    """Read a state file's content.

    Raises:
        IntegrityError: it is no state, or one of a newer installer.
    """
    try:
        body = json.loads(text)
    except ValueError as error:
        raise _damaged(where, str(error)) from error
    if isinstance(body, dict) and isinstance(body.get("format"), int) and body["format"] > 1:
        raise IntegrityError(
            "state-newer",
            f"{where} was written by a newer installer (format {body['format']}, this one knows 1)",
            remedy="use the bundle or the control command of the installed release",
        )
    try:
        return State.model_validate(body)
    except ValidationError as error:
        raise _damaged(where, str(error)) from error


def load_state(layout: Layout) -> State | None:
    """The state of this host; None when the product is not installed.

    Raises:
        IntegrityError: the file is damaged or newer than this program.
    """
    try:
        text = layout.state_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise UsageError(
            "not-root",
            f"only root can see what is installed ({layout.state_file})",
            remedy="run it with sudo, or as root",
        ) from error
    return parse_state(text, layout.state_file)


def _damaged(where: Path, why: str) -> IntegrityError:
    return IntegrityError(
        "state-damaged",
        f"{where} is damaged",
        details=why,
        remedy="put back a copy of the file from a backup of this host; nothing was changed",
    )
