"""What of the host around the product an install may change: the kernel's settings, and the firewall."""

from __future__ import annotations

from dataclasses import dataclass

from installer.facts.names import active_firewall
from installer.layout import Layout
from installer.steps import Host
from installer.steps.firewall import Firewall, is_running


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What planners know of it. `has_settings`, `has_ports`: the product has changed it already."""

    firewall: Firewall | None = None
    """The one at work, or the one that a port was opened in."""
    has_settings: bool = False
    has_ports: bool = False


UNTOUCHED = Surroundings()


def look_around(layout: Layout, host: Host, *, wants_ports: bool) -> Surroundings:
    """Look, and change nothing. The firewall is asked only where it matters."""
    has_ports = layout.firewall_record.exists()
    firewall: Firewall | None = None
    if has_ports or (wants_ports and is_running(host)):
        firewall = "firewalld"
    elif wants_ports:
        firewall = active_firewall(host, ())[0]
    return Surroundings(firewall, layout.sysctl_origin.exists(), has_ports)
