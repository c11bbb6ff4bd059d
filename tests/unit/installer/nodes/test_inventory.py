from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.nodes.inventory import Inventory, Node, read_inventory
from payload.errors import InputError

GOOD = """known-hosts = "known"
[[hosts]]
name = "node1"
address = "10.0.0.1"
key = "id"
[[hosts]]
name = "node2"
address = "fd00::2"
port = 2222
user = "admin"
"""


def read(folder: Path, text: str) -> Inventory:
    for name in ("known", "id"):
        (folder / name).touch(mode=0o600)
    (folder / "nodes.toml").write_text(text)
    return read_inventory(folder / "nodes.toml")


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(folder, text)
    assert caught.value.code == "inventory-invalid"
    return caught.value.details.splitlines()


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == Inventory(
        known_hosts=tmp_path / "known",
        hosts=(
            Node(name="node1", address="10.0.0.1", key=tmp_path / "id"),
            Node(name="node2", address="fd00::2", port=2222, user="admin"),
        ),
    )


def test_mistakes_of_form_are_named_all_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD.replace("2222", "99999").replace('name = "node1"', 'nam = "node1"'))
    assert len(found) == 3
    assert any(line.startswith("hosts[1].name: ") for line in found)
    assert any(line.startswith("hosts[1].nam: ") for line in found)
    assert any(line.startswith("hosts[2].port: ") for line in found)


def test_duplicates_and_files_that_are_missing_or_open(tmp_path: Path) -> None:
    text = GOOD.replace("node2", "node1").replace("fd00::2", "10.0.0.1").replace("2222", "22")
    text = text.replace('"known"', '"gone"') + 'key = "open"\n'
    (tmp_path / "open").touch(mode=0o644)
    found = problems(tmp_path, text)
    assert [line.partition(":")[0] for line in found] == ["hosts[2].name", "known-hosts", "hosts[2].key"]
    other = problems(tmp_path, GOOD.replace("fd00::2", "10.0.0.1").replace("2222", "22"))
    assert other == ["hosts[2].address: 10.0.0.1:22 is node1 already"]


@pytest.mark.parametrize("address", ["-oProxyCommand=x", "a b", "", "a;b", "$(x)", "user@host"])
def test_an_address_is_never_an_option_or_a_command(tmp_path: Path, address: str) -> None:
    assert problems(tmp_path, GOOD.replace("10.0.0.1", address))[0].startswith("hosts[1].address")


@pytest.mark.parametrize("text", ["", "hosts = []", "[[hosts", "hosts = 3", "\x00"])
def test_no_inventory_at_all(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


@given(text=st.text())
def test_whatever_lies_there_is_an_inventory_or_a_mistake(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.toml").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(InputError):
        read_inventory(folder / "any.toml")
