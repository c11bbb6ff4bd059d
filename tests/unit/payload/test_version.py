"""Versions and ranges."""

from __future__ import annotations

import pytest

from payload.fields import parse_range
from payload.version import parse_version


def test_order_and_ranges() -> None:
    assert parse_version("1.10.0") > parse_version("1.9")
    assert "1.0.5" in parse_range(">=1.0,<2")
    assert "2.0" not in parse_range(">=1.0,<2")


@pytest.mark.parametrize("text", ["", "one", "1..2"])
def test_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version"):
        parse_version(text)


def test_no_range() -> None:
    with pytest.raises(ValueError, match="is not a range"):
        parse_range("from 1 to 2")
