"""What the release note prints: commands after `>>>`, and under each the JSON that it answered. Kept as printed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Exchange:
    """A command as it was typed, and the answer; its keys are in the order in which they were printed."""

    command: str
    answer: dict[str, Any]


def load(name: str) -> list[Exchange]:
    """The transcript `name`.txt."""
    exchanges = []
    for block in (FOLDER / f"{name}.txt").read_text().split("\n\n"):
        prompt, _, answer = block.partition("\n")
        assert prompt.startswith(">>>")
        exchanges.append(Exchange(prompt.removeprefix(">>>"), json.loads(answer)))
    return exchanges
