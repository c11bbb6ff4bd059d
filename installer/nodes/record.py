"""What an upgrade of several nodes has to know after it was cut off: a file beside the inventory, until it is over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints, ValidationError

from installer.writing import write_file
from payload.digest import Digest
from payload.document import Document
from payload.effects import fsync_dir
from payload.errors import IntegrityError, UsageError
from payload.fields import Name

_Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+!_-]{1,60}$")]


class Record(Document):
    """An upgrade that has begun: to which bundle, and what nodes had before. `undoing`: it failed, and goes back."""

    format: Literal[1] = 1
    product: Name
    bundle: Digest
    to: _Version
    before: dict[str, _Version]
    undoing: bool = False


def record_path(inventory: Path) -> Path:
    """Where the record of an upgrade by that inventory lies."""
    return inventory.absolute().with_name(f"{inventory.name}.upgrade.json")


def load_record(path: Path) -> Record | None:
    """The record, if an upgrade was cut off.

    Raises:
        IntegrityError: it is damaged, or of a newer program.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        raise _damaged(path, str(error)) from error


def save_record(path: Path, record: Record) -> None:
    """Write it, durably, before what it says is begun.

    Raises:
        UsageError: that cannot be.
    """
    try:
        write_file(path, record.model_dump_json(indent=2).encode(), mode=0o600)
    except OSError as error:
        raise UsageError("record-unwritable", f"cannot write {path}: {error.strerror}") from error


def remove_record(path: Path) -> None:
    """The upgrade is over."""
    path.unlink(missing_ok=True)
    fsync_dir(path.parent)


def _damaged(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        "record-damaged",
        f"{path} is damaged, or of a newer program",
        details=why,
        remedy="see with NAME-ctl status which release each node has; then remove the file, and run the command again",
    )
