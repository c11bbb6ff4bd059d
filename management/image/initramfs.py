"""An initramfs, byte for byte the same for the same content."""

from __future__ import annotations

import lzma
import stat
from collections.abc import Iterable
from dataclasses import dataclass

_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Node:
    """One entry of the archive: `mode` includes the kind, `device` is (major, minor) of a device node."""

    name: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(name: str) -> Node:
    return Node(name, stat.S_IFDIR | 0o755)


def executable(name: str, content: bytes) -> Node:
    return Node(name, stat.S_IFREG | 0o755, content)


def plain(name: str, content: bytes) -> Node:
    return Node(name, stat.S_IFREG | 0o644, content)


def console(name: str, device: tuple[int, int]) -> Node:
    return Node(name, stat.S_IFCHR | 0o600, device=device)


def pack(nodes: Iterable[Node]) -> bytes:
    """The nodes as a newc archive, owned by root, without times, compressed the way the kernel's xz reader wants."""
    archive = bytearray()
    for number, node in enumerate([*nodes, Node(_TRAILER, 0)], start=1):
        archive += _header(node, number) + _padded(node.content)
    return lzma.compress(bytes(archive), check=lzma.CHECK_CRC32, preset=9)


def _header(node: Node, number: int) -> bytes:
    name = node.name.encode() + b"\0"
    links, time, owner = 1, 0, 0
    identity = (number, node.mode, owner, owner, links, time)
    fields = (*identity, len(node.content), 0, 0, *node.device, len(name), 0)
    return _padded(b"070701" + b"".join(b"%08X" % value for value in fields) + name)


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % 4)
