"""The XML that repository metadata has of each package, read from the headers of RPM files.

Many packages are read by processes of their own, one for each processor: `python -m repos.package_xml`. Threads would
only get in each other's way, since the library keeps Python's lock. This module imports little, since it starts often.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import createrepo_c  # type: ignore[import-untyped]

CHANGELOGS = 10
"""So many entries of a package's changelog are kept."""
PROGRAM = (sys.executable, "-P", "-m", "repos.package_xml")
"""A process of its own."""
BAD_RPM = 3
"""How it exits when a file is no RPM; which and why is on its standard error."""
DUMPS = {
    "primary": createrepo_c.xml_dump_primary,
    "filelists": createrepo_c.xml_dump_filelists,
    "other": createrepo_c.xml_dump_other,
}
"""The documents that have something of each package."""


class BadRpmError(Exception):
    """A file named *.rpm is none; the text says which, and why."""


def write_part(folder: Path, packages: Sequence[Path], revision: int, part: Path) -> None:
    """Write what each document has of `packages`, which lie below `folder`, to the files `part_file` names.

    Raises:
        BadRpmError: one is no whole package.
    """
    with ExitStack() as stack:
        files = {
            kind: stack.enter_context(part_file(part, kind).open("w", encoding="utf-8", newline="")) for kind in DUMPS
        }
        for path in packages:
            package = _read(folder, path)
            package.time_file = revision
            for kind, dump in DUMPS.items():
                files[kind].write(dump(package))


def part_file(part: Path, kind: str) -> Path:
    """Where the part for one document is."""
    return part.with_name(f"{part.name}-{kind}.xml")


def request(folder: Path, packages: Sequence[Path], revision: int, part: Path) -> str:
    """What a process of its own reads from its standard input to do the same."""
    return json.dumps([str(folder), [str(path) for path in packages], revision, str(part)])


def _read(folder: Path, path: Path) -> createrepo_c.Package:
    location = str(path).removeprefix(f"{folder}/")
    try:
        return createrepo_c.package_from_rpm(str(path), location_href=location, changelog_limit=CHANGELOGS)
    except (createrepo_c.CreaterepoCError, OSError) as error:
        raise BadRpmError(f"{path} is not a whole RPM package: {error}") from error


def main() -> None:
    """Answer one `request`."""
    folder, packages, revision, part = json.load(sys.stdin)
    try:
        write_part(Path(folder), [Path(name) for name in packages], revision, Path(part))
    except BadRpmError as error:
        sys.stderr.write(str(error))
        sys.exit(BAD_RPM)


if __name__ == "__main__":
    main()
