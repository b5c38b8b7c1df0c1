#!/bin/sh
# What the article does by hand in the finished cloud: the external network without subnets and without port security, a
# flavor, an image. Each is made if it is not there, so that the step can be run again.
set -eu
# shellcheck source=/dev/null
. /etc/goldsmith/packstack.options
# shellcheck source=/dev/null
. /root/keystonerc_admin

# A reboot is behind us: the services need their time.
tries=60
until openstack network list >/dev/null 2>&1; do
	tries=$((tries - 1))
	if [ $tries -eq 0 ]; then
		openstack network list # with its message
		exit 1
	fi
	sleep 10
done

openstack network show "$NETWORK" >/dev/null 2>&1 ||
	openstack network create --external --share --provider-network-type flat --provider-physical-network extnet \
		--disable-port-security "$NETWORK"
openstack network set --disable-port-security "$NETWORK"

openstack flavor show "$FLAVOR" >/dev/null 2>&1 ||
	openstack flavor create --vcpus "$FLAVOR_VCPUS" --ram "$FLAVOR_RAM" --disk "$FLAVOR_DISK" --public --id "$FLAVOR_ID" "$FLAVOR"

openstack image show "$IMAGE" >/dev/null 2>&1 ||
	openstack image create --disk-format qcow2 --container-format bare --public --file /root/images/image.qcow2 "$IMAGE"
rm -rf /root/images

openstack network list
openstack flavor list
openstack image list
