"""What a host sends: every packet that leaves it, seen on the wire. The proof that nothing tried to get out."""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.lab.hosts import Host
from tests.lab.namespaces import socket_in
from tests.lab.network import Network, close_dead_end, open_dead_end

_EVERYTHING = 0x0003
_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
_PORTED = {6: "tcp", 17: "udp"}


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet from the host. `port` is the destination's, None where the protocol has none."""

    protocol: str
    source: str
    target: str
    port: int | None

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.protocol} {self.source} -> {self.target}{port}"


@dataclass(slots=True)
class Traffic:
    """What was seen so far. `packets` does not hold what went to the allowed peers."""

    allowed: frozenset[str]
    packets: list[Packet] = field(default_factory=list)
    seen: int = 0

    def add(self, frame: bytes) -> None:
        """Take a frame that left the host into account."""
        packet = parse(frame)
        if packet is None:
            return
        self.seen += 1
        if packet.target not in self.allowed:
            self.packets.append(packet)


def parse(frame: bytes) -> Packet | None:
    """The IP packet or ARP question in an Ethernet frame; None for anything else."""
    kind = int.from_bytes(frame[12:14], "big")
    body = frame[14:]
    if kind == _IPV4 and len(body) >= 20:
        return _transport(body[9], body[12:16], body[16:20], body[(body[0] & 15) * 4 :])
    if kind == _IPV6 and len(body) >= 40:
        return _transport(body[6], body[8:24], body[24:40], body[40:])
    if kind == _ARP and len(body) >= 28 and body[6:8] == b"\0\1":
        return Packet("arp", str(ipaddress.ip_address(body[14:18])), str(ipaddress.ip_address(body[24:28])), None)
    return None


def _transport(number: int, source: bytes, target: bytes, rest: bytes) -> Packet:
    protocol = _PORTED.get(number, f"ip-{number}")
    port = struct.unpack("!H", rest[2:4])[0] if number in _PORTED and len(rest) >= 4 else None
    return Packet(protocol, str(ipaddress.ip_address(source)), str(ipaddress.ip_address(target)), port)


@contextmanager
def capture(network: Network, host: Host, allow: frozenset[str]) -> Iterator[Traffic]:
    """Watch the host's wire. Meanwhile the host has a default route, to an address where nobody is:

    an attempt to get out is sent, seen, and never answered.
    """
    traffic = Traffic(allow | {host.address})
    wire = socket_in(network.pid, lambda: _open_wire(host.port))
    done = threading.Event()
    reader = threading.Thread(target=_read, args=(wire, traffic, done), daemon=True)
    open_dead_end(host.container.network_pid)
    reader.start()
    try:
        yield traffic
        time.sleep(0.1)  # what was sent last is on its way
    finally:
        done.set()
        reader.join()
        wire.close()
        if host.running:
            close_dead_end(host.container.network_pid)


def _open_wire(port: str) -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    wire.bind((port, _EVERYTHING))
    return wire


def _read(wire: socket.socket, traffic: Traffic, done: threading.Event) -> None:
    while not done.is_set():
        ready, _, _ = select.select([wire], [], [], 0.05)
        if not ready:
            continue
        try:
            frame, sender = wire.recvfrom(2048)
        except OSError:  # the wire is gone: the host's power was cut
            return
        if sender[2] != socket.PACKET_OUTGOING:
            traffic.add(frame)
