#!/bin/sh
# The repository of OpenStack Epoxy (2025.1) for CentOS Stream 9.
set -eu
dnf -y install centos-release-openstack-epoxy
