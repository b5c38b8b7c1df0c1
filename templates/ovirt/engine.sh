#!/bin/sh
# The engine's packages, and nothing set up: authority, database, keys and ids are made on each clone. numpy makes the
# WebSocket proxy fast.
set -eu
dnf -y install ovirt-engine python3-numpy
if [ -e /etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf ]; then
	echo "cannot leave the engine to its clones: engine-setup was run here before" >&2
	exit 1
fi
