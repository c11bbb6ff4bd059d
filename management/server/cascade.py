"""Deleting a resource with everything that hangs on it: check all, then children before parents, then the row.

Each kind of row says once what it hangs on. A parent knows nothing of its children.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, select

from management.server.clock import now
from management.server.errors import ApiError
from management.server.models import Base

if TYPE_CHECKING:
    from management.server.node import Node

log = logging.getLogger(__name__)

Effect = Callable[["Node", Any, bool], None]
"""What happens to a row: (node, row, force)."""


@dataclass(frozen=True)
class Parent:
    """A child's `column` names a row of `model`. When that row goes, `effect` befalls the child; None deletes it."""

    model: type[Base]
    column: str
    effect: Effect | None = None


@dataclass(frozen=True)
class Kind:
    """How rows of `model` are deleted.

    `check` raises when a row may not go; an enforced deletion does not ask it. `remove` is what it takes beyond the
    row, and must leave the row deleted; without it the row is only erased. `cleanup` is told after the whole
    cascade has succeeded.
    """

    model: type[Base]
    parents: tuple[Parent, ...] = ()
    check: Callable[["Node", Any], None] | None = None
    remove: Effect | None = None
    cleanup: Callable[["Node", Any], None] | None = None

    def __post_init__(self) -> None:
        KINDS[self.model] = self


KINDS: dict[type[Base], Kind] = {}
"""Every kind of this release by its model."""


def delete(node: "Node", model: type[Base], uuid: str, *, force: bool) -> None:
    """Delete the row and what hangs on it. With `force`, checks are not made and failures are only logged.

    Raises:
        ApiError: SYS.1004, with the reason as its cause. When a check refused, nothing was changed.
    """
    with node.database.read() as session:
        row = session.get_one(model, uuid)
    kind = KINDS[model]
    try:
        if not force:
            _check(node, kind, row)
        for done_kind, done in list(_remove(node, kind, row, force)):
            if done_kind.cleanup is not None:
                done_kind.cleanup(node, done)
    except ApiError as error:
        text = f"{model.__name__.removesuffix('VO')}[uuid:{uuid}] was not deleted"
        raise ApiError("SYS.1004", text, error) from error


def erase(node: "Node", row: Any) -> None:
    """Mark the row as deleted, or delete it for good when its kind is not deleted softly."""
    with node.database.write() as session:
        current = session.get(type(row), inspect(row).identity)
        if current is None:
            return
        if hasattr(current, "deleted"):
            current.deleted = now()
        else:
            session.delete(current)


def _children(kind: Kind) -> Iterator[tuple[Kind, Parent]]:
    """Kinds that hang on this one, or on a base of its model."""
    for child in KINDS.values():
        for parent in child.parents:
            if issubclass(kind.model, parent.model):
                yield child, parent


def _rows(node: "Node", child: Kind, parent: Parent, row: Any) -> Sequence[Any]:
    model: Any = child.model
    wanted = select(model).where(getattr(model, parent.column) == row.uuid)
    if hasattr(model, "deleted"):
        wanted = wanted.where(model.deleted.is_(None))
    with node.database.read() as session:
        return session.scalars(wanted).all()


def _kind_of(row: Any) -> Kind:
    """The narrowest kind: rows of derived models may have their own."""
    return next(KINDS[model] for model in type(row).__mro__ if model in KINDS)


def _check(node: "Node", kind: Kind, row: Any) -> None:
    if kind.check is not None:
        kind.check(node, row)
    for child, parent in _children(kind):
        if parent.effect is None and hasattr(child.model, "uuid"):
            for found in _rows(node, child, parent, row):
                _check(node, _kind_of(found), found)


def _remove(node: "Node", kind: Kind, row: Any, force: bool) -> Iterator[tuple[Kind, Any]]:
    """Remove children, then the row; yields what is gone."""
    if hasattr(kind.model, "uuid"):
        for child, parent in _children(kind):
            for found in _rows(node, child, parent, row):
                if parent.effect is None:
                    yield from _remove(node, _kind_of(found), found, force)
                else:
                    _apply(node, parent.effect, found, force)
    if kind.remove is not None:
        _apply(node, kind.remove, row, force)
        if not force:
            yield kind, row
            return
    erase(node, row)
    yield kind, row


def _apply(node: "Node", effect: Effect, row: Any, force: bool) -> None:
    try:
        effect(node, row, force)
    except ApiError as error:
        if not force:
            raise
        log.warning("an enforced deletion goes on although %s", error)
