#!/bin/sh
# network-scripts in place of NetworkManager, which packstack's Open vSwitch bridge needs. The interface keeps DHCP: its
# ifcfg file is written here, because cloud images leave that to cloud-init and NetworkManager.
set -eu
nic=$(ip -o -4 route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
if [ -z "$nic" ]; then
	echo "cannot find the network interface: there is no default route" >&2
	exit 1
fi
mkdir -p /etc/sysconfig/network-scripts
cat >"/etc/sysconfig/network-scripts/ifcfg-$nic" <<EOF
DEVICE=$nic
TYPE=Ethernet
ONBOOT=yes
BOOTPROTO=dhcp
NM_CONTROLLED=no
PEERDNS=yes
EOF
# cloud-init would write its own file over it on a clone.
if [ -d /etc/cloud/cloud.cfg.d ]; then
	printf 'network: {config: disabled}\n' >/etc/cloud/cloud.cfg.d/99-goldsmith-network.cfg
fi
systemctl disable NetworkManager
systemctl enable network
# The change is made by the reboot that follows: stopping one and starting the other here would cut the connection that
# this script runs over.
