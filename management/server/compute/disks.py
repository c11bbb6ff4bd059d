"""Volumes: where they lie, making and removing them on a host's local storage."""

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.agentcalls import call_host
from management.server.clock import now
from management.server.compute import imagestore, places, snapshots
from management.server.compute.removal import remove_file
from management.server.errors import ApiError
from management.server.models.hosts import HostVO
from management.server.models.identity import ADMIN_UUID
from management.server.models.images import ImageVO
from management.server.models.offerings import DiskOfferingVO
from management.server.models.storage import PrimaryStorageClusterRefVO, PrimaryStorageVO
from management.server.models.vms import VmInstanceVO
from management.server.models.volumes import VolumeVO

if TYPE_CHECKING:
    from management.server.node import Node


def storage_of(session: Session, host_uuid: str) -> PrimaryStorageVO:
    """The primary storage that the host's cluster uses.

    Raises:
        ApiError: it has none that is enabled.
    """
    host = session.get_one(HostVO, host_uuid)
    wanted = (
        select(PrimaryStorageVO)
        .join(PrimaryStorageClusterRefVO, PrimaryStorageClusterRefVO.primaryStorageUuid == PrimaryStorageVO.uuid)
        .where(
            PrimaryStorageClusterRefVO.clusterUuid == host.clusterUuid,
            PrimaryStorageVO.state == "Enabled",
            PrimaryStorageVO.deleted.is_(None),
        )
        .order_by(PrimaryStorageVO.createDate)
    )
    row = session.scalars(wanted).first()
    if row is None:
        raise ApiError("SYS.1006", f"cluster[uuid:{host.clusterUuid}] has no enabled primary storage")
    return row


def install_path(storage: PrimaryStorageVO, volume: VolumeVO) -> str:
    """Where a volume's file lies."""
    folder = "rootVolumes" if volume.type == "Root" else "dataVolumes"
    return f"{storage.url}/{folder}/acct-{ADMIN_UUID}/vol-{volume.uuid}/{volume.uuid}.qcow2"


def add_root(session: Session, vm: VmInstanceVO, image: ImageVO) -> VolumeVO:
    """The row of a VM's root volume; its file comes later."""
    row = VolumeVO(
        uuid=uuid.uuid4().hex,
        name=f"ROOT-for-{vm.name}",
        description=f"Root volume for VM[uuid:{vm.uuid}]",
        vmInstanceUuid=vm.uuid,
        rootImageUuid=image.uuid,
        type="Root",
        format=image.format,
        size=image.virtualSize or image.size or 0,
        deviceId=0,
    )
    session.add(row)
    session.flush()
    vm.rootVolumeUuid = row.uuid
    return row


def make_on_host(node: "Node", volume_uuid: str, host_uuid: str) -> None:
    """Make a volume's file on the host: from its image, or empty. Makes none when the volume is Ready.

    Raises:
        ApiError: the agent cannot do it, or it is not known yet which file is the volume's.
    """
    with node.database.read() as session:
        volume = session.get_one(VolumeVO, volume_uuid)
        snapshots.check_finished(session, volume_uuid)
        if volume.status == "Ready":
            return
        storage = storage_of(session, host_uuid)
        image = session.get(ImageVO, volume.rootImageUuid) if volume.rootImageUuid else None
        stored = imagestore.source(session, image.uuid) if image else None
    path = install_path(storage, volume)
    with node.database.write() as session:
        # Known before it is there, so that what a failure leaves can be removed.
        row = session.get_one(VolumeVO, volume_uuid)
        row.primaryStorageUuid, row.installPath = storage.uuid, path
        places.put(session, row, host_uuid, storage.uuid)
    body = {"hostUuid": host_uuid, "installUrl": path, "volumeUuid": volume.uuid, "size": volume.size}
    if image is None:
        call_host(node, host_uuid, "/localstorage/volume/createempty", body)
    else:
        cached = f"{storage.url}/imagecache/template/{image.uuid}/{image.uuid}.{image.format}"
        source = {"templatePathInCache": cached, "imageUrl": image.url, "digest": image.digest, "backupStorage": stored}
        call_host(node, host_uuid, "/localstorage/volume/createvolumefromcache", {**body, **source})
    with node.database.write() as session:
        row = session.get_one(VolumeVO, volume_uuid)
        row.status = "Ready"


def add_data(session: Session, vm: VmInstanceVO, offering: DiskOfferingVO, device: int) -> VolumeVO:
    """The row of a data volume that a VM is made with."""
    row = VolumeVO(
        uuid=uuid.uuid4().hex,
        name=f"DATA-for-{vm.name}",
        vmInstanceUuid=vm.uuid,
        diskOfferingUuid=offering.uuid,
        type="Data",
        size=offering.diskSize,
        deviceId=device,
    )
    session.add(row)
    session.flush()
    return row


def delete(node: "Node", volume: VolumeVO, host_uuid: str | None) -> None:
    """Delete the volume's file, if it has one, its snapshots and its row. On `host_uuid`, when nothing else is known.

    Raises:
        ApiError: the host could not delete the file; the row stays then.
    """
    with node.database.read() as session:
        host_uuid = places.host_of(session, volume.uuid) or host_uuid
    if volume.installPath is not None and volume.primaryStorageUuid is not None and host_uuid is not None:
        remove_file(node, volume.primaryStorageUuid, host_uuid, volume.installPath)
    snapshots.drop(node, volume, host_uuid)
    with node.database.write() as session:
        row = session.get_one(VolumeVO, volume.uuid)
        row.deleted, row.status, row.vmInstanceUuid = now(), "Deleted", None
        places.clear(session, row.uuid)


def release(node: "Node", volume: VolumeVO) -> None:
    """The volume belongs to no VM from now on."""
    with node.database.write() as session:
        row = session.get_one(VolumeVO, volume.uuid)
        row.vmInstanceUuid, row.deviceId = None, None
