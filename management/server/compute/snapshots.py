"""Snapshots of volumes: a chain of files, of which the volume's own is the newest.

Taking one, the volume's file becomes the snapshot's, and the volume goes on in a new file on top of that. So nothing of
a chain is deleted before the volume has become independent of it.
"""

import uuid
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.agentcalls import call_host
from management.server.cascade import erase
from management.server.clock import now
from management.server.compute import places, states
from management.server.compute.removal import HOST_TRIGGERS, host_is_back_or_gone, remove_file
from management.server.compute.turns import held
from management.server.errors import ApiError
from management.server.gc.jobs import Context, JobKind
from management.server.gc.store import submit
from management.server.models.hosts import HostVO
from management.server.models.vms import VmInstanceVO
from management.server.models.volumes import VolumeSnapshotTreeVO, VolumeSnapshotVO, VolumeVO

if TYPE_CHECKING:
    from management.server.node import Node

UNKNOWN = ("SYS.1015", "SYS.1001", "SYS.1012")
"""After these the host may have done it, or may do it still."""


def of_volume(session: Session, volume_uuid: str) -> list[VolumeSnapshotVO]:
    """The volume's snapshots, the oldest first."""
    mine = VolumeSnapshotVO.volumeUuid == volume_uuid, VolumeSnapshotVO.deleted.is_(None)
    ordered = select(VolumeSnapshotVO).where(*mine).order_by(VolumeSnapshotVO.createDate, VolumeSnapshotVO.uuid)
    return list(session.scalars(ordered))


def plan(session: Session, volume: VolumeVO) -> dict[str, Any]:
    """The columns of the volume's next snapshot; makes its tree when it is the first one.

    Raises:
        ApiError: SYS.1006 or VM.1010, none can be taken.
    """
    if volume.status != "Ready" or volume.installPath is None or volume.primaryStorageUuid is None:
        raise ApiError(
            "SYS.1006", f"volume[uuid:{volume.uuid}] is {volume.status}; it has nothing to take a snapshot of"
        )
    if volume.vmInstanceUuid is not None:
        states.check(session.get_one(VmInstanceVO, volume.vmInstanceUuid), states.TAKE_SNAPSHOT)
    check_finished(session, volume.uuid)
    return {
        "treeUuid": _tree(session, volume).uuid,
        "parentUuid": next((row.uuid for row in of_volume(session, volume.uuid) if row.latest), None),
        "primaryStorageUuid": volume.primaryStorageUuid,
        "primaryStorageInstallPath": volume.installPath,
        "volumeType": volume.type,
        "format": volume.format,
        "size": 0,
        "latest": False,
        "status": "Creating",
    }


def check_finished(session: Session, volume_uuid: str) -> None:
    """Return when it is known which file is the volume's.

    Raises:
        ApiError: SYS.1006, a snapshot of it is not finished.
    """
    unfinished = [row.uuid for row in of_volume(session, volume_uuid) if row.status == "Creating"]
    if unfinished:
        text = f"snapshot[uuid:{unfinished[0]}] of volume[uuid:{volume_uuid}] waits for its host to be finished"
        raise ApiError("SYS.1006", text)


def take(node: "Node", snapshot_uuid: str) -> None:
    """Have the host take the snapshot that was planned.

    Raises:
        ApiError: it could not, and nothing of the snapshot is left; or nobody knows, and it is finished later.
    """
    try:
        _take(node, snapshot_uuid)
    except ApiError as error:
        with node.database.write() as session:
            row = session.get_one(VolumeSnapshotVO, snapshot_uuid)
            if error.code in UNKNOWN:
                context = {"snapshotUuid": row.uuid, "hostUuid": places.host_of(session, row.volumeUuid)}
                submit(session, FINISH_SNAPSHOT, f"finish-snapshot-{row.uuid}", context)
            else:
                _forget(session, row)
        raise


def remove(node: "Node", snapshot: VolumeSnapshotVO, _force: bool) -> None:
    """Make the volume independent of the snapshot, which has no children, and delete it."""
    with held(node, snapshot.volumeUuid) as volume:
        with node.database.read() as session:
            check_finished(session, volume.uuid)
            host = _host_of(session, volume)
            vm = session.get(VmInstanceVO, volume.vmInstanceUuid) if volume.vmInstanceUuid else None
            parent = session.get(VolumeSnapshotVO, snapshot.parentUuid) if snapshot.parentUuid else None
        if vm is not None:
            states.check(vm, states.DELETE_SNAPSHOT)
        if snapshot.latest:
            source = parent.primaryStorageInstallPath if parent is not None else None
            chain = {"srcPath": source, "destPath": volume.installPath, "fullRebase": parent is None}
            if vm is not None and vm.state == "Running":
                whose = {"vmUuid": vm.uuid, "deviceId": volume.deviceId}
                call_host(node, host, "/vm/volume/mergesnapshot", {**whose, **chain})
            else:
                call_host(node, host, "/localstorage/snapshot/offlinemerge", chain)
        with node.database.write() as session:
            _forget(session, session.get_one(VolumeSnapshotVO, snapshot.uuid))
        remove_file(node, snapshot.primaryStorageUuid, host, snapshot.primaryStorageInstallPath)


def drop(node: "Node", volume: VolumeVO, host_uuid: str | None) -> None:
    """The volume goes: its snapshots go with it, files and all."""
    with node.database.read() as session:
        rows = of_volume(session, volume.uuid)
        trees = _trees(session, volume.uuid)
    for row in rows:
        paths = {row.primaryStorageInstallPath} | ({_next_path(row)} if row.status == "Creating" else set())
        for path in sorted(paths - {volume.installPath}):
            if host_uuid is not None:
                remove_file(node, row.primaryStorageUuid, host_uuid, path)
    for each in (*rows, *trees):
        erase(node, each)


def leave_to_volume(_node: "Node", _row: Any, _force: bool) -> None:
    """Nothing is done when a volume begins to go: files that a VM may still use go after it has lost the volume."""


def _take(node: "Node", snapshot_uuid: str) -> None:
    """May be repeated: an agent that is asked for the same file again answers as it did the first time."""
    with node.database.read() as session:
        row = session.get_one(VolumeSnapshotVO, snapshot_uuid)
        volume = session.get_one(VolumeVO, row.volumeUuid)
        host = _host_of(session, volume)
    body = {
        "vmUuid": volume.vmInstanceUuid,
        "volumeUuid": volume.uuid,
        "deviceId": volume.deviceId,
        "volumeInstallPath": row.primaryStorageInstallPath,
        "installPath": _next_path(row),
        "fullSnapshot": False,
    }
    answer = call_host(node, host, "/vm/volume/takesnapshot", body)
    with node.database.write() as session:
        for earlier in of_volume(session, volume.uuid):
            earlier.latest = False
        row, volume = session.get_one(VolumeSnapshotVO, snapshot_uuid), session.get_one(VolumeVO, volume.uuid)
        row.primaryStorageInstallPath, volume.installPath = (
            answer["snapshotInstallPath"],
            answer["newVolumeInstallPath"],
        )
        row.size, row.status, row.latest = int(answer["size"]), "Ready", True


def _host_of(session: Session, volume: VolumeVO) -> str:
    host = places.host_of(session, volume.uuid)
    if host is None:
        raise ApiError("SYS.1006", f"volume[uuid:{volume.uuid}] lies on no host of the inventory")
    return host


def _next_path(row: VolumeSnapshotVO) -> str:
    return str(PurePosixPath(row.primaryStorageInstallPath).with_name(f"{row.uuid}.{row.format}"))


def _forget(session: Session, row: VolumeSnapshotVO) -> None:
    """The snapshot is not there: its parent is the latest again, and a tree without snapshots goes."""
    parent = session.get(VolumeSnapshotVO, row.parentUuid) if row.parentUuid else None
    if row.latest and parent is not None:
        parent.latest = True
    row.latest, row.status, row.deleted = False, "Deleted", now()
    session.flush()
    if not of_volume(session, row.volumeUuid):
        for tree in _trees(session, row.volumeUuid):
            tree.deleted, tree.current = now(), False


def _tree(session: Session, volume: VolumeVO) -> VolumeSnapshotTreeVO:
    tree = next(iter(_trees(session, volume.uuid)), None) or VolumeSnapshotTreeVO(uuid=uuid.uuid4().hex)
    tree.volumeUuid = volume.uuid
    session.add(tree)
    session.flush()
    return tree


def _trees(session: Session, volume_uuid: str) -> list[VolumeSnapshotTreeVO]:
    mine = VolumeSnapshotTreeVO.volumeUuid == volume_uuid, VolumeSnapshotTreeVO.deleted.is_(None)
    return list(session.scalars(select(VolumeSnapshotTreeVO).where(*mine)))


def _finish(node: "Node", context: Context) -> None:
    with node.database.read() as session:
        row = session.get(VolumeSnapshotVO, context["snapshotUuid"])
        host = session.get(HostVO, context["hostUuid"])
    if row is None or row.deleted is not None or row.status != "Creating":
        return
    with held(node, row.volumeUuid):
        if host is None or host.deleted is not None:
            with node.database.write() as session:
                _forget(session, session.get_one(VolumeSnapshotVO, row.uuid))
        else:
            _take(node, row.uuid)


FINISH_SNAPSHOT = JobKind(
    "org.zstack.storage.snapshot.GCFinishSnapshotRunner", _finish, host_is_back_or_gone, HOST_TRIGGERS
)
