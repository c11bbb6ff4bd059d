"""Reading the table of a transaction; all outputs are from the real programs."""

from __future__ import annotations

from repos.nevra import Nevra
from repos.preview import Change, Preview, irreversible, parse_preview

DNF4 = """\
x                                               1.0 MB/s | 1.4 kB     00:00
Package other-1.2.3-4.noarch is already installed.
Dependencies resolved.
================================================================================
 Package            Architecture      Version            Repository        Size
================================================================================
Installing:
 added              noarch            1-1                ours2            5.4 k
     replacing  goner.noarch 1-1
 a-very-long-package-name-that-does-not-fit-into-a-column-of-the-table
                    x86_64            2.2.3-4.very.long  ours2            2.0 M
Upgrading:
 library            noarch            1:2-1              ours2            5.4 k
Installing dependencies:
 base               noarch            3-1                ours2            1.0 k
Removing dependent packages:
 victim             noarch            1-1                @System          0
Downgrading:
 tool               noarch            1-1                ours2            5.9 k

Transaction Summary
================================================================================
Install    2 Packages
Remove     1 Package

Total download size: 17 k
Installed size: 5.6 M
Operation aborted.
"""
DNF5 = """\
Package            Arch   Version Repository      Size
Installing:
 added             noarch 0:1-1   ours2       12.0 KiB
   replacing goner noarch 0:1-1   ours1        0.0   B
Downgrading:
 library             noarch 1:1-1   ours1        0.0   B
   replacing library noarch 1:2-1   ours2        0.0   B
Removing dependent packages:
 victim            noarch 0:1-1   ours1        0.0   B

Transaction Summary:
 Installing:         1 package
 Replacing:          1 package

Updating and loading repositories:
 Thing: http://127.0.0.1:43779/GT77x 100% |   1.9 MiB/s |   2.0 KiB |  00m00s
Repositories loaded.
Total size of inbound packages is 22 KiB. Need to download 22 KiB.
After this operation, 3 MiB extra will be used (install 3 MiB, remove 0 B).
Operation aborted by the user.
"""
YUM3 = """\
Resolving Dependencies
--> Running transaction check
---> Package tool.noarch 0:2-1 will be installed
--> Finished Dependency Resolution

Dependencies Resolved

================================================================================
 Package          Arch            Version             Repository           Size
================================================================================
Installing:
 tool             noarch          2-1                 ours                5.9 k
Installing for dependencies:
 base             noarch          3-1                 ours                1.0 k
Updating for dependencies:
 library          noarch          1:2-1               ours                5.4 k

Transaction Summary
================================================================================
Install  1 Package  (+1 Dependent package)
Upgrade             ( 1 Dependent package)

Total download size: 12 k
Exiting on user command
"""


def names(preview: Preview) -> set[tuple[str, str]]:
    return {(change.action, change.nevra.short) for change in preview.changes}


def test_dnf_4() -> None:
    preview = parse_preview(DNF4)
    assert names(preview) == {
        ("install", "added-1-1.noarch"),
        ("install", "a-very-long-package-name-that-does-not-fit-into-a-column-of-the-table-2.2.3-4.very.long.x86_64"),
        ("install", "base-3-1.noarch"),
        ("upgrade", "library-1:2-1.noarch"),
        ("downgrade", "tool-1-1.noarch"),
        ("remove", "goner-1-1.noarch"),
        ("remove", "victim-1-1.noarch"),
    }
    assert (preview.download_size, preview.installed_size) == (17_000, 5_600_000)
    assert Change("upgrade", Nevra("library", 1, "2", "1", "noarch"), 5400) in preview.changes


def test_dnf_5_also_shows_what_an_upgrade_replaces() -> None:
    preview = parse_preview(DNF5)
    assert names(preview) == {
        ("install", "added-1-1.noarch"),
        ("downgrade", "library-1:1-1.noarch"),
        ("remove", "goner-1-1.noarch"),
        ("remove", "victim-1-1.noarch"),
    }
    assert (preview.download_size, preview.installed_size) == (22 << 10, 3 << 20)


def test_yum_3() -> None:
    preview = parse_preview(YUM3)
    assert names(preview) == {
        ("install", "tool-2-1.noarch"),
        ("install", "base-3-1.noarch"),
        ("upgrade", "library-1:2-1.noarch"),
    }
    assert (preview.download_size, preview.installed_size) == (12_000, None)


def test_harm_is_what_goes_and_is_not_our_own() -> None:
    preview = parse_preview(DNF4)
    assert {change.nevra.name for change in preview.harmful(())} == {"goner", "victim", "tool"}
    assert {change.nevra.name for change in preview.harmful(("tool", "goner"))} == {"victim"}


def test_what_could_not_be_put_back() -> None:
    texts = ("library-1:1-1.noarch", "library-1:1-1.i686", "tool-2-1.noarch", "goner-1-1.noarch", "added-0-1.i686")
    installed = [Nevra.parse(text) for text in texts]
    preview = parse_preview(DNF4)

    def lost(*at_hand: str) -> list[str]:
        return [nevra.short for nevra in irreversible(preview, installed, {Nevra.parse(text) for text in at_hand})]

    assert lost() == ["goner-1-1.noarch", "library-1:1-1.noarch", "tool-2-1.noarch"]
    assert lost("library-1:1-1.noarch", "tool-2-2.noarch") == ["goner-1-1.noarch", "tool-2-1.noarch"]
    assert lost("library-1:1-1.noarch", "tool-2-1.noarch", "goner-0:1-1.noarch") == []


def test_an_upgrade_to_another_architecture_replaces_the_old_one() -> None:
    preview = Preview((Change("upgrade", Nevra.parse("library-2-1.x86_64"), 0),))
    old = Nevra.parse("library-1-1.noarch")
    assert irreversible(preview, [old], ()) == (old,)


def test_for_people() -> None:
    assert parse_preview("Nothing to do.\n").lines() == ()
    assert parse_preview(YUM3).lines() == (
        "packages to install: base-3-1.noarch, tool-2-1.noarch",
        "packages to upgrade to: library-1:2-1.noarch",
        "packages in all: 0.0 MB to read",
    )
