"""Every kind of step says beforehand how it is undone, in one line, without a look at the host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from installer.plan import Plan, load_plan
from installer.steps import (
    AnyStep,
    AwaitHealth,
    BackUpDatabase,
    DumpDatabase,
    InstallPackages,
    InstallUnits,
    KeepConfig,
    MakeFolders,
    MakeLinks,
    MakeSshKey,
    MakeUser,
    MakeVenv,
    MigrateDatabase,
    OpenPorts,
    RecordState,
    RegisterImages,
    RehearseMigration,
    RemovePackages,
    RemoveTrees,
    RestoreDatabase,
    RestoreFiles,
    RevokeSshKey,
    RunCommand,
    SetAside,
    SetRights,
    SetSysctls,
    StageRelease,
    StartUnits,
    StopUnits,
    SwapContents,
    Switch,
    UnpackBackup,
    UnpackPython,
    WriteConfig,
    WriteFiles,
    WriteSecrets,
    known_kinds,
)
from installer.steps.folders import Folder
from installer.steps.postgresql import Postgresql
from installer.steps.sshkey import Admission
from payload.digest import digest_bytes
from payload.version import parse_version
from repos.offline import RepositoryFile

HERE = Path("/no/such/place")
WHY = "a test"
ADMISSION = Admission("root", HERE / "authorized_keys", "app:key")
REPOSITORIES = RepositoryFile("bundle", ())
MIGRATE = MigrateDatabase(
    what="migrate", argv=("app", "up"), back=("app", "down"), database=HERE, user="app", cwd=HERE, reason=WHY
)
STAGE = StageRelease(release=HERE, reason=WHY)
SAMPLES: tuple[AnyStep, ...] = (
    AwaitHealth(url="http://127.0.0.1", timeout=1, reason=WHY),
    BackUpDatabase(database=HERE, backup=HERE, reason=WHY),
    DumpDatabase(database=Postgresql("postgresql://app@db/app"), backup=HERE, folder=HERE, user="app", reason=WHY),
    InstallPackages(wanted=("tool",), bundle=REPOSITORIES, release=HERE, reason=WHY),
    InstallUnits(folder=HERE, units=(), reason=WHY),
    KeepConfig(paths=(), listing=HERE / "list", reason=WHY),
    MakeFolders(folders=(Folder(HERE, 0o750, keep=("installer",)),), reason=WHY),
    MakeLinks(reason=WHY),
    MakeSshKey(key=HERE, user="app", comment="app", admission=ADMISSION, reason=WHY),
    MakeUser(user="app", home=HERE, reason=WHY),
    MakeVenv(venv=HERE, wheels=HERE, requirements=HERE, pip=HERE, python="python3", reason=WHY),
    MIGRATE,
    OpenPorts(record=HERE, ports=("80/tcp",), firewall="firewalld", reason=WHY),
    RecordState(path=HERE, state=None, reason=WHY),
    RegisterImages(folder=HERE, images=(), reason=WHY),
    RehearseMigration(database=HERE, copy=HERE, argv=("app",), user="app", reason=WHY),
    RemovePackages(packages=(), repositories=REPOSITORIES, release=HERE, reason=WHY),
    RemoveTrees(what="all", paths=(), reason=WHY),
    RestoreDatabase(database=HERE, backup=HERE, reason=WHY),
    RestoreFiles(what="files", files=(), reason=WHY),
    RevokeSshKey(admission=ADMISSION, reason=WHY),
    RunCommand(what="set up", argv=("app",), user="app", cwd=HERE, reason=WHY),
    SetAside(path=HERE, reason=WHY),
    SetRights(files=(), reason=WHY),
    SetSysctls(file=HERE, origin=HERE, reason=WHY),
    STAGE,
    StartUnits(units=("app.service",), reason=WHY),
    StopUnits(units=("app.service",), reason=WHY),
    SwapContents(folder=HERE, new=HERE, aside=HERE, reason=WHY),
    Switch(current=HERE, target="releases/1", reason=WHY),
    UnpackBackup(archive=HERE, contents=digest_bytes(b""), places=(), reason=WHY),
    UnpackPython(archive=HERE, python=HERE, reason=WHY),
    WriteConfig(files=(), user="app", reason=WHY),
    WriteFiles(what="files", files=(), reason=WHY),
    WriteSecrets(folder=HERE, names=("word",), reason=WHY),
)
SILENT = {"health"}
"""Kinds that change nothing."""


def test_no_kind_is_left_out() -> None:
    of_the_installer = {kind for kind, known in known_kinds().items() if known.__module__.startswith("installer.")}
    assert sorted(step.kind for step in SAMPLES) == sorted(of_the_installer)


@pytest.mark.parametrize("step", SAMPLES, ids=lambda step: step.kind)
def test_each_says_it_in_one_line(step: AnyStep) -> None:
    said = step.undone()
    assert (said == "") == (step.kind in SILENT)
    assert said == said.strip() and "\n" not in said and not said.endswith(".")


def test_what_is_beyond_the_installer_is_said() -> None:
    beyond = {step.kind for step in SAMPLES if "cannot be undone by the installer" in step.undone()}
    assert beyond == {"command", "remove-trees"}
    assert MIGRATE.undone().endswith("run app down")
    assert replace(MIGRATE, back=()).undone().endswith("cannot be undone by the installer")
    assert replace(MIGRATE, database=None).undone().startswith("cannot be undone by the installer")
    assert replace(STAGE, repair=True).undone() == "nothing: repaired files stay"


def test_plans_show_it_and_journals_do_not_hold_it() -> None:
    plan = Plan("install", "app", parse_version("1.0"), "run", SAMPLES)
    lines = plan.lines()
    assert len(lines) == 2 * len(SAMPLES) - len(SILENT)
    assert lines[lines.index("    undo: point it where it pointed before, or remove it if it is new") - 1].startswith(
        f"30. switch {HERE} to releases/1"
    )
    assert [step["undo"] for step in plan.shown()["steps"]] == [step.undone() for step in SAMPLES]
    assert load_plan(plan.to_body()) == plan
    assert all("undo" not in step for step in plan.to_body()["steps"])
