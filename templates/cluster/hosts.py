#!/usr/bin/python3
"""Keeps a line in /etc/hosts for every compute of this node's cluster, as nova knows them.

Addresses come from somebody else's DHCP server, and computes join whenever they like: no list that is made beforehand
holds. Every node asks nova, by the account that its services use, and writes only what has changed.
"""
import os
import sys
import tempfile

from keystoneauth1 import loading
from oslo_config import cfg

HOSTS, MARK = "/etc/hosts", "# node of the cluster"


def nodes():
    conf = cfg.ConfigOpts()
    loading.register_auth_conf_options(conf, "service_user")
    loading.register_session_conf_options(conf, "service_user")
    conf([], project="nova", default_config_files=["/etc/nova/nova.conf"])
    session = loading.load_session_from_conf_options(
        conf, "service_user", auth=loading.load_auth_from_conf_options(conf, "service_user"), timeout=30)
    answer = session.get("/os-hypervisors/detail", endpoint_filter={"service_type": "compute", "interface": "public"})
    return {h["service"]["host"]: h["host_ip"] for h in answer.json()["hypervisors"]}


def main():
    with open(HOSTS) as f:
        was = f.read()
    kept = [line for line in was.splitlines() if not line.endswith(MARK)]
    named = {name for line in kept for name in line.split("#")[0].split()[1:]}
    new = [f"{address}\t{name}\t{MARK}" for name, address in sorted(nodes().items()) if name not in named]
    text = "\n".join(kept + new) + "\n"
    if text == was:
        return
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(HOSTS), prefix=".hosts-", delete=False) as f:
        f.write(text)
        os.fchmod(f.fileno(), 0o644)
        f.flush()
        os.fsync(f.fileno())
    os.rename(f.name, HOSTS)
    print(f"{len(new)} nodes of the cluster")


if __name__ == "__main__":
    sys.exit(main())
