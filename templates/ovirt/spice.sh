#!/bin/sh
# A proxy for SPICE consoles, where the options want one. It lets CONNECT through to hosts, and to nobody else.
set -eu
# shellcheck source=/dev/null
. /etc/goldsmith/ovirt.options
case $SPICE_PROXY in
no) exit 0 ;;
yes) ;;
*)
	echo "cannot set up the SPICE proxy: SPICE_PROXY is '$SPICE_PROXY', neither yes nor no" >&2
	exit 1
	;;
esac
if [ -z "$SPICE_NETWORK" ]; then
	echo "cannot set up the SPICE proxy: SPICE_NETWORK names no network of hosts" >&2
	exit 1
fi
dnf -y install squid
cat >/etc/squid/squid.conf <<CONF
# A proxy for SPICE consoles of oVirt hosts.
http_port 3128
acl spice_servers dst $SPICE_NETWORK
acl spice_ports port 5900-6923
acl CONNECT method CONNECT
http_access allow CONNECT spice_servers spice_ports
http_access deny all
cache deny all
CONF
squid -k parse
systemctl enable squid
