#!/bin/bash
# Makes an OpenStack machine as an administrator would, without goldsmith: Debian's packages, a host name, an address
# from somebody's DHCP server, keystone's endpoints and Horizon at that address, packed into a qcow2 with a partition table.
# It needs root and a Debian mirror. Everything that it makes is below its first argument.
#
# usage: make.sh FOLDER [FOLDER WITH PACKAGES THAT NEED NOT BE FETCHED]
set -euo pipefail
work=${1:?folder} debs=${2:-}
tree=$work/tree address=10.66.0.5 mac=52:54:00:ca:fe:05
rm -rf --one-file-system "$tree"
mkdir -p "$tree"

hooks=()
if [ -n "$debs" ]; then
	hooks+=(--setup-hook="mkdir -p \"\$1/var/cache/apt/archives\" && cp -l '$debs'/*.deb \"\$1/var/cache/apt/archives/\" 2>/dev/null || cp '$debs'/*.deb \"\$1/var/cache/apt/archives/\"")
fi
answers='keystone keystone/configure_db boolean false
keystone keystone/create-admin-tenant boolean false
keystone keystone/register-endpoint boolean false
openstack-dashboard-apache horizon/activate_vhost boolean true
openstack-dashboard-apache horizon/use_ssl boolean false'
printf '%s\n' "$answers" >"$work/answers"
packages=systemd-sysv,udev,dbus,ifupdown,isc-dhcp-client,iproute2,netbase,procps,openssh-server,ca-certificates
packages+=,mariadb-server,memcached,apache2,keystone,openstack-dashboard,openstack-dashboard-apache
mmdebstrap --mode=root --variant=minbase --format=directory --include="$packages" \
	--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	"${hooks[@]}" --essential-hook="chroot \"\$1\" debconf-set-selections <'$work/answers'" bookworm "$tree"

# Who the machine is, as its installer, its DHCP client and its administrator left it.
echo cloud0 >"$tree/etc/hostname"
printf '127.0.0.1\tlocalhost\n%s\tcloud0.lab.example cloud0\n' "$address" >"$tree/etc/hosts"
printf 'auto lo\niface lo inet loopback\n\nauto ens3\niface ens3 inet dhcp\n' >"$tree/etc/network/interfaces"
echo "SUBSYSTEM==\"net\", ACTION==\"add\", ATTR{address}==\"$mac\", NAME=\"ens3\"" >"$tree/etc/udev/rules.d/70-persistent-net.rules"
cat >"$tree/var/lib/dhcp/dhclient.ens3.leases" <<END
lease {
  interface "ens3";
  fixed-address $address;
  option subnet-mask 255.255.255.0;
  option routers 10.66.0.1;
  option dhcp-server-identifier 10.66.0.1;
  renew 4 2030/01/03 12:00:00;
  rebind 4 2030/01/03 18:00:00;
  expire 4 2030/01/03 20:00:00;
}
END
echo 00112233445566778899aabbccddeeff >"$tree/etc/machine-id"
echo 'LABEL=cloud0-root / ext4 errors=remount-ro 0 1' >"$tree/etc/fstab"

# The cloud, in a plain container: databases, keys, the first account, endpoints. No service listens on the network here.
# apt's policy and the host's links keep everything else down.
systemd-nspawn --quiet --register=no --keep-unit --resolv-conf=off --timezone=off --private-network --machine=gs-handmade \
	--directory="$tree" --pipe /bin/bash -eus "$address" <<'INSIDE'
address=$1
sed -i -e '/^connection *=/d' -e 's|^\[database\]|&\nconnection = mysql+pymysql://keystone:dbpass@127.0.0.1/keystone|' /etc/keystone/keystone.conf
grep -q '^connection = mysql' /etc/keystone/keystone.conf
install -d -o mysql -g mysql /run/mysqld
ip link set lo up 2>/dev/null || true
mariadbd --user=mysql & server=$!
for _ in $(seq 300); do mariadb-admin --silent ping >/dev/null 2>&1 && break; sleep 0.2; done
mariadb -e "CREATE DATABASE keystone CHARACTER SET utf8mb3; CREATE USER keystone@localhost IDENTIFIED BY 'dbpass'; CREATE USER keystone@127.0.0.1 IDENTIFIED BY 'dbpass';
	GRANT ALL ON keystone.* TO keystone@localhost; GRANT ALL ON keystone.* TO keystone@127.0.0.1;"
as() { setpriv --reuid=keystone --regid=keystone --init-groups "$@"; }
as keystone-manage db_sync
keystone-manage fernet_setup --keystone-user keystone --keystone-group keystone
keystone-manage credential_setup --keystone-user keystone --keystone-group keystone
url=http://$address:5000/v3
OS_BOOTSTRAP_PASSWORD=adminpass as keystone-manage bootstrap --bootstrap-region-id RegionOne \
	--bootstrap-public-url "$url" --bootstrap-internal-url "$url" --bootstrap-admin-url "$url"
cat >/root/admin-openrc <<END
export OS_USERNAME=admin
export OS_PASSWORD=adminpass
export OS_PROJECT_NAME=admin
export OS_USER_DOMAIN_NAME=Default
export OS_PROJECT_DOMAIN_NAME=Default
export OS_IDENTITY_API_VERSION=3
export OS_AUTH_URL=$url
END
chmod 600 /root/admin-openrc
sed -i -e "s|^ALLOWED_HOSTS = .*|ALLOWED_HOSTS = ['cloud0.lab.example', '$address', 'localhost']|" \
	-e "s|^OPENSTACK_HOST = .*|OPENSTACK_HOST = \"$address\"|" \
	-e 's|^OPENSTACK_KEYSTONE_URL = .*|OPENSTACK_KEYSTONE_URL = "http://%s:5000/v3" % OPENSTACK_HOST|' /etc/openstack-dashboard/local_settings.py
grep -q "$address" /etc/openstack-dashboard/local_settings.py
grep -q '^OPENSTACK_KEYSTONE_URL.*5000' /etc/openstack-dashboard/local_settings.py # the package's own way to keystone leads nowhere
# With the package's threads keystone hangs now and then at its first requests: eventlet's locks do not bear them.
sed -i 's/^threads = .*/threads = 1/' /etc/keystone/keystone-uwsgi.ini
grep -q '^threads = 1$' /etc/keystone/keystone-uwsgi.ini
# In a process of its own and its main interpreter, as mod_wsgi wants it for libraries written in C.
sed -i 's|^ *WSGIDaemonProcess horizon .*|&\n    WSGIProcessGroup horizon\n    WSGIApplicationGroup %{GLOBAL}|' /etc/apache2/sites-available/openstack-dashboard.conf
grep -q GLOBAL /etc/apache2/sites-available/openstack-dashboard.conf
systemctl --quiet enable keystone.service apache2.service memcached.service mariadb.service networking.service
mariadb-admin shutdown
wait $server
rm -f /var/log/mysql/* /usr/sbin/policy-rc.d
INSIDE

# One partition, a file system in it, and a format that hypervisors export.
size=$(du -s --block-size=1M "$tree" | cut -f1)
size=$((size * 3 / 2 + 512))
raw=$work/cloud0.raw
rm -f "$raw" "$work/cloud0.qcow2"
truncate -s $((size + 2))M "$raw"
printf 'label: gpt\nstart=1MiB, size=%dMiB, name=root\n' "$size" | sfdisk --quiet "$raw"
mkfs.ext4 -q -F -L cloud0-root -E offset=1048576 -d "$tree" "$raw" "${size}M"
qemu-img convert -O qcow2 "$raw" "$work/cloud0.qcow2"
rm -rf --one-file-system "$tree" "$raw"
