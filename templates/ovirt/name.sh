#!/bin/sh
# The name that the engine is baked under. It has a domain, which clones keep: an engine is known by a qualified name.
set -eu
# shellcheck source=/dev/null
. /etc/goldsmith/ovirt.options
case $NAME in
*.*) ;;
*)
	echo "cannot name the machine: NAME is '$NAME', and an engine needs a name with a domain" >&2
	exit 1
	;;
esac
hostnamectl set-hostname "$NAME"
address=$(ip -o -4 route get 192.0.2.1 | sed -n 's/.* src \([^ ]*\).*/\1/p')
short=${NAME%%.*}
sed -i -E "/[[:space:]]$short([[:space:].]|\$)/d" /etc/hosts
printf '%s %s %s\n' "$address" "$NAME" "$short" >>/etc/hosts
if [ -d /etc/cloud/cloud.cfg.d ]; then
	printf 'preserve_hostname: true\nmanage_etc_hosts: false\n' >/etc/cloud/cloud.cfg.d/91-goldsmith-name.cfg
fi
