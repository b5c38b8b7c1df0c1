#!/bin/bash
# A stand-in for OpenNebula's datastore driver of the 5.x releases, written for these tests: the places that the plugin's
# patch goes to, in the order in which they stand there, and a little around them.

DRIVER_PATH=$(dirname $0)

function get_type
{
    echo "plain $1"
}

# copies out of a Ceph pool
function get_rbd_cmd
{
    local source="${1#rbd://}"
    if [ -z "$source" ]; then
        exit 1
    fi
    echo "rbd export $source -"
}

FROM="$1"
TO="$2"

case "$FROM" in
http://*|https://*)
    command="curl -sL $FROM"
    ;;
ssh://*)
    command="ssh ${FROM#ssh://} cat"
    ;;
rbd://*)
    command="$(get_rbd_cmd "$FROM")"
    ;;
*)
    command="cat $FROM"
    ;;
esac

eval "$command" > "$TO"
