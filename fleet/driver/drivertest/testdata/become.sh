#!/bin/sh
# Host keys, a lease, a report in the form of report.Report. A claim whose prefix is "refuse" makes it fail with a reason.
set -eu
dir=/var/lib/goldsmith
mkdir -p $dir
chmod 700 $dir
claim=$(cat "${CREDENTIALS_DIRECTORY:-/none}/goldsmith.identity" 2>/dev/null || echo '{}')
began=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
t0=$(date +%s%N)

tell() { # STATE ADDRESS ERROR CODE
    cat >$dir/report.new <<EOF
{"format": 1, "state": "$1", "phase": "stack", "source": "credential",
 "identity": {"hostname": "$(uname -n)", "interface": "host0"${2:+, \"address\": \"$2\"}, "machine_id": "$(cat /etc/machine-id)"},
 "changes": [], "checks": [], "error": "$3", "code": $4, "started": "$began", "took_ns": $(($(date +%s%N) - t0))}
EOF
    chmod 600 $dir/report.new
    mv $dir/report.new $dir/report.json
    echo "firstboot: $1 as $(uname -n)${2:+ at $2 on host0}, 0 changes, 0 checks, 0s"
}

case $claim in *'"prefix":"refuse"'*) tell failed "" "told to refuse" 4 && exit 1 ;; esac
tell waiting "" "" 0
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
for _ in $(seq 1200); do
    address=$(ip -4 -o addr show dev host0 scope global | sed 's/.* inet \([0-9.]*\).*/\1/')
    [ -n "$address" ] && break
    sleep 0.1
done
[ -n "$address" ] || { tell failed "" "no lease within 120 s" 4; exit 1; }
tell ready "$address" "" 0
