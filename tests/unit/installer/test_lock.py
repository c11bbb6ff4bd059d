"""Who holds a lock is known, and looking at it takes it from nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from installer.lock import alone, exclusive, holder
from payload.errors import BusyError, ExitCode
from tests.unit.installer.crashing import layout_of


def test_the_holder_is_named_while_there_is_one(tmp_path: Path) -> None:
    layout = layout_of(tmp_path)
    assert holder(layout) is None
    with exclusive(layout):
        assert holder(layout) == str(os.getpid())
        with pytest.raises(BusyError, match=f"process {os.getpid()}"), exclusive(layout):
            pass
    assert holder(layout) is None
    with exclusive(layout):
        pass


def test_two_upgrades_by_one_inventory_are_one_too_many(tmp_path: Path) -> None:
    inventory = tmp_path / "nodes.toml"
    inventory.touch()
    with alone(inventory):
        with pytest.raises(BusyError, match="another upgrade") as caught, alone(inventory):
            pass
        assert caught.value.exit_code == ExitCode.BUSY
    with alone(inventory):
        assert [*tmp_path.iterdir()] == [inventory]
