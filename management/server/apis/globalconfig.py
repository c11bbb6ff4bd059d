"""Settings of the whole install, and how long calls may take (since 1.1.0)."""

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.agentcommands import INNER
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller
from management.server.models.globalconfig import ApiTimeoutVO, GlobalConfigVO
from management.server.query import Inventory, QueryMessage
from management.server.timeoutlines import LineError, Timeout, parse_time, parse_value

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
    about: ClassVar[str] = "name"

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
            settings = GLOBAL_CONFIG.show(session, "category", [self.category])
            (inventory,) = (setting for setting in settings if setting["name"] == self.name)
        node.events.publish(CHANGED, {"category": self.category, "name": self.name})
        return {"inventory": inventory}


class GetApiTimeouts(ApiMessage):
    """How long each call may take, in milliseconds, the inner work that may take all of that, and who says so.

    `source` is `changed` (at run time), `file` (that of the node that answers) or `default`.
    """

    wire_name: ClassVar[str] = "org.zstack.core.timeout.APIGetApiTimeoutsMsg"
    sync: ClassVar[bool] = True
    for_everybody: ClassVar[bool] = True

    apiName: str | None = None

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        found = node.timeouts.effective()
        if self.apiName is not None:
            found = {_known(node, self.apiName): found[self.apiName]}
        return {
            "inventories": [
                {
                    "apiName": name,
                    "timeout": each.timeout.milliseconds,
                    "innerNames": list(each.timeout.inner),
                    "source": each.source,
                }
                for name, each in sorted(found.items())
            ]
        }


class ChangeApiTimeout(ApiMessage):
    """Changes how long a call may take, on all nodes, for calls that are accepted from then on.

    `value` is a time (`6h`), or what stands right of the `=` in the file of timeouts (`<class>, <class>; 6h`). Without
    it, what the file or this release says holds again.
    """

    wire_name: ClassVar[str] = "org.zstack.core.timeout.APIChangeApiTimeoutMsg"
    about: ClassVar[str] = "apiName"

    apiName: str
    value: str | None = Field(default=None, max_length=4096)

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        before = node.timeouts.effective()[_known(node, self.apiName)].timeout
        wanted = None if self.value is None else _wanted(self.value, before)
        with node.database.write() as session:
            row = session.get(ApiTimeoutVO, self.apiName)
            if wanted is not None:
                row = row or ApiTimeoutVO(apiName=self.apiName)
                row.milliseconds, row.innerNames = wanted.milliseconds, ", ".join(wanted.inner)
                session.add(row)
            elif row is not None:
                session.delete(row)
        (inventory,) = GetApiTimeouts(apiName=self.apiName).handle(node, _caller)["inventories"]
        return {"inventory": inventory}


def _known(node: "Node", api: str) -> str:
    if api not in node.registry.messages:
        raise ApiError("SYS.1003", f"there is no API message {api}")
    return api


def _wanted(value: str, before: Timeout) -> Timeout:
    try:
        return parse_value(value, INNER) if ";" in value else Timeout(parse_time(value.strip()), before.inner)
    except LineError as error:
        raise ApiError("SYS.1007", f"field[value]: {error}") from error


def _changed(node: "Node") -> dict[str, Timeout]:
    with node.database.read() as session:
        rows = session.scalars(select(ApiTimeoutVO)).all()
    # A newer release may know inner work that this one does not.
    split = {row.apiName: tuple(name for name in row.innerNames.split(", ") if name in INNER) for row in rows}
    return {row.apiName: Timeout(row.milliseconds, split[row.apiName]) for row in rows}


def setting(session: Session, category: str, name: str) -> str:
    """The present value of a setting of this release."""
    row = session.get(GlobalConfigVO, (category, name))
    return row.value if row is not None else SETTINGS[category, name][0]


def join(node: "Node") -> None:
    """Make rows for settings that are new in this release; what was changed stays. Have changed timeouts obeyed."""
    node.timeouts.follow(partial(_changed, node))
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
