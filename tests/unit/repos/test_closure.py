"""The closure: complete, minimal, sorted, the same as dnf's; and what it says when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from payload.errors import InputError, ResolveError
from payload.events import NullSink
from payload.manifest import Upstream
from payload.store import Store
from repos.baseline import Installed
from repos.closure import Closure, resolve_closure, solve
from repos.considered import Policy, excluded
from repos.metadata import Metadata, load_metadata
from repos.nevra import Nevra
from repos.reasons import why
from repos.sync import Fetcher
from tests.unit.repos.packages import Spec, fake_digest, write_repository

SHELL = Spec("shell", "5", files=("/usr/bin/sh", "/usr/share/shell/rc"), arch="x86_64")


def load(tmp_path: Path, specs: Sequence[Spec], name: str = "base", *, written: bool = False) -> Metadata:
    folder = tmp_path / name if written else write_repository(tmp_path / name, specs)
    upstream = Upstream(id=name, url=f"file://{folder}", gpg_keys=("key",), signed_metadata=False)
    return load_metadata(upstream, [], Fetcher(Store(tmp_path / "store"), NullSink()))


def names(closure: Closure) -> list[str]:
    return [package.nevra.name for package in closure.packages]


def nevras(*specs: Spec) -> list[Nevra]:
    return [Nevra.parse(spec.nevra) for spec in specs]


def installed(*specs: Spec) -> list[Installed]:
    return [Installed(nevra) for nevra in nevras(*specs)]


def test_what_is_wanted_and_all_it_needs(tmp_path: Path) -> None:
    library = Spec("library", "2", epoch=1, provides=("api = 3",), requires=("/usr/share/shell/rc",))
    tool = Spec("tool", "1", requires=("api >= 2", "/usr/bin/sh"), recommends=("extra",))
    metadata = load(tmp_path, [tool, library, SHELL, Spec("extra", "1"), Spec("other", "1")])
    closure = resolve_closure(["tool"], [metadata])
    assert names(closure) == ["library", "shell", "tool"]
    found = closure.packages[0]
    assert str(found.nevra) == "library-1:2-1.noarch"
    assert (found.upstream, found.location, found.size) == ("base", f"Packages/{library.filename}", 1000)
    assert found.digest == f"sha256:{fake_digest(library)}"
    assert [package.requested for package in closure.packages] == [False, False, True]


def test_the_newest_that_fits(tmp_path: Path) -> None:
    specs = [Spec("tool", version) for version in ("1.9", "1.10", "2.0~rc1")]
    metadata = load(tmp_path, specs)
    assert resolve_closure(["tool"], [metadata]).packages[0].nevra.version == "2.0~rc1"
    assert resolve_closure(["tool < 2~"], [metadata]).packages[0].nevra.version == "1.10"
    assert resolve_closure(["tool = 1.9-1"], [metadata]).packages[0].nevra.version == "1.9"


def test_the_baseline_stays_out(tmp_path: Path) -> None:
    tool = Spec("tool", "1", requires=("/usr/share/shell/rc",))
    metadata = load(tmp_path, [tool, SHELL])
    assert names(resolve_closure(["tool"], [metadata], baseline=installed(SHELL))) == ["tool"]
    assert names(resolve_closure(["tool"], [metadata], baseline=installed(tool, SHELL))) == []


def test_an_old_package_of_the_baseline_is_replaced(tmp_path: Path) -> None:
    old, new = Spec("library", "1"), Spec("library", "2")
    metadata = load(tmp_path, [old, new, Spec("tool", "1", requires=("library >= 2",))])
    closure = resolve_closure(["tool"], [metadata], baseline=installed(old))
    assert [package.nevra.short for package in closure.packages] == ["library-2-1.noarch", "tool-1-1.noarch"]


def test_an_unknown_package_of_the_baseline_is_told(tmp_path: Path) -> None:
    stranger = Nevra.parse("stranger-1-1.x86_64")
    metadata = load(tmp_path, [Spec("tool", "1", requires=("stranger",))])
    closure = resolve_closure(["tool"], [metadata], baseline=[Installed(stranger)])
    assert names(closure) == ["tool"]
    assert closure.unknown == (stranger,)


def test_a_rich_dependency_follows_its_condition(tmp_path: Path) -> None:
    metadata = load(
        tmp_path,
        [Spec("tool", "1", requires=("(extra if shell)",)), Spec("extra", "1"), SHELL, Spec("alone", "1")],
    )
    assert names(resolve_closure(["tool", "alone"], [metadata])) == ["alone", "tool"]
    assert names(resolve_closure(["tool", "shell"], [metadata])) == ["extra", "shell", "tool"]
    assert names(resolve_closure(["tool"], [metadata], baseline=installed(SHELL))) == ["extra", "tool"]


def test_an_obsoleted_package_makes_room(tmp_path: Path) -> None:
    old, new = Spec("old", "1"), Spec("new", "1", obsoletes=("old < 2",), provides=("old = 2",))
    metadata = load(tmp_path, [old, new, Spec("tool", "1", requires=("old",))])
    assert names(resolve_closure(["tool", "new"], [metadata])) == ["new", "tool"]


def test_two_upstreams(tmp_path: Path) -> None:
    base = load(tmp_path, [Spec("library", "1")])
    extra = load(tmp_path, [Spec("tool", "1", requires=("library",))], "extra")
    closure = resolve_closure(["tool"], [base, extra])
    assert [(one.nevra.name, one.upstream) for one in closure.packages] == [("library", "base"), ("tool", "extra")]


def test_a_wanted_file_and_a_wanted_capability(tmp_path: Path) -> None:
    metadata = load(tmp_path, [SHELL, Spec("tool", "1", provides=("editor = 7",))])
    closure = resolve_closure(["/usr/share/shell/rc", "editor >= 7"], [metadata])
    assert names(closure) == ["shell", "tool"]
    assert all(package.requested for package in closure.packages)


def test_the_other_architecture_is_not_chosen(tmp_path: Path) -> None:
    metadata = load(
        tmp_path, [Spec("tool", "1", arch="x86_64"), Spec("tool", "1", arch="i686"), Spec("t", "1", arch="aarch64")]
    )
    assert [one.nevra.arch for one in resolve_closure(["tool"], [metadata]).packages] == ["x86_64"]
    with pytest.raises(ResolveError):
        resolve_closure(["t"], [metadata])


def test_what_a_32_bit_library_is_needed_for_brings_it_beside_the_64_bit_one(tmp_path: Path) -> None:
    wide, narrow = (
        Spec("library", "1", arch=arch, provides=(f"liblibrary.so.1(){mark}",))
        for arch, mark in (("x86_64", "(64bit)"), ("i686", ""))
    )
    tool = Spec("tool", "1", arch="x86_64", requires=("liblibrary.so.1()(64bit)",))
    plugin = Spec("plugin", "1", arch="i686", requires=("liblibrary.so.1()",))
    metadata = load(tmp_path, [wide, narrow, tool, plugin])

    def chosen(*wanted: str) -> list[str]:
        return [f"{one.nevra.name}.{one.nevra.arch}" for one in resolve_closure(wanted, [metadata]).packages]

    assert chosen("tool") == ["library.x86_64", "tool.x86_64"]
    assert chosen("tool", "plugin") == ["library.i686", "library.x86_64", "plugin.i686", "tool.x86_64"]


def test_wanted_things_nobody_has_are_all_named(tmp_path: Path) -> None:
    metadata = load(tmp_path, [SHELL])
    with pytest.raises(ResolveError) as caught:
        resolve_closure(["shell", "nowhere", "shell > 9", "/no/such/file"], [metadata])
    assert caught.value.code == "nothing-provides"
    assert "nowhere, shell > 9, /no/such/file" in caught.value.brief


def test_the_chain_to_what_is_missing_is_named(tmp_path: Path) -> None:
    tool = Spec("tool", "1", requires=("library >= 2",))
    metadata = load(
        tmp_path, [tool, Spec("library", "2", requires=("deep",)), Spec("deep", "1", requires=("lost = 3",))]
    )
    with pytest.raises(ResolveError) as caught:
        resolve_closure(["tool"], [metadata])
    assert caught.value.code == "unresolvable"
    assert caught.value.details == (
        "tool is wanted; tool-1-1.noarch requires library >= 2; library-2-1.noarch requires deep; "
        "deep-1-1.noarch requires lost = 3, which nothing provides"
    )


def test_a_conflict_is_named(tmp_path: Path) -> None:
    metadata = load(
        tmp_path, [Spec("one", "1", conflicts=("two",)), Spec("two", "1"), Spec("top", "1", requires=("two",))]
    )
    with pytest.raises(ResolveError) as caught:
        resolve_closure(["one", "top"], [metadata])
    assert "one-1-1.noarch conflicts with two provided by two-1-1.noarch" in caught.value.details
    assert "top is wanted; top-1-1.noarch requires two" in caught.value.details


def test_a_malformed_requirement(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        resolve_closure(["tool =="], [load(tmp_path, [SHELL])])


def test_excluded_packages_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    metadata = load(tmp_path, [Spec("tool", "1"), Spec("tool", "2"), Spec("app", "1", requires=("tool",))])
    found = resolve_closure(["app"], [metadata], policy=Policy(exclude=("tool-2-*",)))
    assert [package.nevra.short for package in found.packages] == ["app-1-1.noarch", "tool-1-1.noarch"]
    with pytest.raises(ResolveError):
        resolve_closure(["app"], [metadata], policy=Policy(exclude=("to?l.noarch",)))


@pytest.mark.parametrize("pattern", ["tool", "tool.x86_64", "t*", "tool-1:2-3.x86_64", "tool-1:2-*"])
def test_patterns_of_excludes(pattern: str) -> None:
    assert excluded(Nevra("tool", 1, "2", "3", "x86_64"), [pattern])
    assert not excluded(Nevra("other", 1, "2", "3", "x86_64"), [pattern])


def test_weak_dependencies_on_request(tmp_path: Path) -> None:
    metadata = load(tmp_path, [Spec("tool", "1", recommends=("extra",)), Spec("extra", "1")])
    assert names(resolve_closure(["tool"], [metadata])) == ["tool"]
    assert names(resolve_closure(["tool"], [metadata], policy=Policy(weak=True))) == ["extra", "tool"]


def test_why_a_package_is_in(tmp_path: Path) -> None:
    metadata = load(
        tmp_path,
        [Spec("tool", "1", requires=("library >= 2",)), Spec("library", "2", requires=("/usr/bin/sh",)), SHELL],
    )
    solution = solve(["tool"], [metadata])
    assert why(solution, "shell") == (
        "the manifest wants tool: tool-1-1.noarch",
        "tool-1-1.noarch needs library >= 2: library-2-1.noarch",
        "library-2-1.noarch needs /usr/bin/sh: shell-5-1.x86_64",
    )
    assert why(solution, "nothing") == ()


def test_what_changes_on_the_host(tmp_path: Path) -> None:
    old = [Spec("library", "1"), Spec("legacy", "1")]
    new = [Spec("library", "2", obsoletes=("legacy",)), Spec("tool", "1", requires=("library >= 2",))]
    closure = resolve_closure(["tool"], [load(tmp_path, [*old, *new])], baseline=installed(*old))
    assert [nevra.short for nevra in closure.upgraded] == ["library-1-1.noarch"]
    assert [nevra.short for nevra in closure.removed] == ["legacy-1-1.noarch"]


def test_only_a_given_set_may_come(tmp_path: Path) -> None:
    one, two = Spec("tool", "1"), Spec("tool", "2")
    metadata = load(tmp_path, [one, two])
    closure = resolve_closure(["tool"], [metadata], policy=Policy(only=frozenset(nevras(one))))
    assert [package.nevra.version for package in closure.packages] == ["1"]


def test_parsed_metadata_is_read_again_from_the_cache(tmp_path: Path) -> None:
    metadata = load(tmp_path, [Spec("tool", "1", requires=("/usr/share/shell/rc",)), SHELL])
    first = resolve_closure(["tool"], [metadata])
    assert len(list(metadata.cache.iterdir())) == 2
    for _, path in metadata.documents:
        path.unlink()
    assert resolve_closure(["tool"], [metadata]) == first
    for cached in metadata.cache.iterdir():
        cached.write_bytes(b"junk")
    with pytest.raises(FileNotFoundError):  # a spoilt cache is not believed
        resolve_closure(["tool"], [metadata])


def test_a_kernel_is_installed_beside_the_one_that_runs(tmp_path: Path) -> None:
    running, newer = (Spec("kernel", version, arch="x86_64") for version in ("1", "2"))
    closure = resolve_closure(["kernel > 1"], [load(tmp_path, [running, newer])], baseline=installed(running))
    assert (names(closure), closure.upgraded) == (["kernel"], ())
