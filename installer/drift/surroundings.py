"""Kernel settings and open ports: what is so now, whatever the files say."""

from __future__ import annotations

from collections.abc import Iterator

from installer.drift.model import Finding
from installer.offer import Offer
from installer.steps import Host
from installer.steps.firewall import OPEN_ALWAYS, OPEN_NOW, Port, is_open, is_running
from installer.steps.sysctl import live_value
from payload.errors import StepError


def surroundings_findings(offer: Offer, host: Host) -> Iterator[Finding]:
    """Settings that the kernel has otherwise, and ports that a running firewalld keeps closed."""
    for setting in offer.settings:
        try:
            seen = live_value(setting.key, host)
        except StepError:
            seen = "not there"
        if seen != " ".join(setting.value.split()):
            text = f"it is {seen}, and the product wants {setting.value}"
            yield Finding("changed", "sysctl", setting.key, text, "host")
    if not offer.ports or not is_running(host):
        return
    zone = host.run(("firewall-cmd", "--get-default-zone")).output.strip()
    for number in offer.ports:
        port = Port(zone, number)
        if not is_open(OPEN_NOW, port, host):
            yield Finding("missing", "firewall", number, f"firewalld does not let it in (zone {zone})", "host")
        elif not is_open(OPEN_ALWAYS, port, host):
            text = f"firewalld lets it in only until it is reloaded (zone {zone})"
            yield Finding("changed", "firewall", number, text, "host")
