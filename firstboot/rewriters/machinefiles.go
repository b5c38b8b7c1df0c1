package rewriters

import (
	"context"
	"encoding/hex"
	"net/netip"
	"strings"
)

// initiatorName gives the machine an iSCSI name of its own: with the golden one, two clones that share a storage array are
// one initiator to it.
func initiatorName() Rewriter {
	const file = "/etc/iscsi/initiatorname.iscsi"
	return Rewriter{
		Name: "iscsi", Short: "initiator name of iSCSI", Phase: Local, Base: true,
		Units: []string{"iscsid.service"},
		Owns:  []Place{{Where: file, Key: "InitiatorName", Why: "who this machine is to a storage array"}},
		Plan: func(_ context.Context, s *Scene) error {
			if !s.Rekeys("iscsi/initiator") {
				return nil
			}
			return s.eachLine(file, "who this machine is to a storage array", func(line string) string {
				name, ok := strings.CutPrefix(line, "InitiatorName=")
				i := strings.LastIndexByte(name, ':')
				if !ok || i < 0 {
					return line
				}
				return "InitiatorName=" + name[:i+1] + hex.EncodeToString(s.SecretBytes("iscsi/initiator", 6))
			})
		},
	}
}

// libvirt changes the host's UUID where the image fixes it: libvirt refuses to migrate between hosts of one UUID.
func libvirt() Rewriter {
	files := []string{"/etc/libvirt/libvirtd.conf", "/etc/libvirt/virtqemud.conf"}
	return Rewriter{
		Name: "libvirt", Short: "host UUID of libvirt, where one is set", Phase: Local, Base: true,
		Units: []string{"libvirtd.service", "virtqemud.service"},
		Owns:  []Place{{Where: strings.Join(files, ", "), Key: "host_uuid", Why: "otherwise from SMBIOS, which every clone has its own"}},
		Leaves: []Place{
			{Where: "/etc/libvirt/qemu/*.xml", Why: "nova defines a VM anew at its next start"},
			{Where: "/etc/libvirt/secrets", Why: "keys of a Ceph cluster, which does not change"},
		},
		Plan: func(_ context.Context, s *Scene) error {
			if !s.Rekeys("libvirt/host-uuid") {
				return nil
			}
			for _, f := range files {
				err := s.eachLine(f, "the golden host's", func(line string) string {
					if key, _, ok := strings.Cut(line, "="); !ok || strings.TrimSpace(key) != "host_uuid" {
						return line
					}
					return `host_uuid = "` + randomUUID(s.SecretBytes("libvirt/host-uuid", 16)) + `"`
				})
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// randomUUID marks 16 random bytes as a UUID of version 4 (RFC 4122, 4.4).
func randomUUID(b []byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return uuid(b)
}

func uuid(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

// firewall follows rules that name this machine: packstack restricts ports to addresses, and writes them into comments, too.
func firewall() Rewriter {
	files := []string{"/etc/sysconfig/iptables", "/etc/sysconfig/ip6tables", "/etc/iptables/rules.v4", "/etc/iptables/rules.v6"}
	return Rewriter{
		Name: "iptables", Short: "own addresses in saved rules of iptables", Phase: Stack, Base: true,
		Units: []string{"iptables.service", "ip6tables.service", "netfilter-persistent.service"},
		Owns:  []Place{{Where: strings.Join(files, ", "), Key: "any rule", Why: "an address of the golden machine"}},
		Plan: func(_ context.Context, s *Scene) error {
			for _, f := range files {
				if err := s.eachLine(f, "rules for the golden machine's address", s.rule); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (s *Scene) rule(line string) string {
	if !strings.HasPrefix(line, "-") {
		return line
	}
	words := strings.Split(line, " ")
	for i, w := range words {
		bare := strings.Trim(w, `"`)
		at := strings.LastIndexByte(bare, '_') + 1 // nova_compute_10.0.0.1
		addr, bits, _ := strings.Cut(bare[at:], "/")
		if _, err := netip.ParseAddr(addr); err == nil {
			if bits != "" {
				bits = "/" + bits
			}
			words[i] = strings.Replace(w, bare, bare[:at]+s.address(addr, false)+bits, 1)
		}
	}
	return strings.Join(words, " ")
}

// knownHosts drops what the machine knows of its own golden keys. packstack writes such lines for every compute node.
func knownHosts() Rewriter {
	const file = "/etc/ssh/ssh_known_hosts"
	return Rewriter{
		Name: "known-hosts", Short: "own golden keys in ssh_known_hosts", Phase: Stack, Base: true,
		Owns: []Place{{Where: file, Why: "lines for this machine; it has other keys now"}},
		Plan: func(_ context.Context, s *Scene) error {
			if !s.Rekeys("ssh-host-keys") {
				return nil
			}
			return s.dropLines(file, "keys of the golden machine", func(line string) bool {
				names, _, _ := strings.Cut(line, " ")
				for n := range strings.SplitSeq(names, ",") {
					if s.Old.Host(n) {
						return true
					}
				}
				return false
			})
		},
	}
}

// leftAlone lists what belongs to no stack and stays on purpose.
func leftAlone() Rewriter {
	return Rewriter{
		Name: "left-alone", Short: "places that stay, with the reason", Phase: Local, Base: true,
		Leaves: []Place{
			{Where: "/etc/resolv.conf, /etc/chrony*, /etc/localtime", Why: "name other machines; DHCP tells what is local"},
			{Where: "/var/lib/systemd/random-seed", Why: "sealing removes it; clones are made of disks, never of a running machine's memory"},
			{Where: "/var/lib/cloud, cloud-init", Why: "sealing cleans it; it takes the new instance id by itself"},
			{Where: "LVM and file system UUIDs", Why: "meet only where two clones' disks are in one machine"},
			{Where: "/root/.ssh", Why: "keys of a person; sealing removes those of the installation"},
			{Where: "magnum, trove, sahara, manila, ironic, barbican", Why: "their files and tables are not known here; residue is searched for in /etc"},
		},
	}
}
