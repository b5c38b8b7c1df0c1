#!/bin/sh
# Time, which certificates and storage leases depend on, and SELinux as the options say.
set -eu
# shellcheck source=/dev/null
. /etc/goldsmith/ovirt.options
dnf -y install chrony
systemctl enable chronyd
case $SELINUX in
keep) ;;
permissive | enforcing) sed -i "s/^SELINUX=.*/SELINUX=$SELINUX/" /etc/selinux/config ;;
*)
	echo "cannot prepare: SELINUX is '$SELINUX', none of keep, permissive, enforcing" >&2
	exit 1
	;;
esac
