"""repomd.xml, good, broken and hostile."""

from __future__ import annotations

import pytest

from payload.errors import IntegrityError, ResolveError
from repos.repomd import parse_repomd, safe_location, screen

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<x>&b;</x>"""


@pytest.mark.parametrize("content", [BOMB, BOMB.decode().encode("utf-16"), b"", b"<", b"no xml", b"<!-- only -->"])
def test_hostile_or_broken_xml(content: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        screen(content, where="there")
    assert caught.value.code == "bad-metadata"
    with pytest.raises(IntegrityError):
        parse_repomd(content, where="there")


def test_plain_xml_passes() -> None:
    screen(b"<?xml version='1.0'?><!-- a comment --><x/>", where="there")


REPOMD = """<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">
<checksum type="{kind}">{digest}</checksum><location href="{href}"/><size>{size}</size></data></repomd>"""


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({}, None),
        ({"kind": "sha"}, ResolveError),
        ({"digest": "abc"}, IntegrityError),
        ({"href": "../../etc/passwd"}, IntegrityError),
        ({"href": "/etc/passwd"}, IntegrityError),
        ({"href": "http://elsewhere/x"}, IntegrityError),
        ({"href": ""}, IntegrityError),
        ({"size": "-1"}, IntegrityError),
    ],
)
def test_records_of_repomd(changed: dict[str, str], error: type[Exception] | None) -> None:
    good = {"kind": "sha256", "digest": "0" * 64, "href": "repodata/primary.xml.gz", "size": "10"}
    content = REPOMD.format(**good | changed).encode()
    if error is None:
        file = parse_repomd(content, where="there").find("primary")
        assert file is not None
        assert (file.location, file.digest, file.size) == ("repodata/primary.xml.gz", f"sha256:{'0' * 64}", 10)
        return
    with pytest.raises(error):
        parse_repomd(content, where="there")


def test_locations() -> None:
    assert safe_location("./Packages//a.rpm", where="there") == "Packages/a.rpm"
    for bad in ("..", "a/../../b", "/a", "a\\b"):
        with pytest.raises(IntegrityError):
            safe_location(bad, where="there")
