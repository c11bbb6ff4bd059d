"""Answers as JSON, YAML and tables."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from management.cli.output import OUTPUTS, as_json, as_table, as_yaml

HOSTS: dict[str, Any] = {
    "success": True,
    "inventories": [{"uuid": "a1", "name": "host one", "tags": ["x"]}, {"uuid": "b", "name": "two\x1b[2J"}],
}


def test_json_is_what_the_transcripts_print() -> None:
    text = as_json({"success": True, "inventory": {"b": 1, "a": 2}})
    assert text == '{\n    "inventory": {\n        "a": 2,\n        "b": 1\n    },\n    "success": true\n}\n'


def test_a_table_has_a_column_per_field_and_moves_no_cursor() -> None:
    assert as_table(HOSTS).split("\n") == [
        "name        tags   uuid",
        'host one    ["x"]  a1',
        "two\\x1b[2J  -      b",
    ]


def test_tables_of_other_answers() -> None:
    assert as_table({"success": True, "inventories": []}) == ""
    assert as_table({"success": True, "inventory": {"uuid": "a"}}) == "uuid\na"
    assert as_table({"success": True, "version": "1.1.0"}) == "version\n1.1.0"
    assert as_table({"success": True}) == "success\ntrue"


ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", min_size=1), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc", min_size=1), ANSWERS))
def test_what_machines_read_is_the_answer(answer: dict[str, Any]) -> None:
    assert json.loads(as_json(answer)) == answer
    assert yaml.safe_load(as_yaml(answer)) == answer


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_shell_takes_it(server: Any, name: str) -> None:
    done = server.shell("--output", name, "GetVersion")
    assert done.returncode == 0
    assert "1.1.0" in done.stdout
    assert server.shell("--output", "xml", "GetVersion").returncode == 2
