"""Replacing the virtual router's services of an L3 network by the flat provider's, through a real server."""

from typing import Any

HEADER = "org.zstack.header"
SERVICE = f"{HEADER}.network.service.API"


def answer(server: Any, session: dict[str, str], message: str, /, **fields: Any) -> dict[str, Any]:
    (found,) = server.post(message, session=session, **fields).values()
    return dict(found)


def provider(server: Any, session: dict[str, str], kind: str) -> dict[str, Any]:
    conditions = [{"name": "type", "op": "=", "value": kind}]
    found = answer(server, session, f"{SERVICE}QueryNetworkServiceProviderMsg", conditions=conditions)
    (row,) = found["inventories"]
    return dict(row)


def test_the_swap(server: Any, session: dict[str, str]) -> None:
    zone = answer(server, session, f"{HEADER}.zone.APICreateZoneMsg", name="z")["inventory"]["uuid"]
    l2 = answer(
        server,
        session,
        f"{HEADER}.network.l2.APICreateL2NoVlanNetworkMsg",
        name="l2",
        zoneUuid=zone,
        physicalInterface="eth0",
    )["inventory"]["uuid"]
    l3 = answer(server, session, f"{HEADER}.network.l3.APICreateL3NetworkMsg", name="l3", l2NetworkUuid=l2)
    l3_uuid = l3["inventory"]["uuid"]
    router, flat = provider(server, session, "VirtualRouter"), provider(server, session, "Flat")
    assert flat["networkServiceTypes"] == ["DHCP", "Userdata"]
    assert l2 in flat["attachedL2NetworkUuids"]

    services = {"l3NetworkUuid": l3_uuid, "networkServices": {router["uuid"]: ["DNS", "DHCP"]}}
    attached = answer(server, session, f"{SERVICE}AttachNetworkServiceToL3NetworkMsg", **services)
    assert [ref["networkServiceType"] for ref in attached["inventory"]["networkServices"]] == ["DNS", "DHCP"]
    again = answer(server, session, f"{SERVICE}AttachNetworkServiceToL3NetworkMsg", **services)
    assert again["error"]["code"] == "SYS.1006"
    detached = answer(server, session, f"{SERVICE}DetachNetworkServiceFromL3NetworkMsg", **services)
    assert detached["inventory"]["networkServices"] == []

    refs = {"l2NetworkUuid": l2, "networkServiceProviderUuid": flat["uuid"]}
    same = answer(server, session, f"{SERVICE}AttachNetworkServiceProviderToL2NetworkMsg", **refs)
    assert same == {"inventory": flat, "success": True}
    wrong = {"l3NetworkUuid": l3_uuid, "networkServices": {flat["uuid"]: ["DNS"]}}
    refused = answer(server, session, f"{SERVICE}AttachNetworkServiceToL3NetworkMsg", **wrong)
    assert refused["error"]["code"] == "SYS.1007"
    wanted = {"l3NetworkUuid": l3_uuid, "networkServices": {flat["uuid"]: ["DHCP", "Userdata"]}}
    done = answer(server, session, f"{SERVICE}AttachNetworkServiceToL3NetworkMsg", **wanted)
    assert [ref["networkServiceType"] for ref in done["inventory"]["networkServices"]] == ["DHCP", "Userdata"]
    unknown = answer(server, session, f"{HEADER}.vm.APIDestroyVmInstanceMsg", uuid="0" * 32)
    assert unknown == {"success": True}

    deleted = answer(server, session, f"{HEADER}.zone.APIDeleteZoneMsg", uuid=zone)
    assert deleted == {"success": True}
    conditions = [{"name": "l2Network.zone.uuid", "op": "=", "value": zone}]
    left = answer(server, session, f"{HEADER}.network.l3.APIQueryL3NetworkMsg", conditions=conditions)
    assert left["inventories"] == []
    log = [{"name": "resourceUuid", "op": "=", "value": zone}]
    audit = answer(server, session, f"{HEADER}.audit.APIQueryAuditMsg", conditions=log)
    assert [(row["action"], row["apiName"]) for row in audit["inventories"]] == [
        ("create", "CreateZone"),
        ("delete", "DeleteZone"),
    ]
