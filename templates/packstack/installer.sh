#!/bin/sh
# The installer itself.
set -eu
dnf -y install openstack-packstack crudini
