"""Where the checkout is, for tests."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGES = ("builder", "installer", "payload", "repos", "templates", "management")


def sources(*folders: str) -> list[Path]:
    """The Python files of `folders`, sorted."""
    return sorted(path for folder in folders for path in (CHECKOUT / folder).rglob("*.py"))
