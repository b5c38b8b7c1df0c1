#!/bin/sh
# Points the repositories at the vault: CentOS Linux 8 has no mirrors any more. It is run again after whatever may have
# brought the files back: an update, a release package. It changes nothing the second time.
set -eu
found=
for f in /etc/yum.repos.d/CentOS-*.repo; do
	[ -e "$f" ] || continue
	found=yes
	sed -i -e 's/^mirrorlist/#mirrorlist/g' -e 's|^#baseurl=http://mirror.centos.org|baseurl=http://vault.centos.org|g' \
		-e 's|^baseurl=http://mirror.centos.org|baseurl=http://vault.centos.org|g' "$f"
done
if [ -z "$found" ]; then
	echo "cannot point at the vault: no CentOS-*.repo in /etc/yum.repos.d" >&2
	exit 1
fi
if grep -l '^mirrorlist' /etc/yum.repos.d/CentOS-*.repo; then
	echo "cannot point at the vault: the files above still name mirrors" >&2
	exit 1
fi
