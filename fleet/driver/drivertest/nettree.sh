#!/bin/sh
# Builds the tree for the tests of the network identity and for the comparison with cloud-init: Debian 12 with three ways
# to a lease (systemd-networkd, ifupdown with dhclient, Open vSwitch), NetworkManager, MariaDB and cloud-init, all off.
# It needs root, mmdebstrap and a Debian mirror, and is therefore part of "make setup", not of a test.
# usage: nettree.sh DIR      (DIR is replaced in one step; a tree of this version is kept)
set -eu
tree=$1
version=$(sha256sum "$0" | cut -c1-16)
[ "$(cat "$tree/etc/goldsmith-test-tree" 2>/dev/null)" = "$version" ] && exit 0

new=$tree.new
rm -rf --one-file-system "$new"
trap 'rm -rf --one-file-system "$new"' EXIT
mkdir -p "$(dirname "$tree")"
unshare --mount --propagation=private mmdebstrap --quiet --variant=minbase \
    --include=systemd,systemd-sysv,dbus,udev,iproute2,openssh-server,ifupdown,isc-dhcp-client,openvswitch-switch,network-manager,cloud-init,mariadb-server \
    bookworm "$new" >&2

rm -f "$new"/etc/ssh/ssh_host_* "$new/etc/hostname" "$new/etc/openvswitch/conf.db" "$new/etc/network/interfaces"
echo uninitialized >"$new/etc/machine-id"
touch "$new/etc/cloud/cloud-init.disabled"
ln -sf /dev/null "$new/etc/systemd/system/systemd-firstboot.service"
for unit in networking.service NetworkManager.service openvswitch-switch.service ovs-record-hostname.service systemd-networkd.service mariadb.service; do
    find "$new/etc/systemd/system" -name "$unit" -type l -delete
done
echo "$version" >"$new/etc/goldsmith-test-tree"
rm -rf --one-file-system "$tree"
mv "$new" "$tree"
