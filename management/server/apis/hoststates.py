"""Taking hosts out of service and back (since 1.1.0)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from management.server.apis.hosts import HOST
from management.server.messages import Resource
from management.server.models.hosts import HostVO
from management.server.query import Inventory
from management.server.resources import ChangeState


class ChangeHostState(ChangeState):
    """`enable`, `disable`, or `maintain`. A host in maintenance gets no new VMs and is not reconnected."""

    wire_name: ClassVar[str] = "org.zstack.header.host.APIChangeHostStateMsg"
    inventory: ClassVar[Inventory] = HOST
    moves: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "enable": dict.fromkeys(("Enabled", "Disabled", "PreMaintenance", "Maintenance"), "Enabled"),
        "disable": dict.fromkeys(("Enabled", "Disabled"), "Disabled"),
        "maintain": dict.fromkeys(("Enabled", "Disabled", "PreMaintenance", "Maintenance"), "Maintenance"),
    }

    uuid: Annotated[str, Resource(HostVO)]
