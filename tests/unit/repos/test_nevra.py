"""Versions are ordered as rpm and libsolv order them."""

from __future__ import annotations

import pytest
import solv  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from payload import effects
from payload.errors import InputError
from repos.nevra import Evr, Nevra, Requirement, vercmp

VERSIONS = st.text(alphabet="0123456789abzAZ.~^_+", min_size=1, max_size=12)
VALID = VERSIONS.filter(lambda text: text[0].isalnum())
OPERATORS = st.sampled_from(["<", "<=", "=", ">=", ">"])
POOL = solv.Pool()
POOL.setdisttype(solv.Pool.DISTTYPE_RPM)


def rpm_vercmp(pairs: list[tuple[str, str]]) -> list[int]:
    table = ",".join(f'{{"{left}","{right}"}}' for left, right in pairs)
    script = f"%{{lua:for _,p in ipairs({{{table}}}) do print(rpm.vercmp(p[1],p[2]).. ' ') end}}"
    return [int(word) for word in effects.run(["rpm", "--eval", script]).output.split()]


@given(st.lists(st.tuples(VERSIONS, VERSIONS), min_size=50, max_size=200))
@settings(max_examples=25)
@example([("1.0~rc1", "1.0"), ("1.0^git1", "1.0"), ("1.0^git1", "1.0.1"), ("1.0~", "1.0^"), ("007", "7"), ("a", "1")])
def test_vercmp_is_rpms(pairs: list[tuple[str, str]]) -> None:
    # rpm's own door refuses what is no version, so the raw strings are set behind a digit.
    pairs = [(f"1{left}", f"1{right}") for left, right in pairs]
    assert [vercmp(*pair) for pair in pairs] == rpm_vercmp(pairs)


@given(VALID, VALID)
def test_vercmp_is_libsolvs(left: str, right: str) -> None:
    assert vercmp(left, right) == _sign(_solv_compare(f"{left}-1", f"{right}-1"))


@given(st.integers(0, 2), VALID, VALID, st.integers(0, 2), VALID, VALID)
def test_evr_order_is_libsolvs(e1: int, v1: str, r1: str, e2: int, v2: str, r2: str) -> None:
    left, right = Evr(e1, v1, r1), Evr(e2, v2, r2)
    assert left.compare(right) == _sign(_solv_compare(f"{e1}:{v1}-{r1}", f"{e2}:{v2}-{r2}"))
    assert (left < right) == (left.compare(right) < 0)


def _solv_compare(left: str, right: str) -> int:
    repo = POOL.add_repo("compare")
    try:
        one, two = repo.add_solvable(), repo.add_solvable()
        one.evr, two.evr = left, right
        return int(one.evrcmp(two))
    finally:
        repo.free()


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


@given(OPERATORS, VALID, OPERATORS, VALID, st.sampled_from(["", "-1", "-2"]), st.sampled_from(["-1", "-2"]))
@settings(max_examples=300)
def test_satisfied_by_is_libsolvs(op1: str, v1: str, op2: str, v2: str, r1: str, r2: str) -> None:
    # A range on one side and no release on the other has no agreed meaning: packages provide "= EVR".
    op2 = op2 if r1 else "="
    required = Requirement.parse(f"thing {op1} {v1}{r1}")
    provided = Requirement.parse(f"thing {op2} {v2}{r2}")
    assert required.satisfied_by(provided) == _solv_match(required, provided)


def _solv_match(required: Requirement, provided: Requirement) -> bool:
    repo = POOL.add_repo("provide")
    try:
        solvable = repo.add_solvable()
        solvable.name, solvable.evr, solvable.arch = "provider", "1-1", "noarch"
        solvable.add_provides(_solv_dep(provided))
        return bool(solvable.matchesdep(solv.SOLVABLE_PROVIDES, _solv_dep(required)))
    finally:
        repo.free()


def _solv_dep(dependency: Requirement) -> solv.Dep:
    flags = {"<": solv.REL_LT, "=": solv.REL_EQ, ">": solv.REL_GT}
    relation = sum(flags[sign] for sign in dependency.operator)
    return POOL.Dep(dependency.name).Rel(relation, POOL.Dep(str(dependency.evr)))


@pytest.mark.parametrize(
    ("text", "nevra"),
    [
        ("bash-5.1.8-6.el9.x86_64", Nevra("bash", 0, "5.1.8", "6.el9", "x86_64")),
        ("openssl-libs-1:3.0.7-24.el9.x86_64", Nevra("openssl-libs", 1, "3.0.7", "24.el9", "x86_64")),
        ("1:openssl-libs-3.0.7-24.el9.x86_64", Nevra("openssl-libs", 1, "3.0.7", "24.el9", "x86_64")),
        ("libstdc++-11.4^git1-2~a.noarch\n", Nevra("libstdc++", 0, "11.4^git1", "2~a", "noarch")),
        ("gpg-pubkey-fd431d51-4ae0493b.(none)", Nevra("gpg-pubkey", 0, "fd431d51", "4ae0493b", "(none)")),
    ],
)
def test_nevra_is_read(text: str, nevra: Nevra) -> None:
    assert Nevra.parse(text) == nevra
    assert Nevra.parse(str(nevra)) == nevra
    assert Nevra.parse(nevra.short) == nevra


def test_nevra_is_written_with_and_without_epoch() -> None:
    assert str(Nevra("bash", 0, "5", "6", "x86_64")) == "bash-0:5-6.x86_64"
    assert Nevra("bash", 0, "5", "6", "x86_64").short == "bash-5-6.x86_64"
    assert Nevra("bash", 2, "5", "6", "x86_64").short == "bash-2:5-6.x86_64"


@pytest.mark.parametrize("text", ["", "bash", "bash-5.1", "bash-5.1-1", "1:bash-1:5-1.noarch", "a b-1-1.noarch"])
def test_what_is_no_nevra_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Nevra.parse(text)
    assert caught.value.code == "bad-nevra"


@pytest.mark.parametrize(
    ("required", "provided", "fits"),
    [
        ("foo", "foo = 1-1", True),
        ("foo >= 2", "foo", True),
        ("foo >= 1.0", "foo = 1.0-7", True),
        ("foo > 1.0", "foo = 1.0-7", False),
        ("foo = 1:1.0", "foo = 1.0-7", False),
        ("foo < 2~", "foo = 2~rc1-1", False),
        ("foo < 2", "foo = 2~rc1-1", True),
        ("bar", "foo", False),
        ("libc.so.6(GLIBC_2.4)(64bit)", "libc.so.6(GLIBC_2.4)(64bit)", True),
    ],
)
def test_satisfied_by(required: str, provided: str, fits: bool) -> None:
    assert Requirement.parse(required).satisfied_by(Requirement.parse(provided)) is fits
    assert str(Requirement.parse(required)) == required


@pytest.mark.parametrize("text", ["", "foo >=", "foo 1", "foo == 1", "foo >= 1-2-3"])
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Requirement.parse(text)
