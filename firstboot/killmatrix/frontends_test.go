//go:build integration

package killmatrix

import (
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goldsmith/firstboot/host/hosttest"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/rewriters/rewritertest"
)

// TestTwoFrontEnds lets the real binary make two clones of one recorded OpenNebula front-end, on each database that oned
// keeps its state in. What must differ between clouds in one VLAN differs, and neither names the golden image: in the tree
// and in a dump of the whole database, accounts included.
func TestTwoFrontEnds(t *testing.T) {
	bin := build(t)
	sqlite, _ := rewritertest.FrontEndOnSQLite(t, fixtures)
	for name, f := range map[string]*rewritertest.Fixture{"MariaDB": rewritertest.Named(t, fixtures, "opennebula-mariadb"), "SQLite": sqlite} {
		t.Run(name, func(t *testing.T) {
			l := &lab{f: f, bin: bin, dir: hosttest.Dir(t)}
			if f.MariaDB() {
				l.sock, l.db = hosttest.MariaDB(t)
			}
			l.fresh(t, nil)
			golden := cloudOf(l.everything(t))
			var clones []cloud
			for n, to := range []identity.Identity{frontEnd("one-a", 81), frontEnd("one-b", 82)} {
				l.fresh(t, nil)
				l.run(t, to, 0)
				all := l.everything(t)
				noTrace(t, all, f, golden, to)
				clones = append(clones, cloudOf(all))
				if out := l.run(t, to, 0); !strings.Contains(out, "0 changes") {
					t.Errorf("clone %d: a second run is not empty:\n%s", n, out)
				}
			}
			disjoint(t, golden, clones[0], clones[1])
		})
	}
}

func frontEnd(name string, n byte) identity.Identity {
	return identity.Identity{Hostname: name, Domain: "test", Interface: "ens3", Address: netip.AddrFrom4([4]byte{203, 0, 113, n}), PrefixLen: 24,
		MachineID: fmt.Sprintf("%032x", n), NICs: []identity.NIC{{Name: "ens3", MAC: fmt.Sprintf("56:6f:00:00:00:%02x", n)}}}
}

// everything returns the tree's files, without what firstboot keeps, and a dump of the database.
func (l *lab) everything(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	check(t, filepath.WalkDir(l.root(), func(p string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(p, l.root())
		if err != nil || d.IsDir() || strings.HasPrefix(name, identity.StateDir) || name == identity.ImprintFile {
			return err
		}
		data, err := os.ReadFile(p)
		out[name] = string(data)
		return err
	}))
	if l.db == nil {
		file := "/var/lib/one/one.db"
		delete(out, file)
		out["dump"] = rewritertest.SQLite(t, filepath.Join(l.root(), file), ".dump")
		return out
	}
	dump, err := exec.Command("mariadb-dump", "--no-defaults", "--socket="+l.sock, "--user=root", "--all-databases", "--skip-extended-insert").CombinedOutput()
	if err != nil {
		t.Fatalf("mariadb-dump: %v\n%s", err, dump)
	}
	out["dump"] = string(dump)
	return out
}

// A cloud is what two clouds in one VLAN must not share: values by kind.
type cloud map[string][]string

var kinds = map[string]*regexp.Regexp{
	"MAC of a network, lease or template": regexp.MustCompile(`MAC>(?:<!\[CDATA\[)?((?:[0-9a-f]{2}:){5}[0-9a-f]{2})`),
	"MAC in JSON":                         regexp.MustCompile(`MAC\\*": \\*"((?:[0-9a-f]{2}:){5}[0-9a-f]{2})`),
	"zone endpoint":                       regexp.MustCompile(`<ENDPOINT><!\[CDATA\[(.*?)\]\]>`),
	"host":                                regexp.MustCompile(`<HOST><ID>\d+</ID><NAME>(.*?)</NAME>`),
	"host in a VM's history":              regexp.MustCompile(`<HOSTNAME>(.*?)</HOSTNAME>`),
	"bridge list of a datastore":          regexp.MustCompile(`<BRIDGE_LIST><!\[CDATA\[(.*?)\]\]>`),
	"image prefix of a datastore":         regexp.MustCompile(`<IMAGE_PREFIX><!\[CDATA\[(.*?)\]\]>`),
	"password of a user":                  regexp.MustCompile(`<PASSWORD><!\[CDATA\[(.*?)\]\]>`),
	"token password":                      regexp.MustCompile(`<TOKEN_PASSWORD><!\[CDATA\[(.*?)\]\]>`),
	"SSH key of a user":                   regexp.MustCompile(`<SSH_PUBLIC_KEY><!\[CDATA\[(.*?)\]\]>`),
}

func cloudOf(all map[string]string) cloud {
	c := cloud{}
	for kind, re := range kinds {
		for _, m := range re.FindAllStringSubmatch(all["dump"], -1) {
			c[kind] = append(c[kind], m[1])
		}
	}
	conf := all["/etc/one/oned.conf"]
	for kind, re := range map[string]string{"MAC prefix": `(?m)^MAC_PREFIX\s*=\s*"(.*?)"`, "password of the database": `BACKEND = "mysql"(?s:.*?)PASSWD\s*=\s*"(.*?)"`} {
		if m := regexp.MustCompile(re).FindStringSubmatch(conf); m != nil {
			c[kind] = m[1:]
		}
	}
	for name, data := range all {
		if strings.HasPrefix(name, "/var/lib/one/.one/") || strings.HasSuffix(name, "/id_ed25519") || strings.HasSuffix(name, "/id_rsa") {
			c[name] = []string{data}
		}
	}
	return c
}

// otherNode is a machine that both clouds may ask, and no part of the image.
const otherNode = "opennebula1"

// disjoint compares two clones. Each has as many values of each kind as the golden image, so none was lost on the way.
func disjoint(t *testing.T, golden, a, b cloud) {
	t.Helper()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if len(golden[kind]) == 0 || len(a[kind]) != len(golden[kind]) || len(b[kind]) != len(golden[kind]) {
			t.Errorf("%s: %d in the golden image, %d and %d in the clones", kind, len(golden[kind]), len(a[kind]), len(b[kind]))
		}
	}
	for _, must := range []string{"MAC prefix", "/var/lib/one/.one/one_auth", "/var/lib/one/.one/sunstone_auth", "/var/lib/one/.ssh/id_ed25519"} {
		if len(a[must]) == 0 {
			t.Errorf("the clones have no %s", must)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(a)) {
		for _, v := range a[kind] {
			if v != otherNode && (slices.Contains(b[kind], v) || slices.Contains(golden[kind], v)) {
				t.Errorf("%s %q is another's, too", kind, v)
			}
		}
	}
}

// noTrace searches for the golden image: its names and addresses, and every value that was its own.
func noTrace(t *testing.T, all map[string]string, f *rewritertest.Fixture, golden cloud, to identity.Identity) {
	t.Helper()
	needles := append(traces(f.Scene.Baked, to), f.Scene.Baked.Hostname, "AAAAB3NzaGolden", "golden db password", "goldenrandom", "goldenkey", "goldenfireedge")
	for kind := range golden {
		if strings.HasPrefix(kind, "MAC ") && kind != "MAC prefix" || strings.Contains(kind, "password") {
			needles = append(needles, golden[kind]...)
		}
	}
	for name, data := range all {
		if _, ok := f.Scene.Residue[name]; ok {
			continue
		}
		for _, n := range needles {
			if whole := regexp.MustCompile(`(?i)(^|[^0-9a-z-])` + regexp.QuoteMeta(n) + `($|[^0-9a-z-])`); whole.MatchString(data) {
				t.Errorf("%s still has %s", name, n)
			}
		}
	}
}
