"""The catalogue behind -R."""

from __future__ import annotations

from pathlib import Path

import pytest

from payload.errors import UsageError
from repos.mirrors import System, mirror_repositories
from tests.unit.repos.manifests import manifest

RELEASE = Path("/opt/thing/releases/1.0")
MIRRORS = {
    "near": {"base": "https://near.example/$releasever/base", "extra": "https://near.example/extra"},
    "half": {"base": "https://half.example/base"},
    "none": {"other": "https://none.example"},
}


def test_a_name_of_the_catalogue() -> None:
    file = mirror_repositories(manifest(mirrors=MIRRORS, upstreams=2), "near", RELEASE, System())
    assert file.ids == ("thing-near-base", "thing-near-extra")
    base, extra = file.repositories
    assert base.baseurls == ("https://near.example/$releasever/base",)
    assert base.gpgkeys == (f"file://{RELEASE}/keys/base-0.asc",)
    assert (base.repo_gpgcheck, extra.repo_gpgcheck) == (True, False)
    assert extra.gpgkeys == (f"file://{RELEASE}/keys/extra-0.asc", f"file://{RELEASE}/keys/extra-1.asc")


def test_a_mirror_of_some_upstreams() -> None:
    assert mirror_repositories(manifest(mirrors=MIRRORS, upstreams=2), "half", RELEASE, System()).ids == (
        "thing-half-base",
    )


@pytest.mark.parametrize("url", ["https://mine.example/repo", "http://10.0.0.1/x", "file:///srv/mirror"])
def test_a_url_stands_for_all_upstreams(url: str) -> None:
    (only,) = mirror_repositories(manifest(mirrors=MIRRORS, upstreams=2), url, RELEASE, System()).repositories
    assert (only.id, only.baseurls, len(only.gpgkeys)) == ("thing-mirror", (url,), 3)
    assert not only.repo_gpgcheck
    (signed,) = mirror_repositories(manifest(), url, RELEASE, System()).repositories
    assert signed.repo_gpgcheck


@pytest.mark.parametrize("name", ["far", "ftp://mine.example", "auto", ""])
def test_an_unknown_name_lists_the_known(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        mirror_repositories(manifest(mirrors=MIRRORS), name, RELEASE, System())
    assert caught.value.code == "unknown-mirror"
    assert "half, near, none" in caught.value.details


def test_a_mirror_of_other_things() -> None:
    with pytest.raises(UsageError) as caught:
        mirror_repositories(manifest(mirrors=MIRRORS), "none", RELEASE, System())
    assert caught.value.code == "empty-mirror"


PLACES = [
    {"url": "https://m.example/centos-vault/7.9.2009/os/x86_64/", "os": "centos-7"},
    {"url": "https://m.example/rocky/$releasever/", "os": "rocky"},
    {"url": "https://m.example/vault/rocky/$releasever/", "os": "rhel-8"},
]


@pytest.mark.parametrize(
    ("system", "wanted"),
    [
        (System(("centos", "rhel"), "7"), ("https://m.example/centos-vault/7.9.2009/os/x86_64/",)),
        (System(("rocky", "rhel"), "9.4"), ("https://m.example/rocky/$releasever/",)),
        (
            System(("rocky", "rhel"), "8.10"),
            ("https://m.example/rocky/$releasever/", "https://m.example/vault/rocky/$releasever/"),
        ),
    ],
)
def test_places_are_for_systems_and_in_their_order(system: System, wanted: tuple[str, ...]) -> None:
    catalogue = manifest(mirrors={"m": {"base": PLACES}})
    (only,) = mirror_repositories(catalogue, "m", RELEASE, system).repositories
    assert only.baseurls == wanted
    text = mirror_repositories(catalogue, "m", RELEASE, system).render()
    assert "baseurl=" + "\n        ".join(wanted) in text


def test_no_place_for_this_system() -> None:
    with pytest.raises(UsageError) as caught:
        mirror_repositories(manifest(mirrors={"m": {"base": PLACES}}), "m", RELEASE, System(("sles",), "15"))
    assert caught.value.code == "empty-mirror"
    assert "sles" in caught.value.details


def test_variables() -> None:
    system = System(variables={"releasever": "9", "basearch": "x86_64"})
    assert system.expand("http://x/$releasever/${basearch}/$other") == "http://x/9/x86_64/$other"
