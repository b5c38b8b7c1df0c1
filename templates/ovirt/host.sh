#!/bin/sh
# A host that no engine knows yet: the engine gives it certificates and networks when it adds it.
set -eu
# shellcheck source=/dev/null
. /etc/goldsmith/ovirt.options
case $NETWORK in
NetworkManager)
	dnf -y install NetworkManager
	systemctl enable NetworkManager
	;;
scripts)
	dnf -y install network-scripts
	systemctl disable NetworkManager
	systemctl enable network
	;;
*)
	echo "cannot prepare the network: NETWORK is '$NETWORK', neither NetworkManager nor scripts" >&2
	exit 1
	;;
esac
dnf -y install ovirt-host
case $GLUSTER in
no) ;;
yes)
	dnf -y install vdsm-gluster
	if [ -n "$GLUSTER_BRICK" ]; then
		mkdir -p "$GLUSTER_BRICK"
		chown 36:36 "$GLUSTER_BRICK"
	fi
	;;
*)
	echo "cannot prepare Gluster: GLUSTER is '$GLUSTER', neither yes nor no" >&2
	exit 1
	;;
esac
if [ -e /etc/pki/vdsm/certs/vdsmcert.pem ] || [ -e /etc/ovirt-hosted-engine/hosted-engine.conf ]; then
	echo "cannot make a host for cloning: an engine knows this one already" >&2
	exit 1
fi
