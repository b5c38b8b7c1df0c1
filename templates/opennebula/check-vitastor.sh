#!/bin/sh
# goldsmith: a step for virtual machines of any distribution. Are QEMU and libvirt those of Vitastor's archive, is the plugin there,
# and has every VM that is listed a context? All that is wrong comes at once.
set -eu
remotes=${ONE_REMOTES:-/var/lib/one/remotes}
wrong=0
bad() {
	echo "$1" >&2
	wrong=1
}

# name and version of each of these packages that is installed
versions() {
	if command -v rpm >/dev/null && rpm -q --quiet filesystem 2>/dev/null; then
		rpm -q --queryformat '%{NAME} %{VERSION}-%{RELEASE}\n' qemu-kvm qemu-kvm-core qemu-system-x86 libvirt-daemon libvirt-libs 2>/dev/null |
			grep -v ' is not installed$' || true
	else
		dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' qemu-system-x86 libvirt-daemon libvirt0 2>/dev/null |
			sed -n 's/^installed //p'
	fi
}

list=$(versions)
[ -n "$list" ] || bad "neither QEMU nor libvirt is installed"
foreign=$(echo "$list" | grep -v vitastor || true)
[ -z "$foreign" ] || bad "these cannot open Vitastor's images, they are not from its archive: $(echo "$foreign" | tr '\n' ';')"

for script in vmm/kvm/deploy.vitastor datastore/vitastor/cp datastore/vitastor/clone tm/vitastor/clone tm/vitastor/mkimage; do
	[ -x "$remotes/$script" ] || bad "$remotes/$script is not there, or cannot be run"
done

# deploy.vitastor asks for CONTEXT/DISK_ID: a VM without a context cannot be deployed, whatever its disks are.
if [ -s "${ONE_AUTH:-/var/lib/one/.one/one_auth}" ] && command -v onetemplate >/dev/null; then
	for id in $(onetemplate list --no-header --list ID); do
		onetemplate show "$id" | grep -q '^CONTEXT' || bad "VM template $id has no CONTEXT, and the plugin cannot deploy its VMs
hint: printf 'CONTEXT = [ NETWORK = \"YES\" ]' > /tmp/context && onetemplate update --append $id /tmp/context"
	done
fi
exit $wrong
