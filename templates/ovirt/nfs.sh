#!/bin/sh
# An export for a storage domain, where the options name one.
set -eu
# shellcheck source=/dev/null
. /etc/goldsmith/ovirt.options
[ -n "$NFS_EXPORT" ] || exit 0
case $NFS_EXPORT in
/*) ;;
*)
	echo "cannot export '$NFS_EXPORT': it is no absolute path" >&2
	exit 1
	;;
esac
dnf -y install nfs-utils
mkdir -p "$NFS_EXPORT"
chown 36:36 "$NFS_EXPORT"
chmod 0755 "$NFS_EXPORT"
line="$NFS_EXPORT $NFS_CLIENTS(rw,sync,no_subtree_check,anonuid=36,anongid=36)"
touch /etc/exports
grep -qxF "$line" /etc/exports || printf '%s\n' "$line" >>/etc/exports
case $NFS_VERSION in
'') ;;
3)
	mkdir -p /etc/nfs.conf.d
	printf '[nfsd]\nvers3=y\nvers4=n\n' >/etc/nfs.conf.d/goldsmith.conf
	mkdir -p /etc/nfsmount.conf.d
	printf '[ NFSMount_Global_Options ]\nDefaultvers=3\nNfsvers=3\n' >/etc/nfsmount.conf.d/goldsmith.conf
	;;
*)
	echo "cannot export by NFS: NFS_VERSION is '$NFS_VERSION', neither 3 nor empty" >&2
	exit 1
	;;
esac
systemctl enable nfs-server
exportfs -r
