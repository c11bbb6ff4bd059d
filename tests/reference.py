"""Releases of the reference product for tests: today's tree, what it was before, and releases that go wrong."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.lab.__main__ import link
from tests.lab.cache import Cache
from tests.paths import CHECKOUT

NEW_IN_1_1_0 = (
    "agents/console",
    "agents/storage",
    "server/agentcalls.py",
    "server/apis/audit.py",
    "server/apis/clusters.py",
    "server/apis/console.py",
    "server/apis/gc.py",
    "server/apis/globalconfig.py",
    "server/apis/hoststates.py",
    "server/apis/imagestates.py",
    "server/apis/locks.py",
    "server/apis/networks.py",
    "server/apis/networkservices.py",
    "server/apis/offerings.py",
    "server/apis/presence.py",
    "server/apis/storage.py",
    "server/apis/tags.py",
    "server/apis/vmnics.py",
    "server/apis/vmqueries.py",
    "server/apis/vms.py",
    "server/apis/volumes.py",
    "server/apis/zones.py",
    "server/compute",
    "server/flows.py",
    "server/gc",
    "server/migrations/versions/v1_1_0_console_agent.py",
    "server/migrations/versions/v1_1_0_gc.py",
    "server/migrations/versions/v1_1_0_inventory.py",
    "server/migrations/versions/v1_1_0_locks.py",
    "server/models/audit.py",
    "server/models/console.py",
    "server/models/gc.py",
    "server/models/globalconfig.py",
    "server/models/locks.py",
    "server/models/networks.py",
    "server/models/offerings.py",
    "server/models/presence.py",
    "server/models/storage.py",
    "server/models/tags.py",
    "server/models/vms.py",
    "server/models/volumes.py",
    "server/resources.py",
    "server/sitelocks.py",
    "server/tracker.py",
)
"""What 1.1.0 added, relative to management/: release 1.0.0 is the tree without it."""

_FAILING_MIGRATION = '''"""Changes a table, and fails."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "1.1.1", "1.1.0", None, None


def upgrade() -> None:
    op.add_column("HostEO", sa.Column("half", sa.String(10)))
    op.execute("UPDATE HostEO SET name = 'ruined'")
    op.execute("INSERT INTO NoSuchTable VALUES (1)")


def downgrade() -> None:
    op.drop_column("HostEO", "half")
'''


def sources(folder: Path) -> Path:
    """A copy of the product's sources at `folder`/management; returns that folder."""
    ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info", "*.lock")
    return Path(shutil.copytree(CHECKOUT / "management", folder / "management", ignore=ignored))


def sources_of_1_0_0(folder: Path) -> Path:
    """The same for release 1.0.0."""
    tree = sources(folder)
    for name in NEW_IN_1_1_0:
        shutil.rmtree(tree / name) if (tree / name).is_dir() else (tree / name).unlink()
    edit(tree / "__init__.py", r'"1\.1\.0"', '"1.0.0"')
    for package in ("compute", "gc"):
        edit(tree / "pyproject.toml", rf'^    "management\.server\.{package}",\n', "")
    return tree


def copy(folder: Path) -> Path:
    """A copy of the product at `folder`/management, with the lab's links beside it; returns that folder."""
    link(Cache(), folder / "build" / "lab")
    return sources(folder)


def edit(path: Path, pattern: str, replacement: str) -> None:
    """Replace what `pattern` finds, which must be there exactly once."""
    text, count = re.subn(pattern, lambda _: replacement, path.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert count == 1, f"{pattern!r} stands {count} times in {path}"
    path.write_text(text)


def release_1_0_0(folder: Path) -> Path:
    """Release 1.0.0: without the console agent and its table."""
    link(Cache(), folder / "build" / "lab")
    tree = sources_of_1_0_0(folder)
    manifest = tree / "bundle.toml"
    edit(manifest, r'^version = "1\.1\.0"\n', 'version = "1.0.0"\n')
    edit(manifest, r"^upgrades-from = [^\n]*\nworks-beside = [^\n]*\n", "")
    for agent in ("console", "storage"):
        edit(manifest, rf'^\[\[agents\]\]\nname = "{agent}".*?\n\n', "")
    edit(manifest, r"^ports = [^\n]*", "ports = [8080, 8443]")
    config = tree / "config/server.toml.j2"
    edit(config, r"^# session_seconds = [^\n]*", "# session_seconds = 3600")
    edit(config, r"^# Where this host reaches itself over SSH[^\n]*", "# Where this host reaches itself over SSH.")
    return manifest.parent


def release_1_1_0(folder: Path) -> Path:
    """Release 1.1.0: the tree as it is."""
    return copy(folder)


def failing_migration(folder: Path) -> Path:
    """A 1.1.0 whose migration changes a table and then fails."""
    tree = copy(folder)
    (tree / "server/migrations/versions/v1_1_1_half.py").write_text(_FAILING_MIGRATION)
    return tree


def unrehearsed_migration(folder: Path) -> Path:
    """The same, whose vendor does not say how to rehearse it."""
    tree = failing_migration(folder)
    edit(tree / "bundle.toml", r"^rehearse = [^\n]*\n", "")
    return tree


def never_healthy(folder: Path) -> Path:
    """A 1.1.0 whose service does not start."""
    tree = copy(folder)
    edit(tree / "units/sealift-server.service.j2", r"serve$", "serve --no-such-option")
    edit(tree / "bundle.toml", r"^timeout = 60$", "timeout = 5")
    return tree


def never_answers(folder: Path) -> Path:
    """A 1.1.0 whose service starts, and does not answer as its manifest says."""
    tree = copy(folder)
    edit(tree / "bundle.toml", r"/healthz\"\ntimeout = 60$", '/no-such-page"\ntimeout = 3')
    return tree


def portable(folder: Path) -> Path:
    """A 1.1.0 that needs no Python of its hosts, and starts on older ones."""
    tree = copy(folder)
    manifest = tree / "bundle.toml"
    edit(manifest, r'^python = ">=3\.11"\n', "")
    edit(manifest, r"^\[server\]\n", '[runtime]\npython = "portable"\n\n[server]\npython = "bundled"\n')
    return tree


def without_services(folder: Path) -> Path:
    """The same, without what needs systemd and a package manager: it can be installed in a mere folder with a libc."""
    tree = portable(folder)
    manifest = tree / "bundle.toml"
    edit(manifest, r"^packages = [^\n]*\n", "")
    edit(manifest, r"^serve = [^\n]*\n", "")
    edit(manifest, r"^units = [^\n]*\n", 'user = "root"\n')
    edit(manifest, r"^\[server\.health\].*?\n\n", "")
    return tree


RELEASES = {
    "1.0.0": release_1_0_0,
    "1.1.0": release_1_1_0,
    "failing-migration": failing_migration,
    "unrehearsed-migration": unrehearsed_migration,
    "never-healthy": never_healthy,
    "never-answers": never_answers,
    "portable": portable,
    "without-services": without_services,
}
