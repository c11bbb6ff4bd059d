"""Repository files as text; that dnf reads them is shown in test_dnf."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from payload.errors import InputError
from repos.offline import PrivateRepository, RepositoryFile, bundle_repository
from tests.unit.repos.manifests import manifest


def parse(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


def test_the_bundles_repository() -> None:
    file = bundle_repository(manifest(upstreams=2), Path("/opt/thing/releases/1.0"))
    assert file.ids == ("thing-bundle-1.0",)
    assert parse(file.render()) == {
        "thing-bundle-1.0": {
            "name": "The Thing 1.0, from its bundle",
            "baseurl": "file:///opt/thing/releases/1.0/repository",
            "enabled": "1",
            "gpgcheck": "1",
            "repo_gpgcheck": "1",
            "gpgkey": "file:///opt/thing/releases/1.0/repository/RPM-GPG-KEY-thing\n"
            "file:///opt/thing/releases/1.0/keys/base-0.asc\n"
            "file:///opt/thing/releases/1.0/keys/extra-0.asc\n"
            "file:///opt/thing/releases/1.0/keys/extra-1.asc",
            "skip_if_unavailable": "0",
            "metadata_expire": "0",
            "module_hotfixes": "1",
            "proxy": "_none_",
            "priority": "1",
        }
    }


def test_several_repositories_in_one_file() -> None:
    one = PrivateRepository("one", "One", ("https://one",), ("file:///k",), True)
    two = PrivateRepository("two", "Two", ("https://two",), ("file:///k",), False)
    sections = parse(RepositoryFile("T", (one, two)).render())
    assert {name: body["repo_gpgcheck"] for name, body in sections.items()} == {"one": "1", "two": "0"}


@pytest.mark.parametrize("url", ["https://x\ngpgcheck=0", "https://x\r"])
def test_a_value_stays_in_its_line(url: str) -> None:
    with pytest.raises(InputError):
        RepositoryFile("T", (PrivateRepository("one", "One", (url,), (), True),)).render()
