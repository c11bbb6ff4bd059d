"""The reference product's trial image, from the cache."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.lab.cache import Cache, code_digest
from tests.lab.process import run

_PROJECT = Path(__file__).parents[2]
_NAME = "trial.qcow2"


def trial_image(cache: Cache) -> Path:
    """The bootable qcow2 that `management.image.build` makes."""
    key = code_digest("build.py", "init.sh", folder=_PROJECT / "management" / "image")
    return cache.item("image", key, _make) / _NAME


def _make(folder: Path) -> None:
    run([sys.executable, "-m", "management.image.build", folder / _NAME], cwd=_PROJECT)
