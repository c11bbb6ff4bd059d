"""Names of inner work as configuration writes them: commands to agents, and messages inside the server."""

from collections.abc import Mapping

_KVM = "org.zstack.kvm.KVMAgentCommands$"
_LOCAL = "org.zstack.storage.primary.local.LocalStorageKvmBackend$"
_SFTP = "org.zstack.storage.backup.sftp.SftpBackupStorageCommands$"

DOWNLOAD_IMAGE = "org.zstack.header.storage.backup.DownloadImageMsg"
MESSAGES = frozenset({DOWNLOAD_IMAGE})
"""Work inside the server that has a limit of its own."""

COMMANDS: Mapping[str, str] = {
    "/vm/start": f"{_KVM}StartVmCmd",
    "/vm/stop": f"{_KVM}StopVmCmd",
    "/vm/reboot": f"{_KVM}RebootVmCmd",
    "/vm/destroy": f"{_KVM}DestroyVmCmd",
    "/vm/migrate": f"{_KVM}MigrateVmCmd",
    "/vm/checkstate": f"{_KVM}CheckVmStateCmd",
    "/vm/attachdatavolume": f"{_KVM}AttachDataVolumeCmd",
    "/vm/detachdatavolume": f"{_KVM}DetachDataVolumeCmd",
    "/vm/volume/takesnapshot": f"{_KVM}TakeSnapshotCmd",
    "/vm/volume/mergesnapshot": f"{_KVM}MergeSnapshotCmd",
    "/localstorage/snapshot/offlinemerge": f"{_LOCAL}OfflineMergeSnapshotCmd",
    "/localstorage/volume/createempty": f"{_LOCAL}CreateEmptyVolumeCmd",
    "/localstorage/volume/createvolumefromcache": f"{_LOCAL}CreateVolumeFromCacheCmd",
    "/localstorage/delete": f"{_LOCAL}DeleteBitsCmd",
    "/sftpbackupstorage/download": f"{_SFTP}DownloadCmd",
    "/sftpbackupstorage/delete": f"{_SFTP}DeleteCmd",
}
"""The path of each long call to an agent, and its name."""

ALIASES = frozenset({"org.zstack.storage.ceph.backup.CephBackupStorageBase$DownloadCmd"})
"""Names of work that this server does not do: lines that were written for one that does stay good."""

INNER = frozenset(COMMANDS.values()) | MESSAGES | ALIASES
