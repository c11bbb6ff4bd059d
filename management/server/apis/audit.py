"""The audit log: every change of every resource, written in the transaction that makes the change (since 1.1.0)."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import event, insert, inspect
from sqlalchemy.orm import Session

from management.server.acting import actor
from management.server.clock import now
from management.server.models.audit import AuditVO
from management.server.models.console import ConsoleProxyAgentVO
from management.server.models.gc import GarbageCollectorVO
from management.server.models.identity import SessionVO
from management.server.models.system import ManagementNodeVO
from management.server.query import Inventory, QueryMessage

if TYPE_CHECKING:
    from management.server.node import Node

UNRECORDED = (AuditVO, SessionVO, ManagementNodeVO, ConsoleProxyAgentVO, GarbageCollectorVO)
"""The server's own bookkeeping. It changes all the time and says nothing about resources."""
SECRET = ("passwordHash",)
UNREMARKABLE = ("lastOpDate", "heartBeat")

AUDIT = Inventory(
    "AuditInventory",
    AuditVO,
    ("id", "resourceType", "resourceUuid", "action", "changes", "accountUuid", "apiName", "createDate"),
    order=("id",),
)


class QueryAudit(QueryMessage):
    """Who changed what, when, from what, to what."""

    wire_name: ClassVar[str] = "org.zstack.header.audit.APIQueryAuditMsg"
    inventory: ClassVar[Inventory] = AUDIT


def join(_node: "Node") -> None:
    """Record from now on. The listener keeps no state, so one serves every database of the process."""
    if not event.contains(Session, "after_flush", _record):
        event.listen(Session, "after_flush", _record)


def _record(session: Session, _context: Any) -> None:
    entries = [
        *(_entry("create", row) for row in session.new),
        *(_entry("update", row) for row in session.dirty),
        *(_entry("delete", row) for row in session.deleted),
    ]
    found = [entry for entry in entries if entry is not None]
    if found:
        session.execute(insert(AuditVO), found)


def _entry(action: str, row: Any) -> dict[str, Any] | None:
    changes = {} if action == "delete" else dict(_changes(row, new=action == "create"))
    if isinstance(row, UNRECORDED) or (action == "update" and not changes):
        return None
    if "deleted" in changes and action == "update":
        action = "delete"
    who = actor()
    return {
        "resourceType": type(row).__name__,
        "resourceUuid": "/".join(map(str, inspect(row).mapper.primary_key_from_instance(row))),
        "action": action,
        "changes": json.dumps(changes, default=_text),
        "accountUuid": who.account_uuid,
        "apiName": who.api_name,
        "createDate": now(),
    }


def _changes(row: Any, *, new: bool) -> Iterator[tuple[str, list[Any]]]:
    state = inspect(row)
    for name in state.mapper.columns.keys():  # noqa: SIM118 -- a collection, no dict
        history = state.attrs[name].history
        before = history.deleted[0] if history.deleted else None
        after = history.added[0] if history.added else None
        if name in UNREMARKABLE or before == after or (new and after is None):
            continue
        yield name, ["******", "******"] if name in SECRET else [before, after]


def _text(value: datetime) -> str:
    return value.isoformat()
