package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"
)

// nodeID compares the names by which machines know a hypervisor or a chassis, where they can meet: libvirt refuses to migrate
// between hosts of one UUID, and two chassis of one name push each other out of OVN's southbound database. An all-in-one keeps the
// golden chassis name, because the row of it was cloned along; nobody else reads that database.
func nodeID() Probe {
	return Probe{Name: "node id", Question: "are the names of its hypervisor and its chassis its own, where they meet others?", Ask: func(_ context.Context, t Target) Answer {
		var ids []string
		if id := hostUUID(t); id != "" {
			ids = append(ids, id)
		}
		chassis, meets := t.chassis()
		if meets {
			ids = append(ids, chassis)
		}
		switch {
		case len(ids) > 0:
			return pass(brief(ids[0]), ids...)
		case chassis != "":
			return skip("Open vSwitch's system-id names no chassis in another machine's database")
		}
		return skip("neither libvirt nor Open vSwitch has one in its files")
	}}
}

// brief is the beginning of a long id.
func brief(id string) string { return id[:min(len(id), 8)] }

var hostUUIDRule = regexp.MustCompile(`(?m)^\s*host_uuid\s*=\s*"([^"]+)"`)

// hostUUID is what libvirt was told. Without it, libvirt takes SMBIOS's, which the driver gives.
func hostUUID(t Target) string {
	for _, f := range []string{"/etc/libvirt/libvirtd.conf", "/etc/libvirt/virtqemud.conf"} {
		b, err := t.ReadFile(f)
		if m := hostUUIDRule.FindSubmatch(b); err == nil && m != nil {
			return strings.ToLower(string(m[1]))
		}
	}
	return ""
}

// chassis returns Open vSwitch's system-id, and whether it stands in an OVN database that others read too.
func (t Target) chassis() (id string, meets bool) {
	for _, f := range []string{"/etc/openvswitch/conf.db", "/var/lib/openvswitch/conf.db"} {
		b, err := t.ReadFile(f)
		if err != nil {
			continue
		}
		ids := externalIDs(b)
		return ids["system-id"], ids["system-id"] != "" && t.elsewhere(ids["ovn-remote"])
	}
	b, err := t.ReadFile("/etc/openvswitch/system-id.conf")
	if err != nil {
		return "", false
	}
	return strings.TrimSpace(string(b)), false
}

// elsewhere tells whether a list of OVSDB remotes (ssl:192.0.2.1:6642,unix:/run/ovn/ovnsb_db.sock) has another machine.
func (t Target) elsewhere(remotes string) bool {
	for _, r := range strings.Split(remotes, ",") {
		kind, where, _ := strings.Cut(strings.TrimSpace(r), ":")
		if kind != "tcp" && kind != "ssl" {
			continue
		}
		at, err := netip.ParseAddrPort(where)
		if err != nil || !at.Addr().IsLoopback() && at.Addr() != t.Address {
			return true
		}
	}
	return false
}

// externalIDs replays the log of Open vSwitch's database as far as the column external_ids of its only row goes. A transaction is
// a line of JSON between lines that begin with OVSDB; since version 2.16 it holds what changed, before that the whole column.
func externalIDs(log []byte) map[string]string {
	out := map[string]string{}
	for line := range bytes.Lines(log) {
		if bytes.HasPrefix(line, []byte("OVSDB ")) {
			continue
		}
		var tx struct {
			Diff bool `json:"_is_diff"`
			Rows map[string]*struct {
				IDs json.RawMessage `json:"external_ids"`
			} `json:"Open_vSwitch"`
		}
		if json.Unmarshal(line, &tx) != nil {
			continue
		}
		for _, row := range tx.Rows {
			if row == nil || row.IDs == nil {
				continue
			}
			if !tx.Diff {
				clear(out)
			}
			toggle(out, ovsMap(row.IDs))
		}
	}
	return out
}

// toggle applies a difference: a pair that stands there goes, another is set.
func toggle(m, diff map[string]string) {
	for k, v := range diff {
		if was, ok := m[k]; ok && was == v {
			delete(m, k)
			continue
		}
		m[k] = v
	}
}

// ovsMap reads ["map",[["key","value"],...]].
func ovsMap(raw json.RawMessage) map[string]string {
	out := map[string]string{}
	var pairs [][]string
	var outer []json.RawMessage
	if json.Unmarshal(raw, &outer) != nil || len(outer) != 2 || json.Unmarshal(outer[1], &pairs) != nil {
		return out
	}
	for _, p := range pairs {
		if len(p) == 2 {
			out[p[0]] = p[1]
		}
	}
	return out
}
