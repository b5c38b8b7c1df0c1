#!/bin/sh
# What packstack needs of the system: classic network scripts, no firewall in the way (or one with its ports open), the
# repository of build tools, and SELinux as the options say.
set -eu
# shellcheck source=/dev/null
. /etc/goldsmith/packstack.options
if [ -e /etc/goldsmith/packstack.names ]; then # where they are not those of CentOS Linux 8
	# shellcheck source=/dev/null
	. /etc/goldsmith/packstack.names
fi

dnf -y install "${NETWORK_SCRIPTS:-network-scripts}"

case $FIREWALLD in
off)
	if systemctl cat firewalld.service >/dev/null 2>&1; then
		systemctl stop firewalld
		systemctl disable firewalld
	fi
	;;
on)
	dnf -y install firewalld
	systemctl enable --now firewalld
	# dashboard, keystone, glance, placement, nova, noVNC, neutron, cinder
	for port in 80 443 5000 9292 8778 8774 6080 9696 8776; do
		firewall-cmd --quiet --permanent --add-port=$port/tcp
	done
	firewall-cmd --quiet --reload
	;;
*)
	echo "cannot prepare: FIREWALLD is '$FIREWALLD', neither on nor off" >&2
	exit 1
	;;
esac

dnf -y install 'dnf-command(config-manager)'
dnf config-manager --set-enabled "${TOOLS_REPOSITORY:-powertools}"

case $SELINUX in
permissive | enforcing) ;;
disabled)
	echo "warning: SELinux is disabled: new files get no labels, and no clone can be made enforcing without a relabel"
	;;
*)
	echo "cannot prepare: SELINUX is '$SELINUX', none of permissive, disabled, enforcing" >&2
	exit 1
	;;
esac
sed -i "s/^SELINUX=.*/SELINUX=$SELINUX/" /etc/selinux/config
dnf -y update
