"""Checks of names, ports and clocks: the traps that make an install look good and a product fail."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from ipaddress import ip_address

from installer.facts.model import Listener
from installer.preflight.model import Misfit, Subject

_DAY = 86_400
_NAME_SERVERS = 3
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


def port(subject: Subject) -> Iterator[Misfit]:
    """Ports that the product will listen on; on an upgrade the old release itself has them."""
    if subject.mode != "install":
        return
    by_port = {each.port: each for each in subject.facts.network.listeners}
    for number in subject.wants.ports:
        if (listener := by_port.get(number)) is not None:
            yield Misfit(
                f"{_who(listener)} listens on {number}",
                f"port {number} is free",
                f"ss -ltnp 'sport = :{number}'" + (f"; stop it: kill {listener.pid}" if listener.pid else ""),
            )


def _who(listener: Listener) -> str:
    return "something" if listener.pid is None else f"{listener.program} (process {listener.pid})"


def hostname(subject: Subject) -> Iterator[Misfit]:
    """RFC 1123, and a name that tells hosts apart."""
    name = subject.facts.network.hostname
    fix = "hostnamectl set-hostname NAME"
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        yield Misfit(f"the host is called {name!r}", "letters, digits and hyphens", fix)
    elif name.partition(".")[0] == "localhost":
        yield Misfit(f"the host is called {name}", "a name of its own", fix)


def hostname_resolves(subject: Subject) -> Iterator[Misfit]:
    """Many services look their own host up when they start, and wait if only a name server knows it."""
    network = subject.facts.network
    if not network.hostname_addresses:
        yield Misfit(
            f"this host does not know its own name {network.hostname}",
            "it resolves without a name server",
            f"echo ADDRESS {network.hostname} >>/etc/hosts",
        )


def fqdn(subject: Subject) -> Iterator[Misfit]:
    """Certificates may need one."""
    name = subject.facts.network.fqdn
    if "." not in name:
        yield Misfit(f"{name} has no domain", "HOST.DOMAIN", f"put 'ADDRESS {name}.DOMAIN {name}' into /etc/hosts")


def localhost(subject: Subject) -> Iterator[Misfit]:
    """Health checks and many services need the name localhost."""
    addresses = subject.facts.network.localhost_addresses
    if not addresses:
        yield Misfit("the name localhost does not resolve", "127.0.0.1", "echo 127.0.0.1 localhost >>/etc/hosts")
    foreign = [address for address in addresses if not _is_loopback(address)]
    if foreign:
        yield Misfit(f"localhost leads to {', '.join(foreign)}", "127.0.0.1", "grep -n localhost /etc/hosts; mend it")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def ipv6_loopback(subject: Subject) -> Iterator[Misfit]:
    """Programs try ::1 first when localhost has it."""
    network = subject.facts.network
    if "::1" in network.localhost_addresses and not network.ipv6_loopback:
        yield Misfit(
            "localhost leads to ::1, but the loopback has no IPv6",
            "both or neither",
            "take '::1 localhost' out of /etc/hosts, or sysctl -w net.ipv6.conf.lo.disable_ipv6=0",
        )


def hosts_file(subject: Subject) -> Iterator[Misfit]:
    """Only the first of several lines counts."""
    for fault in subject.facts.network.hosts_faults:
        yield Misfit(f"/etc/hosts, {fault}", "one line for each address", "edit /etc/hosts")


def name_server_routes(subject: Subject) -> Iterator[Misfit]:
    """Where no name server can be reached, every look-up of an unknown name waits."""
    for server in subject.facts.network.unreachable_servers:
        yield Misfit(
            f"no route leads to the name server {server}",
            "name servers that can be reached, or none",
            f"take 'nameserver {server}' out of /etc/resolv.conf",
        )


def name_servers(subject: Subject) -> Iterator[Misfit]:
    """glibc asks the first three, and says nothing about the others: resolv.conf(5)."""
    servers = subject.facts.network.name_servers
    if len(servers) > _NAME_SERVERS:
        yield Misfit(
            f"/etc/resolv.conf has {len(servers)} name servers; {', '.join(servers[_NAME_SERVERS:])} will not be asked",
            f"at most {_NAME_SERVERS}",
            "take the others out of /etc/resolv.conf",
        )


def firewall(subject: Subject) -> Iterator[Misfit]:
    """Only what its rules say plainly, and not what the install itself opens."""
    network = subject.facts.network
    opened = subject.offer.ports if network.firewall == "firewalld" else ()
    for number in network.closed_ports:
        if f"{number}/tcp" in opened:
            continue
        fixes = {
            "firewalld": f"firewall-cmd --permanent --add-port={number}/tcp && firewall-cmd --reload",
            "nftables": f"nft add rule inet filter input tcp dport {number} accept (name your table and chain)",
            "iptables": f"iptables -I INPUT -p tcp --dport {number} -j ACCEPT",
        }
        yield Misfit(
            f"{network.firewall} lets nobody in at {number}", "other hosts reach it, if they are to",
            fixes.get(network.firewall or "", "open the port"),
        )  # fmt: skip


def clock(subject: Subject) -> Iterator[Misfit]:
    """A clock before the bundle was made is wrong: certificates and sessions would break."""
    now, made = subject.facts.clock.now, subject.created
    if now + _DAY < made:
        wanted = f"not before {_date(made)}, when the bundle was made"
        yield Misfit(f"the clock says {_date(now)}", wanted, "timedatectl set-time 'YYYY-MM-DD HH:MM:SS'")


def clock_future(subject: Subject) -> Iterator[Misfit]:
    """More likely a battery that died than a bundle that is so old."""
    now, made = subject.facts.clock.now, subject.created
    if made and now > made + 3653 * _DAY:
        wanted = f"soon after {_date(made)}, when the bundle was made"
        yield Misfit(f"the clock says {_date(now)}", wanted, "timedatectl set-time 'YYYY-MM-DD HH:MM:SS'")


def clock_rtc(subject: Subject) -> Iterator[Misfit]:
    """More than a day apart cannot be the time zone."""
    clock = subject.facts.clock
    if clock.rtc is not None and abs(clock.rtc - clock.now) > _DAY:
        yield Misfit(
            f"the hardware clock says {_date(clock.rtc)}, the system's {_date(clock.now)}",
            "the same",
            "hwclock --systohc",
        )


def time_sync(subject: Subject) -> Iterator[Misfit]:
    """Without it, clocks of hosts drift apart."""
    if subject.facts.clock.synchronized is False:
        yield Misfit("nothing keeps the clock right", "a time server", "systemctl enable --now chronyd")


def timezone(subject: Subject) -> Iterator[Misfit]:
    """Without one, times in logs are UTC, and some programs fail."""
    if subject.facts.clock.timezone is None:
        yield Misfit("/etc/localtime leads nowhere", "a time zone", "timedatectl set-timezone UTC")


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
