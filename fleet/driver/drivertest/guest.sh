#!/bin/sh
# Builds the tree of the small virtual machine that the tests of qemu and libvirt boot: Debian's kernel and an initial ram
# disk that is the whole system. It boots within seconds where nothing but emulation is to be had. It needs root and a
# Debian mirror, and is therefore part of "make setup", not of a test.
# usage: guest.sh DIR      (DIR is replaced in one step; a tree of this version is kept)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$1
version=$(cat "$0" "$here"/testdata/guest/* | sha256sum | cut -c1-16)
[ "$(cat "$tree/etc/goldsmith-test-tree" 2>/dev/null)" = "$version" ] && exit 0

new=$tree.new
work=$(mktemp -d)
rm -rf --one-file-system "$new"
trap 'rm -rf --one-file-system "$new" "$work"' EXIT
mkdir -p "$new/boot" "$new/etc" "$work/debs" "$work/root"

kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/ *Depends: \(linux-image-.*\)/\1/p')
(cd "$work/debs" && apt-get -q download "$kernel" busybox-static >&2)
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
image=$(echo "$work"/root/boot/vmlinuz-*)
release=${image##*/vmlinuz-}
depmod -b "$work/root" "$release"

ram=$work/ram
mkdir -p "$ram/bin" "$ram/dev" "$ram/proc" "$ram/sys" "$ram/etc/acpi/PWRF" "$ram/lib/modules"
cp "$work/root/bin/busybox" "$ram/bin/"
install -m 755 "$here/testdata/guest/init" "$ram/init"
install -m 755 "$here/testdata/guest/lease" "$ram/etc/lease"
printf '#!/bin/sh\nexec /bin/busybox poweroff -f\n' >"$ram/etc/acpi/PWRF/00000080"
chmod 755 "$ram/etc/acpi/PWRF/00000080"
# in the order in which they can be loaded
for m in virtio_pci virtio_net virtio_console virtio_blk evdev button; do
    modprobe -d "$work/root" -S "$release" --show-depends "$m" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' >"$work/modules"
n=10
while read -r file; do
    cp "$file" "$ram/lib/modules/$n-${file##*/}"
    n=$((n + 1))
done <"$work/modules"

cp "$image" "$new/boot/"
(cd "$ram" && find . | "$ram/bin/busybox" cpio -o -H newc 2>/dev/null) | gzip -1 >"$new/boot/initrd.img-$release"
echo "$version" >"$new/etc/goldsmith-test-tree"
rm -rf --one-file-system "$tree"
mv "$new" "$tree"
