"""Nics of VMs: a tap device on a bridge of this host for each."""

import json
import re
import socket
from dataclasses import dataclass

from .calls import Body, CallError, run, text

_DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True)
class Nic:
    """A tap device `name` on `bridge`; the guest's end has the address `mac`."""

    name: str
    bridge: str
    mac: str

    @classmethod
    def parse(cls, body: Body) -> "Nic":
        """A nic as /vm/start tells it.

        Raises:
            CallError: a name or the address has another form.
        """
        made = cls(text(body, "nicInternalName"), text(body, "bridgeName"), text(body, "mac").lower())
        if not (_DEVICE.fullmatch(made.name) and _DEVICE.fullmatch(made.bridge) and _MAC.fullmatch(made.mac)):
            raise CallError("nicInternalName, bridgeName or mac has the wrong form")
        return made


def plug(nic: Nic) -> None:
    """Make the tap device, and put it on its bridge.

    Raises:
        CallError: the host has no such bridge.
    """
    bridges = json.loads(run(["ip", "-json", "link", "show", "type", "bridge"]) or "[]")
    if nic.bridge not in {each.get("ifname") for each in bridges}:
        raise CallError(f"this host has no bridge {nic.bridge}: make it, with the L2 network's interface in it")
    if not _exists(nic.name):
        run(["ip", "tuntap", "add", "dev", nic.name, "mode", "tap"])
    run(["ip", "link", "set", "dev", nic.name, "master", nic.bridge, "up"])


def unplug(name: str) -> None:
    """Remove the tap device, if it is there."""
    if _exists(name):
        run(["ip", "link", "delete", "dev", name])


def _exists(name: str) -> bool:
    return name in {known for _, known in socket.if_nameindex()}
