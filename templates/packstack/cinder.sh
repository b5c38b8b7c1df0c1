#!/bin/sh
# The volume group of cinder, on the second disk, so that packstack does not make one of 20 GB in a file.
set -eu
dnf -y install lvm2
disk=$(readlink -f /dev/disk/by-id/virtio-goldsmith-1)
if [ ! -b "$disk" ]; then
	echo "cannot make the volume group: the machine has no second disk" >&2
	exit 1
fi
if ! vgs cinder-volumes >/dev/null 2>&1; then
	pvcreate -y "$disk"
	vgcreate cinder-volumes "$disk"
fi
