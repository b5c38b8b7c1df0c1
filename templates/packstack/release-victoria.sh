#!/bin/sh
# The repository of OpenStack Victoria for CentOS Linux 8.
set -eu
dnf -y install centos-release-openstack-victoria
