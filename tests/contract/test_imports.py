"""Who may import whom."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from tests.paths import CHECKOUT, PACKAGES, sources


def imported(path: Path) -> Iterator[str]:
    """The names that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def importers(module: str, *folders: str) -> set[str]:
    """The files that import `module`."""
    return {
        str(path.relative_to(CHECKOUT))
        for path in sources(*folders)
        if any(name == module or name.startswith(f"{module}.") for name in imported(path))
    }


def test_the_layers_hold() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_door_to_processes() -> None:
    agents = importers("subprocess", "management/agents")  # wheels of their own, that share nothing
    assert importers("subprocess", *PACKAGES) - agents == {"payload/effects.py", "management/effects.py"}
    assert importers("pty", *PACKAGES) == importers("multiprocessing", *PACKAGES) == set()


def test_one_door_for_what_a_run_writes() -> None:
    """A killed write leaves a file, and the next one has to remove it. A report is written without a lock."""
    users = {str(path.relative_to(CHECKOUT)) for path in sources("installer") if "atomic_write" in path.read_text()}
    assert users == {"installer/writing.py", "installer/screen.py"}


def test_two_users_of_createrepo() -> None:
    """One writes metadata; one reads packages, also in processes of its own, and imports nothing else."""
    assert importers("createrepo_c", *PACKAGES) == {"repos/createrepo.py", "repos/package_xml.py"}
    names = {name.partition(".")[0] for name in imported(CHECKOUT / "repos/package_xml.py")}
    assert names - sys.stdlib_module_names == {"createrepo_c"}


@pytest.mark.parametrize("module", ["createrepo_c", "solv", "PyInstaller", "pip", "tree_sitter"])
def test_the_installer_never_reaches_builder_side_libraries(module: str) -> None:
    graph = grimp.build_graph("installer", "repos", "templates", "payload", include_external_packages=True)
    users = graph.find_modules_that_directly_import(module) if module in graph.modules else set()
    reached = graph.find_downstream_modules(module) if users else set()
    assert not {name for name in reached if name.split(".")[0] == "installer"}


_BY_SOME = {"requests", "urllib3", "charset_normalizer", "rich", "http.server"}
_BY_DOCUMENTS = {"pydantic", "payload.manifest", "payload.lock", "payload.document", "payload.fields"}
_UNUSED: dict[str, set[str]] = {
    "payload.archive": _BY_SOME | _BY_DOCUMENTS | {"typing_extensions", "tarfile", "subprocess", "payload.signing"},
    "installer.show_commands": _BY_SOME | _BY_DOCUMENTS | {"jinja2", "installer.flow"},
    "installer.host_commands": _BY_SOME,
    "installer.control_cli": _BY_SOME | {"installer.flow", "installer.backup.making", "installer.drift"},
}
"""What is not needed to read a bundle, to show it, to act by it, or for most control commands. See docs/adr/0073."""


@pytest.mark.parametrize("module", _UNUSED)
def test_a_start_loads_nothing_that_only_others_need(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert not _UNUSED[module] & set(done.stdout.split())


def test_no_cycles() -> None:
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True)
    sorter = graphlib.TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules})
    sorter.prepare()
