#!/bin/sh
# The repositories of oVirt.
set -eu
# shellcheck source=/dev/null
. /etc/goldsmith/ovirt.options
dnf -y install "$RELEASE"
