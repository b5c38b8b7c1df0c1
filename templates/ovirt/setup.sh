#!/bin/sh
# Sets the engine up in the image itself. All clones then share its certificate authority.
set -eu
# shellcheck source=/dev/null
. /etc/goldsmith/ovirt.options
if ! grep -qxF "OVESETUP_CONFIG/fqdn=str:$NAME" /etc/goldsmith/engine-answers.conf; then
	echo "cannot set the engine up: the answers are for another machine than $NAME; set OVESETUP_CONFIG/fqdn and OVESETUP_ENGINE_CONFIG/fqdn in the recipe, too" >&2
	exit 1
fi
engine-setup --offline --accept-defaults --config-append=/etc/goldsmith/engine-answers.conf
rm -f /etc/goldsmith/engine-answers.conf
