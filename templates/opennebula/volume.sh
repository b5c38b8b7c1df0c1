#!/bin/sh
# goldsmith: makes the logical volume of a datastore, and grows it by every disk that it is told of and that is new.
# usage: one-datastore-volume ID      (reads /etc/one-datastore-volume/ID: GROUP, VOLUME, DISKS)
# It can run any number of times. A disk that holds anything that it did not put there is never touched.
set -eu
export LVM_SUPPRESS_FD_WARNINGS=1
conf=${ONE_VOLUMES:-/etc/one-datastore-volume}/$1
GROUP='' VOLUME='' DISKS=''
# shellcheck disable=SC1090 # the file of this datastore
. "$conf"
say() { echo "datastore $1: $2"; }
group_of() { pvs --noheadings -o vg_name "$1" 2>/dev/null | tr -d ' '; }
there() { vgs --noheadings -o vg_name 2>/dev/null | grep -qw "$GROUP"; }

status=0
for disk in $DISKS; do
	if [ ! -b "$disk" ]; then
		say "$1" "$disk is not there"
		continue
	fi
	if pvs "$disk" >/dev/null 2>&1; then
		have=$(group_of "$disk")
		[ "$have" = "$GROUP" ] && continue
		say "$1" "$disk belongs to another volume group: '$have'; it is left alone" >&2
		status=1
		continue
	fi
	found=$(wipefs --noheadings --output TYPE "$disk" | sort -u | tr '\n' ' ')
	if [ -n "$found" ]; then
		say "$1" "$disk is not empty ($found); it is left alone" >&2
		echo "hint: when nobody needs it: wipefs --all $disk" >&2
		status=1
		continue
	fi
	pvcreate --quiet --yes "$disk" >/dev/null
	if there; then
		vgextend --quiet "$GROUP" "$disk" >/dev/null
		say "$1" "$disk was added to $GROUP"
	else
		vgcreate --quiet "$GROUP" "$disk" >/dev/null
		say "$1" "$GROUP was made of $disk"
	fi
done

there || { say "$1" "no disk of $GROUP is there" >&2; exit 1; }
free=$(vgs --noheadings --nosuffix --units b -o vg_free "$GROUP" | tr -d ' ')
device=/dev/$GROUP/$VOLUME
if ! lvs "$GROUP/$VOLUME" >/dev/null 2>&1; then
	lvcreate --quiet --yes --wipesignatures n --extents 100%FREE --name "$VOLUME" "$GROUP" >/dev/null
	say "$1" "$device was made"
elif [ "$free" != 0 ]; then
	lvextend --quiet --extents +100%FREE "$GROUP/$VOLUME" >/dev/null
	say "$1" "$device was grown"
fi
vgchange --quiet --activate y "$GROUP" >/dev/null
[ -n "$(blkid -o value -s TYPE "$device" || true)" ] || mkfs.xfs -q "$device"

# XFS grows while it is mounted, and only then.
mounted=$(findmnt --noheadings --first-only --output TARGET --source "$device" || true)
if [ -z "$mounted" ]; then
	mounted=$(mktemp -d)
	mount -t xfs "$device" "$mounted"
	trap 'umount "$mounted"; rmdir "$mounted"' EXIT
fi
# It says on standard error, too, that there was nothing to do.
said=$(xfs_growfs -d "$mounted" 2>&1) || { echo "$said" >&2; exit 1; }
exit $status
