"""Debian's relations in RPM's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.debs import Catalogue, Deb, Evr, parse_control, split_relations


def deb(name: str, **fields: str) -> Deb:
    return Deb(Path(f"{name}.deb"), {"Package": name, "Architecture": "amd64", "Version": "1-1", **fields})


@pytest.mark.parametrize(
    ("debian", "evr"),
    [
        ("1.2-3", Evr("", "1.2", "3")),
        ("2:1.2-3", Evr("2", "1.2", "3")),
        ("1.2", Evr("", "1.2", "")),
        ("1:4.0.33-1+really4.0.32-1", Evr("1", "4.0.33_1+really4.0.32", "1")),
        ("3.40.1-2+deb12u2", Evr("", "3.40.1", "2+deb12u2")),
    ],
)
def test_versions(debian: str, evr: Evr) -> None:
    assert Evr.from_debian(debian) == evr


def test_control_files_have_continuation_lines() -> None:
    fields = parse_control("Package: x\nDescription: short\n long\n .\nDepends: a, b\n")
    assert fields == {"Package": "x", "Description": "short\n long\n .", "Depends": "a, b"}


def test_groups() -> None:
    assert split_relations(" a (>= 1),b | c ,  d ") == ["a (>= 1)", "b | c", "d"]
    assert split_relations("") == []


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("libc6 (>= 2.34)", "libc6 >= 2.34"),
        ("libc6 (= 2:2.34-1)", "libc6 = 2:2.34-1"),
        ("libc6 (<< 3)", "libc6 < 3"),
        ("libc6 (>> 2.36-1)", "libc6 > 2.36-1"),
        ("libc6 (>> 2.36)", "libc6 >= 2.36"),
        ("libc6:any", "libc6"),
        ("nothing | libc6", "libc6"),
        ("mta (>= 2)", "mta"),
    ],
)
def test_requires(relation: str, expected: str) -> None:
    one = deb("one", Depends=relation)
    catalogue = Catalogue([one, deb("libc6"), deb("postfix", Provides="mta")])
    assert catalogue.requires(one) == [expected]


def test_requires_are_named_once_and_never_the_package_itself() -> None:
    one = deb("one", **{"Pre-Depends": "libc6", "Depends": "libc6, one"})
    assert Catalogue([one, deb("libc6")]).requires(one) == ["libc6"]


def test_what_maintainer_scripts_need_is_left_out() -> None:
    one = deb("one", Depends="dpkg (>= 1), debconf | debconf-2.0, libc6")
    assert Catalogue([one, deb("libc6")]).requires(one) == ["libc6"]


def test_what_nobody_provides_is_an_error() -> None:
    one = deb("one", Depends="absent | gone")
    with pytest.raises(LookupError, match=r"one needs 'absent \| gone'"):
        Catalogue([one]).requires(one)


def test_provides_keep_their_versions() -> None:
    one = deb("one", Provides="agent, api (= 1.0-2)")
    assert Catalogue([one]).provides(one) == ["agent", "api = 1.0-2"]
