#!/bin/bash
# A stand-in for OpenNebula's datastore driver from 6.x on, written for these tests: the places that the plugin's patch
# goes to, in the order in which they stand there, and a little around them. Backup sources follow the rbd:// branch.

DRIVER_PATH=$(dirname $0)

if [ -z "${ONE_LOCATION}" ]; then
    LIB_LOCATION=/usr/lib/one
else
    LIB_LOCATION=$ONE_LOCATION/lib
fi

function get_rbd_cmd
{
    local source="${1#rbd://}"
    case "$source" in
    */*)
        echo "rbd export $source -"
        ;;
    *)
        exit 1
        ;;
    esac
}

function is_backup
{
    [[ "$1" == restic* || "$1" == rsync* ]]
}

FROM="$1"
TO="$2"

case "$FROM" in
http://*|https://*)
    command="curl -sL $FROM"
    ;;
rbd://*)
    command="$(get_rbd_cmd "$FROM")"
    ;;
restic://*|restic+rbd://*)
    command="$LIB_LOCATION/restic $FROM"
    ;;
rsync://*|rsync+rbd://*)
    command="$LIB_LOCATION/rsync $FROM"
    ;;
*)
    command="cat $FROM"
    ;;
esac

eval "$command" > "$TO"
