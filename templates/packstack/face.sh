#!/bin/sh
# Lets the dashboard and the consoles be reached at the machine's address, which firstboot changes on every clone. The rest
# of the cloud stays on 127.0.0.1.
set -eu
address=$(ip -o -4 route get 192.0.2.1 | sed -n 's/.* src \([^ ]*\).*/\1/p')
vhost=/etc/httpd/conf.d/15-horizon_vhost.conf
grep -q "^ *ServerAlias $address\$" $vhost || sed -i "0,/^ *ServerAlias /s//  ServerAlias $address\n&/" $vhost
if ! grep -q "^ *ServerAlias $address\$" $vhost; then
	echo "cannot give the dashboard its address: no ServerAlias in $vhost" >&2
	exit 1
fi
systemctl restart httpd

# The console proxy must listen where it is asked for; servers' consoles are reached by it alone, on loopback.
crudini --set /etc/nova/nova.conf vnc server_listen 127.0.0.1
crudini --set /etc/nova/nova.conf vnc server_proxyclient_address 127.0.0.1
crudini --set /etc/nova/nova.conf vnc novncproxy_host 0.0.0.0
crudini --set /etc/nova/nova.conf vnc novncproxy_base_url "http://$address:6080/vnc_auto.html"
systemctl restart 'openstack-nova*'
