"""Images on backup storages: downloading them there, and taking them away now or by the garbage collection."""

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from management import deadlines
from management.deploy.desired import Agent
from management.server import cascade
from management.server.agentcalls import call_agent
from management.server.agentcommands import DOWNLOAD_IMAGE
from management.server.errors import ApiError
from management.server.gc.jobs import Context, JobKind
from management.server.gc.store import submit
from management.server.models.gc import GarbageCollectorVO
from management.server.models.identity import ADMIN_UUID
from management.server.models.images import ImageVO
from management.server.models.storage import BackupStorageVO, ImageBackupStorageRefVO
from management.server.models.system import ManagementNodeVO

if TYPE_CHECKING:
    from management.server.node import Node

log = logging.getLogger(__name__)

AGENT = Agent("storage", 7171, "/sftpbackupstorage/echo", stores=True)
RETRY_SECONDS = 30.0
REMOVE_SECONDS = 5.0
"""How long a caller whose download has failed waits for its remains to go."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a backup storage says of an image that it has got, or why it has not."""

    storage_uuid: str
    answer: dict[str, Any] | None = None
    error: ApiError | None = None


def install_path(storage: BackupStorageVO, image: ImageVO) -> str:
    """Where an image's file lies."""
    name = unquote(urlsplit(image.url).path).rpartition("/")[2] or image.uuid
    folder = "dataVolumeTemplates" if image.mediaType == "DataVolumeTemplate" else "rootVolumeTemplates"
    return f"{storage.url}/{folder}/acct-{ADMIN_UUID}/{image.uuid}/{name}.template"


def source(session: Session, image_uuid: str) -> dict[str, str] | None:
    """Where hosts get the image from: a backup storage that has it, or None when none in service does."""
    for ref in _refs(session, image_uuid):
        storage = session.get(BackupStorageVO, ref.backupStorageUuid)
        usable = storage is not None and storage.deleted is None and storage.state == "Enabled"
        if storage is not None and usable and ref.status == "Ready":
            return {"hostname": storage.hostname, "installPath": ref.installPath}
    return None


def expect(node: "Node", session: Session, image_uuid: str) -> None:
    """Have the collection take the image away, should this node die before it has settled what became of it."""
    submit(session, LOST_DOWNLOAD, _lost_name(image_uuid), {"imageUuid": image_uuid, "managementNodeUuid": node.uuid})


def add_refs(session: Session, image: ImageVO, storage_uuids: Sequence[str]) -> None:
    """Note where the image is going to be.

    Raises:
        ApiError: SYS.1003 or SYS.1006, a backup storage is not there or not in service.
    """
    for storage_uuid in dict.fromkeys(storage_uuids):
        storage = session.get(BackupStorageVO, storage_uuid)
        if storage is None or storage.deleted is not None:
            raise ApiError("SYS.1003", f"there is no resource[uuid:{storage_uuid}, type:BackupStorageVO]")
        if (storage.state, storage.status) != ("Enabled", "Connected"):
            text = f"backup storage[uuid:{storage.uuid}] is {storage.state} and {storage.status}"
            raise ApiError("SYS.1006", text)
        place = {"backupStorageUuid": storage.uuid, "installPath": install_path(storage, image)}
        session.add(ImageBackupStorageRefVO(imageUuid=image.uuid, status="Downloading", **place))


def download(node: "Node", image_uuid: str) -> None:
    """Have every backup storage of the image download it, all at once. It is Ready when one has got it.

    Raises:
        ApiError: SYS.1002, none has. Then the image and whatever there is of its files are gone, or are collected.
    """
    with node.database.read() as session:
        image, refs = session.get_one(ImageVO, image_uuid), _refs(session, image_uuid)
    with ThreadPoolExecutor(len(refs), thread_name_prefix="download") as pool:
        # Each thread has its own copy of this one's context: the deadline, the actor, the marks of the log.
        running = [pool.submit(copy_context().run, _download, node, image, ref) for ref in refs]
        results = [each.result() for each in running]
    got = [each for each in results if each.answer is not None]
    with node.database.write() as session:
        left = _settle(session, image_uuid, got)
    for ref in refs:
        if ref.backupStorageUuid in left:
            remove_file(node, ref.backupStorageUuid, ref.installPath)
    if not got:
        failed = ", ".join(ref.backupStorageUuid for ref in refs)
        text = f"image[name:{image.name}, url:{image.url}] was downloaded to none of the backup storages [{failed}]"
        raise ApiError("SYS.1002", text, results[0].error)


def _download(node: "Node", image: ImageVO, ref: ImageBackupStorageRefVO) -> Downloaded:
    with node.database.read() as session:
        storage = session.get_one(BackupStorageVO, ref.backupStorageUuid)
    path = "/sftpbackupstorage/download"
    try:
        with node.timeouts.inner(DOWNLOAD_IMAGE):
            body = {
                "uuid": storage.uuid,
                "imageUuid": image.uuid,
                "installPath": ref.installPath,
                "url": image.url,
                "urlScheme": urlsplit(image.url).scheme,
                # Seconds, as all of the agents' times: the agent itself ends what nobody waits for any more.
                "timeout": math.ceil(node.timeouts.of_command(path)),
            }
            return Downloaded(storage.uuid, call_agent(node, AGENT, storage.hostname, path, body))
    except ApiError as error:
        with deadlines.grace(REMOVE_SECONDS):
            remove_file(node, storage.uuid, ref.installPath)
        return Downloaded(storage.uuid, error=error)


def _settle(session: Session, image_uuid: str, got: Sequence[Downloaded]) -> set[str]:
    """Note what has come of the download. Returns the storages that have got an image which was deleted meanwhile."""
    image = session.get_one(ImageVO, image_uuid)
    sizes = {each.storage_uuid: (each.answer or {}) for each in got}
    for ref in _refs(session, image_uuid):
        answer = sizes.pop(ref.backupStorageUuid, None)
        if answer is None:
            session.delete(ref)
            continue
        ref.status, image.status, image.size = "Ready", "Ready", answer.get("size")
        storage = session.get_one(BackupStorageVO, ref.backupStorageUuid)
        storage.totalCapacity = int(answer.get("totalCapacity", storage.totalCapacity))
        storage.availableCapacity = int(answer.get("availableCapacity", storage.availableCapacity))
    session.execute(delete(GarbageCollectorVO).where(GarbageCollectorVO.name == _lost_name(image_uuid)))
    session.flush()
    if not got and image.deleted is None:
        session.delete(image)
    return set(sizes)


def remove_file(node: "Node", storage_uuid: str, path: str) -> None:
    """Have the file, and a download to it, be gone: now, or when the backup storage can be reached again."""
    context = {"backupStorageUuid": storage_uuid, "installPath": path}
    try:
        _delete_image(node, context)
    except ApiError as error:
        log.warning("%s stays on backup storage %s for now: %s", path, storage_uuid, error)
        with node.database.write() as session:
            submit(session, DELETE_IMAGE, f"delete-image-{storage_uuid}-{path}", context)


def leave_storage(node: "Node", ref: ImageBackupStorageRefVO, _force: bool) -> None:
    """The image goes: its file on this storage goes with it."""
    remove_file(node, ref.backupStorageUuid, ref.installPath)
    cascade.erase(node, ref)


def lose_storage(node: "Node", ref: ImageBackupStorageRefVO, force: bool) -> None:
    """The storage goes: an image that is nowhere else goes with it."""
    cascade.erase(node, ref)
    with node.database.read() as session:
        image, elsewhere = session.get(ImageVO, ref.imageUuid), _refs(session, ref.imageUuid)
    if image is not None and image.deleted is None and not elsewhere:
        cascade.delete(node, ImageVO, image.uuid, force=force)


def _refs(session: Session, image_uuid: str) -> Sequence[ImageBackupStorageRefVO]:
    wanted = select(ImageBackupStorageRefVO).where(ImageBackupStorageRefVO.imageUuid == image_uuid)
    return session.scalars(wanted.order_by(ImageBackupStorageRefVO.backupStorageUuid)).all()


def _storage(session: Session, context: Context) -> BackupStorageVO | None:
    row = session.get(BackupStorageVO, context["backupStorageUuid"])
    return None if row is None or row.deleted is not None else row


def _delete_image(node: "Node", context: Context) -> None:
    with node.database.read() as session:
        storage = _storage(session, context)
    if storage is not None:
        body = {"installPath": context["installPath"]}
        call_agent(node, AGENT, storage.hostname, "/sftpbackupstorage/delete", body)


def _is_due(_session: Session, _context: Context) -> bool:
    return True


def _lost_name(image_uuid: str) -> str:
    return f"lost-download-{image_uuid}"


def _take_away(node: "Node", context: Context) -> None:
    with node.database.read() as session:
        image, refs = session.get(ImageVO, context["imageUuid"]), _refs(session, context["imageUuid"])
    if image is None or image.status != "Downloading":
        return
    for ref in refs:
        remove_file(node, ref.backupStorageUuid, ref.installPath)
        cascade.erase(node, ref)
    cascade.erase(node, image)


def _is_node_gone(session: Session, context: Context) -> bool:
    return session.get(ManagementNodeVO, context["managementNodeUuid"]) is None


LOST_DOWNLOAD = JobKind("org.zstack.image.GCLostDownloadRunner", _take_away, _is_node_gone, interval=RETRY_SECONDS)
DELETE_IMAGE = JobKind("org.zstack.storage.backup.GCDeleteImageRunner", _delete_image, _is_due, interval=RETRY_SECONDS)
"""It polls: nobody tells whether a backup storage is there."""
