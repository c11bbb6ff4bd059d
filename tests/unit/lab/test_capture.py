"""Frames from the wire."""

from __future__ import annotations

import ipaddress
import struct

from tests.lab.capture import Packet, Traffic, parse

ETHERNET = bytes(12)


def ipv4(protocol: int, target: str, payload: bytes) -> bytes:
    addresses = ipaddress.ip_address("10.77.0.10").packed + ipaddress.ip_address(target).packed
    return ETHERNET + b"\x08\x00" + b"\x45" + bytes(8) + bytes([protocol]) + bytes(2) + addresses + payload


def arp(operation: int) -> bytes:
    source, target = (ipaddress.ip_address(text).packed for text in ("10.77.0.10", "10.77.0.99"))
    return ETHERNET + b"\x08\x06" + bytes(6) + struct.pack("!H", operation) + bytes(6) + source + bytes(6) + target


def test_a_connection_attempt() -> None:
    frame = ipv4(6, "192.0.2.1", struct.pack("!HH", 40000, 443) + bytes(16))
    assert parse(frame) == Packet("tcp", "10.77.0.10", "192.0.2.1", 443)


def test_a_ping_has_no_port() -> None:
    assert parse(ipv4(1, "192.0.2.1", bytes(8))) == Packet("ip-1", "10.77.0.10", "192.0.2.1", None)


def test_a_question_for_a_neighbour_counts_and_an_answer_does_not() -> None:
    assert parse(arp(1)) == Packet("arp", "10.77.0.10", "10.77.0.99", None)
    assert parse(arp(2)) is None


def test_ipv6() -> None:
    source, target = (ipaddress.ip_address(text).packed for text in ("fe80::1", "2001:db8::1"))
    header = b"\x60" + bytes(5) + bytes([17]) + bytes(1) + source + target
    frame = ETHERNET + b"\x86\xdd" + header + struct.pack("!HH", 1, 53)
    assert parse(frame) == Packet("udp", "fe80::1", "2001:db8::1", 53)


def test_noise() -> None:
    assert parse(ETHERNET + b"\x88\xcc" + bytes(40)) is None
    assert parse(ETHERNET + b"\x08\x00") is None


def test_allowed_peers_are_not_recorded() -> None:
    traffic = Traffic(frozenset(["10.77.0.11"]))
    traffic.add(ipv4(6, "10.77.0.11", bytes(20)))
    traffic.add(ipv4(6, "10.77.0.12", bytes(20)))
    assert [packet.target for packet in traffic.packets] == ["10.77.0.12"]
    assert traffic.seen == 2
