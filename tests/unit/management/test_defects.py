"""Defects of the original that are not here. Those of one part have their tests with that part."""

import json
from typing import Any

import pytest

HEADER = "org.zstack.header"
SERVICE = f"{HEADER}.network.service.API"
NOBODY = "0" * 12 + "4000800000000000000f"[:20]


def test_providers_can_be_counted(server: Any, session: dict[str, str]) -> None:
    message = f"{SERVICE}QueryNetworkServiceProviderMsg"
    every = server.ask(session, message, conditions=[])["inventories"]
    assert server.ask(session, message, conditions=[], count=True) == {"total": len(every), "success": True}


def test_one_command_keeps_the_quotes_of_its_words(server: Any) -> None:
    password = "correct horse 'battery\""
    assert server.shell("LogInByAccount", "accountName=admin", stdin=password + "\n").returncode == 0
    services = f"networkServices={json.dumps({NOBODY: ['DHCP']})}"
    done = server.shell("AttachNetworkServiceToL3Network", f"l3NetworkUuid={NOBODY}", services)
    server.shell("LogOut")
    assert (done.returncode, "SYS.1003" in done.stderr) == (3, True), "the server has read the JSON"


@pytest.mark.parametrize("unknown", ["l2NetworkUuid", "networkServiceProviderUuid"])
def test_attaching_what_does_not_exist_is_no_internal_error(server: Any, session: dict[str, str], unknown: str) -> None:
    zone = server.ask(session, f"{HEADER}.zone.APICreateZoneMsg", name="z")["inventory"]["uuid"]
    made = server.ask(
        session, f"{HEADER}.network.l2.APICreateL2NoVlanNetworkMsg", name="l2", zoneUuid=zone, physicalInterface="eth0"
    )
    provider = server.ask(session, f"{SERVICE}QueryNetworkServiceProviderMsg", conditions=[])["inventories"][0]
    known = {"l2NetworkUuid": made["inventory"]["uuid"], "networkServiceProviderUuid": provider["uuid"]}
    message = f"{SERVICE}AttachNetworkServiceProviderToL2NetworkMsg"
    assert server.ask(session, message, **known)["success"], "it is attached already, since the network was made"
    error = server.ask(session, message, **{**known, unknown: NOBODY})["error"]
    assert (error["code"], unknown in error["details"]) == ("SYS.1003", True)


def test_the_shell_waits_as_long_as_the_server_works() -> None:
    from management.client.connection import DEFAULT_WAIT_SECONDS  # noqa: PLC0415 -- after the path is set

    assert DEFAULT_WAIT_SECONDS >= 3 * 3600
