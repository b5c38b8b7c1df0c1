package install

import (
	"fmt"
	"strconv"
	"strings"

	"goldsmith/firstboot/text/oned"
)

// A Release is a release series of OpenNebula: 5.12, 6.10, 7.0.
type Release struct{ Major, Minor int }

// ParseRelease reads "6.10" or "6.10.5".
func ParseRelease(s string) (Release, error) {
	f := strings.Split(s, ".")
	if len(f) >= 2 {
		major, err1 := strconv.Atoi(f[0])
		minor, err2 := strconv.Atoi(f[1])
		if err1 == nil && err2 == nil && major >= 5 {
			return Release{major, minor}, nil
		}
	}
	return Release{}, fmt.Errorf("cannot read OpenNebula release %q: it is no number such as 6.10, 5.0 or later", s)
}

func (r Release) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }

// atLeast compares series.
func (r Release) atLeast(major, minor int) bool {
	return r.Major > major || r.Major == major && r.Minor >= minor
}

// A Role is what a machine does in a cloud.
type Role string

// The roles.
const (
	FrontEnd Role = "frontend"
	Node     Role = "node"
	AllInOne Role = "aio"
)

// OpenNebulaPackages returns the packages of a role. FireEdge came with 6.0, the Ruby Sunstone went with 7.0, and the node's
// package got the hypervisor's name in 6.0.
func OpenNebulaPackages(r Release, role Role) []string {
	var out []string
	if role != Node {
		out = append(out, "opennebula", "opennebula-gate", "opennebula-flow")
		if !r.atLeast(7, 0) {
			out = append(out, "opennebula-sunstone")
		}
		if r.atLeast(6, 0) {
			out = append(out, "opennebula-fireedge")
		}
	}
	if role != FrontEnd {
		if r.atLeast(6, 0) {
			out = append(out, "opennebula-node-kvm")
		} else {
			out = append(out, "opennebula-node")
		}
	}
	return out
}

// MariaDBEdits moves oned to a MariaDB on this machine. The password is the golden image's; firstboot changes it on each clone.
func MariaDBEdits(password string) []Edit {
	set := func(pair, value string) Edit {
		return Edit{Name: "DB " + pair, Path: onedConf, Change: func(d []byte) ([]byte, error) { return oned.Set(d, "DB/"+pair, value) }}
	}
	return []Edit{set("BACKEND", "mysql"), set("SERVER", "localhost"), set("PORT", "0"), set("USER", "oneadmin"), set("PASSWD", password),
		set("DB_NAME", "opennebula"), set("CONNECTIONS", "25"), set("COMPARE_BINARY", "no"),
		{Name: "isolation of transactions", Path: "/etc/mysql/mariadb.conf.d/99-opennebula.cnf", Create: 0o644, Change: whole(mariaConf)}}
}

// mariaConf is what OpenNebula's manual asks of the server.
const mariaConf = "[mysqld]\ntransaction_isolation = READ-COMMITTED\n"

// kvmConf is where the defaults of new KVM machines stand.
const kvmConf = "/etc/one/vmm_exec/vmm_exec_kvm.conf"

// KVMTuningEdits are the defaults that make guests faster, whatever the release brings: guest agent, native AIO (needs the cache
// mode none that is the default), discard, virtio network cards. Releases from 6.0 on have all but IO already.
func KVMTuningEdits() []Edit {
	var edits []Edit
	for _, kv := range [][2]string{{"FEATURES/GUEST_AGENT", "yes"}, {"DISK/DRIVER", "raw"}, {"DISK/CACHE", "none"}, {"DISK/IO", "native"},
		{"DISK/DISCARD", "unmap"}, {"NIC/MODEL", "virtio"}} {
		edits = append(edits, Edit{Name: "KVM default " + kv[0], Path: kvmConf,
			Change: func(d []byte) ([]byte, error) { return oned.Set(d, kv[0], kv[1]) }})
	}
	return edits
}

// AutostartHooks are the two hooks that start VMs again after their host or the whole cloud went down, for releases from 6.2 on,
// which ship the scripts under remotes/hooks/autostart. They act on VMs with AUTOSTART=yes only, and not on one that its user
// stopped: a hook that resumes whatever is in POWEROFF fights its users.
func AutostartHooks(r Release) ([]string, error) {
	if !r.atLeast(6, 2) {
		return nil, fmt.Errorf("cannot make autostart hooks: OpenNebula %v does not ship their scripts, 6.2 does", r)
	}
	return []string{
		`NAME            = autostart-host
TYPE            = state
COMMAND         = autostart/host
ARGUMENTS       = "$TEMPLATE"
ARGUMENTS_STDIN = yes
RESOURCE        = HOST
STATE           = MONITORED
`, `NAME            = autostart-vm
TYPE            = state
COMMAND         = autostart/vm
ARGUMENTS       = "$TEMPLATE"
ARGUMENTS_STDIN = yes
RESOURCE        = VM
STATE           = POWEROFF
LCM_STATE       = LCM_INIT
ON              = CUSTOM
`}, nil
}
