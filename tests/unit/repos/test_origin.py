"""Mirror lists, metalinks and variables; an upstream that changes while it is read."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from payload.errors import InputError, IntegrityError, ResolveError
from payload.events import NullSink
from payload.manifest import Upstream
from payload.store import Store
from repos.metadata import Metadata, load_metadata
from repos.origin import find_origin, parse_metalink
from repos.sync import Fetcher
from tests.unit.repos.packages import Spec, write_repository
from tests.unit.repos.server import Behaviour, serve

VARIABLES = {"releasever": "9", "basearch": "x86_64"}


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return Fetcher(Store(tmp_path / "store"), NullSink(), pause=0.01, attempts=2)


def upstream(**origin: str) -> Upstream:
    return Upstream(id="base", gpg_keys=("k",), signed_metadata=False, **origin)


def metalink(digest: str, *urls: tuple[int, str], older: str = "") -> bytes:
    places = "".join(f'<url protocol="http" preference="{rank}">{url}</url>' for rank, url in urls)
    kept = f'<mm0:alternate><verification><hash type="sha256">{older}</hash></verification></mm0:alternate>'
    return f"""<?xml version="1.0"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager"><files>
<file name="repomd.xml"><verification><hash type="md5">x</hash><hash type="sha256">{digest}</hash></verification>
{f"<mm0:alternates>{kept}</mm0:alternates>" if older else ""}<resources>{places}</resources></file>
</files></metalink>""".encode()


def digest_of(repository: Path) -> str:
    return hashlib.sha256((repository / "repodata/repomd.xml").read_bytes()).hexdigest()


def test_variables(fetcher: Fetcher) -> None:
    found = find_origin(upstream(url="http://h/$releasever/${basearch}/os/"), VARIABLES, fetcher)
    assert found.urls == ("http://h/9/x86_64/os",)
    with pytest.raises(InputError, match="variable without a value"):
        find_origin(upstream(url="http://h/$contentdir/os/"), VARIABLES, fetcher)


def test_a_mirror_list_falls_over_to_the_next(tmp_path: Path, fetcher: Fetcher) -> None:
    repository = write_repository(tmp_path / "9", [Spec("tool", "1")])
    listed = f"# mirrors\n\n{(tmp_path / 'gone').as_uri()}\nrsync://no/\n{tmp_path.as_uri()}/$releasever\n"
    (tmp_path / "list").write_text(listed)
    loaded = load_metadata(upstream(mirrorlist=(tmp_path / "list").as_uri()), [], fetcher, variables=VARIABLES)
    assert loaded.where == repository.as_uri()
    assert loaded.find("primary") is not None


def test_an_empty_mirror_list(tmp_path: Path, fetcher: Fetcher) -> None:
    (tmp_path / "list").write_text("<html>not here</html>")
    with pytest.raises(ResolveError, match="no mirror that can be used"):
        find_origin(upstream(mirrorlist=(tmp_path / "list").as_uri()), {}, fetcher)


def load_by_metalink(tmp_path: Path, fetcher: Fetcher, content: bytes) -> Metadata:
    (tmp_path / "metalink").write_bytes(content)
    return load_metadata(upstream(metalink=(tmp_path / "metalink").as_uri()), [], fetcher)


def test_a_metalink_says_which_repomd_is_meant(tmp_path: Path, fetcher: Fetcher) -> None:
    stale = write_repository(tmp_path / "stale", [Spec("tool", "1")])
    fresh = write_repository(tmp_path / "fresh", [Spec("tool", "2")])
    mirrors = ((100, f"{stale.as_uri()}/repodata/repomd.xml"), (1, f"{fresh.as_uri()}/repodata/repomd.xml"))
    loaded = load_by_metalink(tmp_path, fetcher, metalink(digest_of(fresh), *mirrors))
    assert loaded.where == fresh.as_uri()
    # An alternate is one that mirrors still have: the preferred mirror will do then.
    loaded = load_by_metalink(tmp_path, fetcher, metalink(digest_of(fresh), *mirrors, older=digest_of(stale)))
    assert loaded.where == stale.as_uri()
    with pytest.raises(IntegrityError) as caught:
        load_by_metalink(tmp_path, fetcher, metalink("0" * 64, *mirrors))
    assert caught.value.details.count("is none that the metalink names") == 2


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"<metalink", IntegrityError),
        (b"<metalink/>", IntegrityError),
        (b'<!DOCTYPE x [<!ENTITY a "a">]><metalink>&a;</metalink>', IntegrityError),
        (metalink("junk"), IntegrityError),
        (metalink("0" * 64).replace(b'"sha256"', b'"sha1"'), ResolveError),
    ],
)
def test_a_hostile_or_weak_metalink(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_metalink(content, where="here")


def test_an_upstream_that_changes_in_the_middle_is_read_again(tmp_path: Path, fetcher: Fetcher) -> None:
    """Its documents are replaced between the answer for repomd.xml and those for what it names."""
    old = write_repository(tmp_path / "served", [Spec("tool", "1")])
    new = write_repository(tmp_path / "new", [Spec("tool", "2")])

    def replace(path: str) -> None:
        if not path.endswith("repomd.xml") and new.exists():
            shutil.rmtree(old)
            new.rename(old)

    behaviour = Behaviour(before=replace)
    with serve(old, behaviour) as url:
        loaded = load_metadata(upstream(url=url), [], fetcher)
    assert [path for path, _ in behaviour.requests].count("/repodata/repomd.xml") == 2
    found = loaded.find("primary")
    assert found is not None
    assert found[1].read_bytes() == (old / "repodata/primary.xml.gz").read_bytes()


def test_an_upstream_that_is_broken_is_asked_twice_and_no_more(tmp_path: Path, fetcher: Fetcher) -> None:
    repository = write_repository(tmp_path / "served", [Spec("tool", "1")])
    (repository / "repodata/primary.xml.gz").unlink()
    behaviour = Behaviour()
    with serve(repository, behaviour) as url, pytest.raises(ResolveError, match=r"primary.xml.gz cannot be fetched"):
        load_metadata(upstream(url=url), [], fetcher)
    assert [path for path, _ in behaviour.requests].count("/repodata/repomd.xml") == 2
