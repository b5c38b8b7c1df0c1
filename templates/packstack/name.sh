#!/bin/sh
# The name that the cloud's services know this machine by. nova, neutron and cinder file their work under it, so all clones
# keep it: they stand behind addresses, not names.
set -eu
hostnamectl set-hostname packstack
address=$(ip -o -4 route get 192.0.2.1 | sed -n 's/.* src \([^ ]*\).*/\1/p')
sed -i -E '/[[:space:]]packstack([[:space:]]|$)/d' /etc/hosts
printf '%s packstack\n' "$address" >>/etc/hosts
if [ -d /etc/cloud/cloud.cfg.d ]; then
	printf 'preserve_hostname: true\nmanage_etc_hosts: false\n' >/etc/cloud/cloud.cfg.d/91-goldsmith-name.cfg
fi
