"""Work on one resource takes turns on all nodes of a site, not only within each (since 1.1.0)."""

from typing import TYPE_CHECKING

from management.server.node import too_late
from management.server.sitelocks import SiteLocks

if TYPE_CHECKING:
    from management.server.node import Node


def join(node: "Node") -> None:
    """Nodes that share a database share their locks. An SQLite file has one node, which needs no rows for them."""
    if node.database.shared:
        node.locks = locks = SiteLocks(node.database, node.uuid, too_late)
        node.at_close(locks.close)
