"""Nodes that are this very machine: commands run here, in the place of ssh."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from installer.nodes.inventory import Node
from installer.nodes.ssh import Remote, unreachable
from payload import effects

Answer = Callable[[Node, tuple[str, ...]], effects.Completed | None]


@dataclass
class Here(Remote):
    """`answer` may say something else than what a command says here; None: run it."""

    answer: Answer = lambda node, argv: None
    gone: frozenset[str] = frozenset()
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, node: Node, argv: Sequence[str], *, timeout: float, root: bool = True) -> effects.Completed:
        words = tuple(argv)
        self.calls.append((node.name, *words))
        if node.name in self.gone:
            raise unreachable(node, "Connection refused")
        return self.answer(node, words) or effects.run(words, check=False, timeout=timeout)

    def send(self, node: Node, file: Path, target: str) -> None:
        self.calls.append((node.name, "send", file.name))
        shutil.copyfile(file, target)
