"""What a frozen installer takes along of this package needs no builder's libraries."""

from __future__ import annotations

import sys
from pathlib import Path

from payload import effects

ON_THE_HOST = ("dnf", "mirrors", "nevra", "offline", "probing")
BUILDERS = {"solv", "createrepo_c", "rpmfile", "PyInstaller"}


def test_the_hosts_modules_import_no_builders_library() -> None:
    program = f"import sys; sys.path.insert(0, '.'); {'; '.join(f'import repos.{name}' for name in ON_THE_HOST)}; "
    program += "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = set(effects.run([sys.executable, "-I", "-c", program], cwd=Path(__file__).parents[3]).output.split())
    assert "repos" in loaded
    assert not loaded & BUILDERS
