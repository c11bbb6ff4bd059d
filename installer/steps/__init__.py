"""All kinds of steps. Importing this package makes every kind known to the journal's reader."""

from installer.steps.aside import SetAside
from installer.steps.base import (
    AnyStep,
    Host,
    Nothing,
    Runner,
    Step,
    VolatileStep,
    dump_step,
    dump_undo,
    known_kinds,
    load_step,
    load_undo,
    register,
)
from installer.steps.command import RunCommand
from installer.steps.config import KeepConfig, WriteConfig
from installer.steps.database import BackUpDatabase, RestoreDatabase
from installer.steps.files import RemoveTrees, RestoreFiles, WriteFiles
from installer.steps.firewall import OpenPorts
from installer.steps.folders import MakeFolders
from installer.steps.health import AwaitHealth
from installer.steps.images import RegisterImages
from installer.steps.links import MakeLinks, Switch
from installer.steps.migrate import MigrateDatabase
from installer.steps.packages import InstallPackages, RemovePackages
from installer.steps.postgresql import DumpDatabase
from installer.steps.python import UnpackPython
from installer.steps.record import RecordState
from installer.steps.rehearse import RehearseMigration
from installer.steps.rights import SetRights
from installer.steps.secrets import WriteSecrets
from installer.steps.service import StartUnits, StopUnits
from installer.steps.sshkey import MakeSshKey, RevokeSshKey
from installer.steps.stage import StageRelease
from installer.steps.swap import SwapContents
from installer.steps.sysctl import SetSysctls
from installer.steps.units import InstallUnits
from installer.steps.unpack_backup import UnpackBackup
from installer.steps.user import MakeUser
from installer.steps.venv import MakeVenv

__all__ = [
    "AnyStep",
    "AwaitHealth",
    "BackUpDatabase",
    "DumpDatabase",
    "Host",
    "InstallPackages",
    "InstallUnits",
    "KeepConfig",
    "MakeFolders",
    "MakeLinks",
    "MakeSshKey",
    "MakeUser",
    "MakeVenv",
    "MigrateDatabase",
    "Nothing",
    "OpenPorts",
    "RecordState",
    "RegisterImages",
    "RehearseMigration",
    "RemovePackages",
    "RemoveTrees",
    "RestoreDatabase",
    "RestoreFiles",
    "RevokeSshKey",
    "RunCommand",
    "Runner",
    "SetAside",
    "SetRights",
    "SetSysctls",
    "StageRelease",
    "StartUnits",
    "Step",
    "StopUnits",
    "SwapContents",
    "Switch",
    "UnpackBackup",
    "UnpackPython",
    "VolatileStep",
    "WriteConfig",
    "WriteFiles",
    "WriteSecrets",
    "dump_step",
    "dump_undo",
    "known_kinds",
    "load_step",
    "load_undo",
    "register",
]
