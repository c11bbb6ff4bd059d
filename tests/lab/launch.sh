#!/bin/sh
# Becomes the container of one lab host, in mount and network namespaces of its own: whatever is mounted here goes
# away with the last process in them. Arguments: ROOT STORAGE IMAGE MERGED, then nspawn's own options.
# ROOT is the shared lower layer, STORAGE holds this host's changes (in the file system of IMAGE unless that is -).
set -eu
root=$1 storage=$2 image=$3 merged=$4
shift 4
# the controller wires up the network first and then says so
read -r _
if [ "$image" != - ]; then
    mount -o loop "$image" "$storage"
fi
if [ ! -d "$storage/upper" ]; then
    mkdir -p "$storage/work"
    cp -a "$merged.seed" "$storage/upper"
fi
mount -t overlay -o "lowerdir=$root,upperdir=$storage/upper,workdir=$storage/work" overlay "$merged"
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
# CAP_NET_ADMIN: services may set up the host's network, as on a real one
# /tmp on the disk, as on a server: it counts against the disk's size
export SYSTEMD_NSPAWN_TMPFS_TMP=0
exec systemd-nspawn --quiet --boot --directory="$merged" --register=no --keep-unit --console=pipe \
    --network-namespace-path=/proc/self/ns/net --kill-signal=SIGRTMIN+3 --resolv-conf=off --timezone=off \
    --link-journal=no --capability=CAP_NET_ADMIN "$@" </dev/null
