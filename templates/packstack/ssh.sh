#!/bin/sh
# Root and users log in with a password, as the article sets it up. The password itself is the administrator's to set: an
# image has none that everybody knows.
set -eu
config=/etc/ssh/sshd_config
set_option() {
	if grep -Eq "^[#[:space:]]*$1[[:space:]]" "$config"; then
		sed -i -E "s/^[#[:space:]]*$1[[:space:]].*/$1 $2/" "$config"
	else
		printf '%s %s\n' "$1" "$2" >>"$config"
	fi
}
set_option PermitRootLogin yes
set_option PasswordAuthentication yes
# cloud-init would turn it off again on a clone.
if [ -d /etc/cloud/cloud.cfg.d ]; then
	printf 'ssh_pwauth: true\ndisable_root: false\n' >/etc/cloud/cloud.cfg.d/90-goldsmith.cfg
fi
sshd -t
systemctl restart sshd
