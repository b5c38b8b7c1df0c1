#!/bin/sh
# Sets the engine up in the image itself. All clones then share its certificate authority.
set -eu
engine-setup --offline --accept-defaults --config-append=/etc/goldsmith/engine-answers.conf
rm -f /etc/goldsmith/engine-answers.conf
