"""The catalogue behind -R."""

from __future__ import annotations

from pathlib import Path

import pytest

from payload.errors import UsageError
from repos.mirrors import mirror_repositories
from tests.unit.repos.manifests import manifest

RELEASE = Path("/opt/thing/releases/1.0")
MIRRORS = {
    "near": {"base": "https://near.example/$releasever/base", "extra": "https://near.example/extra"},
    "half": {"base": "https://half.example/base"},
    "none": {"other": "https://none.example"},
}


def test_a_name_of_the_catalogue() -> None:
    file = mirror_repositories(manifest(mirrors=MIRRORS, upstreams=2), "near", RELEASE)
    assert file.ids == ("thing-near-base", "thing-near-extra")
    base, extra = file.repositories
    assert base.baseurl == "https://near.example/$releasever/base"
    assert base.gpgkeys == (f"file://{RELEASE}/keys/base-0.asc",)
    assert (base.repo_gpgcheck, extra.repo_gpgcheck) == (True, False)
    assert extra.gpgkeys == (f"file://{RELEASE}/keys/extra-0.asc", f"file://{RELEASE}/keys/extra-1.asc")


def test_a_mirror_of_some_upstreams() -> None:
    assert mirror_repositories(manifest(mirrors=MIRRORS, upstreams=2), "half", RELEASE).ids == ("thing-half-base",)


@pytest.mark.parametrize("url", ["https://mine.example/repo", "http://10.0.0.1/x", "file:///srv/mirror"])
def test_a_url_stands_for_all_upstreams(url: str) -> None:
    (only,) = mirror_repositories(manifest(mirrors=MIRRORS, upstreams=2), url, RELEASE).repositories
    assert (only.id, only.baseurl, len(only.gpgkeys)) == ("thing-mirror", url, 3)
    assert not only.repo_gpgcheck
    (signed,) = mirror_repositories(manifest(), url, RELEASE).repositories
    assert signed.repo_gpgcheck


@pytest.mark.parametrize("name", ["far", "ftp://mine.example", "auto", ""])
def test_an_unknown_name_lists_the_known(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        mirror_repositories(manifest(mirrors=MIRRORS), name, RELEASE)
    assert caught.value.code == "unknown-mirror"
    assert "half, near, none" in caught.value.details


def test_a_mirror_of_other_things() -> None:
    with pytest.raises(UsageError) as caught:
        mirror_repositories(manifest(mirrors=MIRRORS), "none", RELEASE)
    assert caught.value.code == "empty-mirror"
