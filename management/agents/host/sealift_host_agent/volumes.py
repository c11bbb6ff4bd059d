"""Volumes on this host's own storage: their files and their snapshots, whether a VM runs with them or not."""

from . import blocks, images, places, templates
from .calls import Body, CallError, Locks, number, uuid
from .machines import Machines
from .qemu import Disk

MAX_SIZE = 1 << 50


class Volumes:
    """`machines` may have some of the volumes in use; `token` opens backup storages."""

    def __init__(self, machines: Machines, token: str) -> None:
        self._machines = machines
        self._token = token
        self._locks = Locks()

    def create_empty(self, body: Body) -> Body:
        file, size = places.volume(body, "installUrl"), number(body, "size", 1, MAX_SIZE)
        with self._locks(str(file.parent)):
            images.create(file, size)
        return {}

    def create_from_cache(self, body: Body) -> Body:
        """The volume goes on from the cached image, which stays what it is."""
        file, size = places.volume(body, "installUrl"), number(body, "size", 0, MAX_SIZE)
        cached = places.template(body, "templatePathInCache")
        with self._locks(str(cached)):
            kind = templates.ensure(cached, body, self._token)
        with self._locks(str(file.parent)):
            images.create_upon(file, cached, kind, size)
        return {}

    def delete(self, body: Body) -> Body:
        file = places.volume(body, "path")
        with self._locks(str(file.parent)):
            user = self._machines.user_of(file)
            if user is not None:
                raise CallError(f"{file} is in use by VM {user}")
            places.remove(file)
        return {}

    def take_snapshot(self, body: Body) -> Body:
        """The file becomes the snapshot, and the volume goes on in a new one upon it."""
        old, new = places.volume(body, "volumeInstallPath"), places.volume(body, "installPath")
        if old.parent != new.parent or old == new:
            raise CallError("installPath must be another file in the volume's folder")
        with self._locks(str(old.parent)):
            if not old.exists():
                raise CallError(f"{old} does not exist")
            vm = self._running(body)
            if vm is None:
                images.create_upon(new, old, "qcow2")
            else:
                with self._machines.talk(vm) as talk:
                    blocks.snapshot(talk, old, new)
            size = old.stat().st_blocks * 512
        return {"snapshotInstallPath": str(old), "newVolumeInstallPath": str(new), "size": size}

    def merge(self, body: Body) -> Body:
        """Make the file `destPath` depend on `srcPath` only, or on nothing. Done by the VM itself when that runs."""
        file = places.volume(body, "destPath")
        base = None if body.get("fullRebase") is True else places.volume(body, "srcPath")
        with self._locks(str(file.parent)):
            for each in filter(None, (file, base)):
                if not each.exists():
                    raise CallError(f"{each} does not exist")
            vm = self._running(body)
            if vm is None:
                images.depend_on(file, base)
            else:
                with self._machines.talk(vm) as talk:
                    blocks.merge(talk, file, base)
        return {}

    def attach(self, body: Body) -> Body:
        vm, disk = uuid(body, "vmInstanceUuid"), _disk(body)
        with self._machines.talk(vm) as talk:
            blocks.attach(talk, disk)
        return {}

    def detach(self, body: Body) -> Body:
        vm, disk = uuid(body, "vmInstanceUuid"), _disk(body)
        with self._machines.talk(vm) as talk:
            blocks.detach(talk, disk)
        return {}

    def _running(self, body: Body) -> str | None:
        """The VM that the body names, if it runs."""
        if body.get("vmUuid") is None:
            return None
        vm = uuid(body, "vmUuid")
        return vm if self._machines.runs(vm) else None


def _disk(body: Body) -> Disk:
    volume = body.get("volume")
    if not isinstance(volume, dict):
        raise CallError("volume must be given")
    return Disk.parse(volume)
