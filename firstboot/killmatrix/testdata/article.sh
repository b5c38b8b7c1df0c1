#!/bin/bash
# What "a clonable OpenStack behind somebody else's DHCP server" tells to do on each clone, written after the article's
# description: MAC of br-ex, network, hosts, Horizon's alias, three keys of nova, endpoints. Its seven sed and one UPDATE are as there.
set -e

old_mac=$(ifconfig br-ex | grep ether | grep -o '..:..:..:..:..:..')
new_mac=$(ifconfig ens192 | grep ether | grep -o '..:..:..:..:..:..')
sed -i "s/$old_mac/$new_mac/g" /etc/sysconfig/network-scripts/ifcfg-br-ex
service network restart

new_ip=$(ifconfig br-ex | grep -oE '((1?[0-9][0-9]?|2[0-4][0-9]|25[0-5]).){3}(1?[0-9][0-9]?|2[0-4][0-9]|25[0-5])' | head -1)
if [[ "$new_ip" == "" ]]; then
	echo "no address"
	exit 1
fi

sed -i -e "s/\([0-9]\{1,3\}\.\)\{3\}[0-9]\{1,3\} packstack/$new_ip packstack/g" /etc/hosts
sed -i -e "s/ ServerAlias 10.77.[0-9]\{1,3\}.[0-9]\{1,3\}/ ServerAlias $new_ip/g" /etc/httpd/conf.d/15-horizon_vhost.conf
sed -i -e "s/server_listen=\([0-9]\{1,3\}\.\)\{3\}[0-9]\{1,3\}/server_listen=$new_ip/g" /etc/nova/nova.conf
sed -i -e "s/server_proxyclient_address=\([0-9]\{1,3\}\.\)\{3\}[0-9]\{1,3\}/server_proxyclient_address=$new_ip/g" /etc/nova/nova.conf
sed -i -e "s/novncproxy_base_url=http:\/\/\([0-9]\{1,3\}\.\)\{3\}[0-9]\{1,3\}/novncproxy_base_url=http:\/\/$new_ip/g" /etc/nova/nova.conf
mysql -uroot keystone -e "UPDATE endpoint SET url = REPLACE(url, '127.0.0.1', '$new_ip');"
