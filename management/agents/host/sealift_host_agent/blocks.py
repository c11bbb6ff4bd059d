"""The disks of a running VM: giving and taking them, snapshots, and making them independent of snapshots. Over QMP."""

from pathlib import Path
from typing import Any

from .calls import CallError
from .qemu import NODE, Disk
from .qmp import Qmp, QmpError

_JOB_ENDED = ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED")


def attach(talk: Qmp, disk: Disk) -> None:
    """Give the disk to the guest, unless it has it.

    Raises:
        CallError: QEMU cannot open the file, or has no room for one more.
    """
    if _has(talk, disk):
        return
    _close_unused(talk)
    talk.do("blockdev-add", **disk.blockdev())
    try:
        talk.do("device_add", **disk.frontend())
    except CallError:
        _close_unused(talk)
        raise


def detach(talk: Qmp, disk: Disk) -> None:
    """Take the disk from the guest, if it has it. The guest takes part in that: one that hangs keeps its disks.

    Raises:
        CallError: the guest did not let go of it in time.
    """
    if _has(talk, disk):
        try:
            talk.do("device_del", id=disk.device)
        except QmpError as error:
            if "already in the process" not in str(error):
                raise
        talk.wait(lambda event: event["event"] == "DEVICE_DELETED" and event["data"].get("device") == disk.device)
    _close_unused(talk)


def snapshot(talk: Qmp, old: Path, new: Path) -> None:
    """From now on the guest writes to the file `new`; what it has written until now stays in `old`.

    Raises:
        CallError: it writes to neither.
    """
    disks = disks_of(talk)
    if any(disk["file"] == str(new) for disk in disks):
        return
    node = _writing_to(disks, old)["node-name"]
    # What an earlier attempt has left: the guest does not use it.
    new.unlink(missing_ok=True)
    names = {"snapshot-file": str(new), "snapshot-node-name": f"snap-{new.stem[:24]}", "format": "qcow2"}
    talk.do("blockdev-snapshot-sync", node_name=node, **names)


def merge(talk: Qmp, file: Path, base: Path | None) -> None:
    """Copy into the guest's file what lies between it and `base`, or all: then it depends on that alone, or on nothing.

    Raises:
        CallError: the guest does not write to it, or the copy failed or was not done in time; then it is what it was.
    """
    disk = _writing_to(disks_of(talk), file)
    if disk.get("backing_file") != (None if base is None else str(base)):
        job = f"merge-{file.stem[:24]}"
        talk.do("block-stream", job_id=job, device=disk["node-name"], **({} if base is None else {"base": str(base)}))
        try:
            ended = talk.wait(lambda event: event["event"] in _JOB_ENDED and event["data"]["device"] == job)
        except CallError:
            # Without waiting for the answer: there is no time left.
            talk.tell("block-job-cancel", device=job)
            raise
        if ended["event"] == "BLOCK_JOB_CANCELLED" or "error" in ended["data"]:
            raise CallError(f"the snapshot was not merged: {ended['data'].get('error', 'the copy was ended')}")
    _close_unused(talk)


def disks_of(talk: Qmp) -> list[dict[str, Any]]:
    """What is behind each disk now: its `device`, its node's name, its file, and the file that this depends on."""
    found = (each for each in talk.do("query-block") if "inserted" in each)
    return [{**each["inserted"], "device": each.get("qdev", "")} for each in found]


def _has(talk: Qmp, disk: Disk) -> bool:
    return any(f"/{disk.device}/" in f"{each['device']}/" for each in disks_of(talk))


def _writing_to(disks: list[dict[str, Any]], file: Path) -> dict[str, Any]:
    found = next((disk for disk in disks if disk["file"] == str(file)), None)
    if found is None:
        raise CallError(f"the VM does not write to {file}")
    return found


def _close_unused(talk: Qmp) -> None:
    """Have QEMU close the files that were opened for a disk and that no disk depends on any more."""
    used: set[str] = set()
    for disk in disks_of(talk):
        image = disk.get("image")
        while image is not None:
            used.add(image["filename"])
            image = image.get("backing-image")
    for node in talk.do("query-named-block-nodes", flat=True):
        if node["node-name"].startswith(NODE) and node["file"] not in used:
            talk.do("blockdev-del", node_name=node["node-name"])
