#!/bin/sh
# Builds the small systemd tree that the tests with the tag "clones" boot: about 250 MB of Debian 12 without a stack.
# It needs root, mmdebstrap and a Debian mirror, and is therefore part of "make setup", not of a test.
# usage: tree.sh DIR      (DIR is replaced in one step; a tree of this version is kept)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$1
version=$(cat "$0" "$here"/testdata/* | sha256sum | cut -c1-16)
[ "$(cat "$tree/etc/goldsmith-test-tree" 2>/dev/null)" = "$version" ] && exit 0

new=$tree.new
rm -rf --one-file-system "$new"
trap 'rm -rf --one-file-system "$new"' EXIT
mkdir -p "$(dirname "$tree")"
mmdebstrap --quiet --variant=minbase \
    --include=systemd,systemd-sysv,dbus,udev,iproute2,openssh-server,systemd-resolved bookworm "$new" >&2

# sealed, as a bake leaves a tree: no machine id, no host keys, no host name
echo uninitialized >"$new/etc/machine-id"
rm -f "$new/var/lib/dbus/machine-id" "$new/etc/hostname" "$new"/etc/ssh/ssh_host_*
install -m 755 -D "$here/testdata/become.sh" "$new/usr/lib/goldsmith/become"
install -m 644 -D "$here/testdata/become.service" "$new/etc/systemd/system/become.service"
install -m 644 -D "$here/testdata/host0.network" "$new/etc/systemd/network/10-host0.network"
for unit in become.service systemd-networkd.service; do
    mkdir -p "$new/etc/systemd/system/multi-user.target.wants"
    ln -sf "$unit" "$new/etc/systemd/system/multi-user.target.wants/"
done
rm -f "$new/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
ln -s /lib/systemd/system/systemd-networkd.service "$new/etc/systemd/system/multi-user.target.wants/"
ln -sf /dev/null "$new/etc/systemd/system/systemd-firstboot.service"
echo "$version" >"$new/etc/goldsmith-test-tree"
rm -rf --one-file-system "$tree"
mv "$new" "$tree"
