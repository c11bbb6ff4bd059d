"""On which host's own storage a volume's file lies."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from management.server.models.volumes import LocalStorageResourceRefVO, VolumeVO


def host_of(session: Session, volume_uuid: str) -> str | None:
    """The host that has the volume's file, or None while there is none."""
    ref = session.get(LocalStorageResourceRefVO, volume_uuid)
    return None if ref is None else ref.hostUuid


def put(session: Session, volume: VolumeVO, host_uuid: str, storage_uuid: str) -> None:
    """The volume's file is on that host from now on, or is going to be."""
    ref = session.get(LocalStorageResourceRefVO, volume.uuid) or LocalStorageResourceRefVO(resourceUuid=volume.uuid)
    ref.hostUuid, ref.primaryStorageUuid, ref.size = host_uuid, storage_uuid, volume.size
    session.add(ref)


def move(session: Session, vm_uuid: str, host_uuid: str) -> None:
    """The VM's volumes have gone to another host with it."""
    session.flush()
    theirs = VolumeVO.__table__.select().with_only_columns(VolumeVO.uuid).where(VolumeVO.vmInstanceUuid == vm_uuid)
    moved = update(LocalStorageResourceRefVO).where(LocalStorageResourceRefVO.resourceUuid.in_(theirs))
    session.execute(moved.values(hostUuid=host_uuid))


def clear(session: Session, volume_uuid: str) -> None:
    """The volume has no file any more."""
    ref = session.get(LocalStorageResourceRefVO, volume_uuid)
    if ref is not None:
        session.delete(ref)
