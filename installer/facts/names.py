"""Names, addresses, ports, and the firewall in front of them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from installer.facts.model import Listener, Network
from installer.facts.reading import answer, text
from installer.steps import Host
from installer.steps.firewall import Firewall

_LISTEN = "0A"
_DNS = 53
_LOOK_UP = ("getent", "-s", "hosts:files myhostname")
"""What the host knows by itself: asking a name server would send something, and wait where none answers."""
_LOCAL = re.compile(r"^(localhost|ip6-|.*\.localdomain$|localhost[46])")


def look_at_network(host: Host, ports: Sequence[int]) -> Network:
    """Look at names and ports; changes nothing, and sends nothing: no name server is asked."""
    hostname = socket.gethostname()
    canonical = answer(host, *_LOOK_UP, "hosts", hostname) or ""
    servers = name_servers(text(Path("/etc/resolv.conf")))
    firewall, closed = active_firewall(host, ports)
    return Network(
        listeners=_listeners(),
        hostname=hostname,
        hostname_addresses=_addresses(host, hostname),
        fqdn=canonical.split()[1] if len(canonical.split()) > 1 else hostname,
        localhost_addresses=_addresses(host, "localhost"),
        ipv6_loopback=any(line.endswith(" lo") for line in text(Path("/proc/net/if_inet6")).splitlines()),
        hosts_faults=hosts_faults(text(Path("/etc/hosts"))),
        name_servers=servers,
        unreachable_servers=tuple(server for server in servers if not _is_routed(server)),
        firewall=firewall,
        closed_ports=closed,
    )


def _addresses(host: Host, name: str) -> tuple[str, ...]:
    """`ahosts` knows all addresses, but none on a host that has only its loopback; `hosts` knows those of one kind."""
    found = answer(host, *_LOOK_UP, "ahosts", name) or answer(host, *_LOOK_UP, "hosts", name) or ""
    return tuple(dict.fromkeys(line.split()[0] for line in found.splitlines() if line.split()))


def name_servers(resolv_conf: str) -> tuple[str, ...]:
    """The name servers in the text of /etc/resolv.conf, see resolv.conf(5)."""
    rows = (line.split() for line in resolv_conf.splitlines())
    return tuple(row[1] for row in rows if len(row) > 1 and row[0] == "nameserver")


def _is_routed(server: str) -> bool:
    """Is there a route to a name server? To connect a datagram socket sends nothing."""
    try:
        family = socket.AF_INET6 if ip_address(server.partition("%")[0]).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((server, _DNS))
    except (ValueError, OSError):
        return False
    return True


def listening(*tables: str) -> dict[int, set[str]]:
    """Ports in state LISTEN in tables such as /proc/net/tcp, each with the inodes of its sockets."""
    found: dict[int, set[str]] = {}
    for row in (line.split() for table in tables for line in table.splitlines()[1:]):
        if len(row) > 9 and row[3] == _LISTEN:
            found.setdefault(int(row[1].rpartition(":")[2], 16), set()).add(row[9])
    return found


def hosts_faults(hosts: str) -> tuple[str, ...]:
    """Malformed lines, and names that lead to several addresses of one kind, of which only the first is ever used."""
    faults: list[str] = []
    seen: dict[tuple[int, str], str] = {}
    for number, line in enumerate(hosts.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            address = ip_address(words[0].partition("%")[0])
        except ValueError:
            faults.append(f"line {number}: {words[0]!r} is no address")
            continue
        if len(words) == 1:
            faults.append(f"line {number}: {words[0]} has no name")
        for name in words[1:]:
            first = seen.setdefault((address.version, name.lower()), str(address))
            if first != str(address) and not _LOCAL.match(name):
                faults.append(f"line {number}: {name} is {first} already")
    return tuple(faults)


def _listeners() -> tuple[Listener, ...]:
    sockets = listening(*(text(Path("/proc/net") / name) for name in ("tcp", "tcp6")))
    owners = _owners({inode for inodes in sockets.values() for inode in inodes})
    return tuple(
        Listener(port, *next((owners[each] for each in sorted(inodes) if each in owners), (None, None)))
        for port, inodes in sorted(sockets.items())
    )


def _owners(inodes: set[str]) -> dict[str, tuple[int, str]]:
    """The process that has each socket open: pid and name."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[str, tuple[int, str]] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        for link in _links(process / "fd"):
            if link in wanted:
                owners.setdefault(wanted[link], (int(process.name), " ".join(text(process / "comm").split())))
    return owners


def _links(folder: Path) -> Iterable[str]:
    with suppress(OSError):  # the process has ended, or is somebody else's
        for each in folder.iterdir():
            with suppress(OSError):  # it was closed meanwhile
                yield str(each.readlink())


def active_firewall(host: Host, ports: Sequence[int]) -> tuple[Firewall | None, tuple[int, ...]]:
    """The firewall, and which of `ports` it keeps closed, as far as its rules say so plainly."""
    if answer(host, "firewall-cmd", "--state") == "running":
        closed = [port for port in ports if answer(host, "firewall-cmd", f"--query-port={port}/tcp") != "yes"]
        return "firewalld", tuple(closed)
    commands: Mapping[Firewall, tuple[str, ...]] = {
        "nftables": ("nft", "list", "ruleset"),
        "iptables": ("iptables", "-S", "INPUT"),
    }
    for kind, argv in commands.items():
        rules = answer(host, *argv)
        if rules and (opened := open_ports(rules)) is not None:
            return kind, tuple(port for port in ports if port not in opened)
    return None, ()


def open_ports(rules: str) -> set[int] | None:
    """Ports that rules of nft or iptables accept; None when what comes in is not dropped by default."""
    nft = re.search(r"hook input [^;]*;\s*policy drop", rules)
    if not nft and not re.search(r"^-P INPUT DROP", rules, re.MULTILINE):
        return None
    accepts = [line for line in rules.splitlines() if re.search(r"\baccept\b|-j ACCEPT", line)]
    found = [re.search(r"(?:tcp dport|--dports?) (\{[^}]*\}|[\d,:-]+)", line) for line in accepts]
    ports: set[int] = set()
    for each in filter(None, found):
        for part in re.findall(r"\d+(?:[-:]\d+)?", each[1]):
            first, _, last = part.replace(":", "-").partition("-")
            ports |= set(range(int(first), int(last or first) + 1))
    return ports
