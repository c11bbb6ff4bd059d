"""Backup storages as hosts with an agent: bringing it up, and learning how much room there is."""

import logging
from typing import TYPE_CHECKING

from sqlalchemy import select

from management import deadlines
from management.deploy.client import AgentError
from management.deploy.deployer import DeployError
from management.deploy.desired import Target
from management.server.compute.imagestore import AGENT
from management.server.errors import ApiError
from management.server.models.storage import BackupStorageVO

if TYPE_CHECKING:
    from management.server.node import Node

log = logging.getLogger(__name__)

SSH_PORT = 22


def connect(node: "Node", storage_uuid: str, password: str | None = None) -> None:
    """Bring a backup storage to Connected: deploy its agent when needed, have it make the folder, note the capacity.

    With a password, authorize our key first.

    Raises:
        ApiError: SYS.1006, SYS.1015 or SYS.1001; the storage is Disconnected then.
    """
    with node.locks("connect-backup-storage", storage_uuid):
        with node.database.read() as session:
            storage = session.get_one(BackupStorageVO, storage_uuid)
        target = Target(storage.hostname, SSH_PORT, storage.username)
        try:
            if password is not None:
                node.deployer.authorize(target, password)
            node.deployer.ensure(AGENT, target)
            body = {"uuid": storage.uuid, "storagePath": storage.url}
            room = node.deployer.client(AGENT, storage.hostname).call("/sftpbackupstorage/connect", body)
        except (DeployError, AgentError) as error:
            _settle(node, storage_uuid, status="Disconnected")
            unreached = "SYS.1015" if isinstance(error, AgentError) else "SYS.1006"
            raise ApiError("SYS.1001" if deadlines.passed() else unreached, str(error)) from error
        capacity = {name: int(room[name]) for name in ("totalCapacity", "availableCapacity")}
        _settle(node, storage_uuid, status="Connected", **capacity)


def connect_all(node: "Node") -> None:
    """Connect every backup storage in the background: after an upgrade their agents may have to follow."""
    with node.database.read() as session:
        uuids = session.scalars(select(BackupStorageVO.uuid).where(BackupStorageVO.deleted.is_(None))).all()
    for uuid in uuids:
        node.background(_try_connect, node, uuid)


def _try_connect(node: "Node", storage_uuid: str) -> None:
    try:
        connect(node, storage_uuid)
    except ApiError as error:
        # Its status tells the operator; ReconnectSftpBackupStorage tries again.
        log.warning("backup storage %s stays disconnected: %s", storage_uuid, error)


def _settle(node: "Node", storage_uuid: str, **columns: int | str) -> None:
    with node.database.write() as session:
        row = session.get_one(BackupStorageVO, storage_uuid)
        for name, value in columns.items():
            setattr(row, name, value)
