"""Settings of the whole install (since 1.1.0)."""

from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.orm import Session

from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller
from management.server.models.globalconfig import GlobalConfigVO
from management.server.query import Inventory, QueryMessage

if TYPE_CHECKING:
    from management.server.node import Node

GLOBAL_CONFIG = Inventory(
    "GlobalConfigInventory",
    GlobalConfigVO,
    ("category", "name", "description", "defaultValue", "value"),
    order=("category", "name"),
)
CHANGED = "/globalConfig/change"
DELETION_POLICIES = ("Delay", "Direct", "Never")
SETTINGS: dict[tuple[str, str], tuple[str, str]] = {
    ("host", "ping.interval"): ("60", "seconds from one look at the hosts to the next"),
    ("host", "connection.autoReconnectOnError"): ("true", "whether a host that answers again is connected by itself"),
    ("vm", "deletionPolicy"): ("Delay", "what DestroyVmInstance leaves: Delay, Direct (nothing) or Never (all)"),
    ("vm", "dataVolume.deleteOnVmDestroy"): ("false", "whether data volumes go with their VM"),
    ("kvm", "dataVolume.maxNum"): ("24", "how many data volumes a VM may have"),
    ("kvm", "allowEmulation"): ("true", "whether hosts without hardware virtualization may be used"),
}
"""Category and name to default and meaning."""


class QueryGlobalConfig(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.core.config.APIQueryGlobalConfigMsg"
    inventory: ClassVar[Inventory] = GLOBAL_CONFIG


class UpdateGlobalConfig(ApiMessage):
    """The new value must be of the default's kind: a whole number, true or false, or a known word."""

    wire_name: ClassVar[str] = "org.zstack.core.config.APIUpdateGlobalConfigMsg"

    category: str
    name: str
    value: str

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            row = session.get(GlobalConfigVO, (self.category, self.name))
            if row is None:
                raise ApiError("SYS.1003", f"there is no setting {self.category}.{self.name}")
            if not _fits(row, self.value):
                raise ApiError("SYS.1007", f"[{self.value}] is no value for {row.description} ({row.defaultValue})")
            row.value = self.value
            mine = GlobalConfigVO.category == self.category, GlobalConfigVO.name == self.name
            inventory = GLOBAL_CONFIG.show(session, *mine)[0]
        node.events.publish(CHANGED, {"category": self.category, "name": self.name})
        return {"inventory": inventory}


def setting(session: Session, category: str, name: str) -> str:
    """The present value of a setting of this release."""
    row = session.get(GlobalConfigVO, (category, name))
    return row.value if row is not None else SETTINGS[category, name][0]


def join(node: "Node") -> None:
    """Make rows for settings that are new in this release; what was changed stays."""
    with node.database.write() as session:
        for (category, name), (default, meaning) in SETTINGS.items():
            row = session.get(GlobalConfigVO, (category, name)) or GlobalConfigVO(
                category=category, name=name, value=default
            )
            row.defaultValue, row.description = default, meaning
            session.add(row)


def _fits(row: GlobalConfigVO, value: str) -> bool:
    if row.name == "deletionPolicy":
        return value in DELETION_POLICIES
    if row.defaultValue in ("true", "false"):
        return value in ("true", "false")
    return value.isdigit()
