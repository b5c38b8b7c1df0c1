//go:build integration

package killmatrix

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/host/hosttest"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/rewriters/rewritertest"
)

// TestBesideTheArticle takes packstack's machine through three runs, once with the article's script and once with firstboot:
// the first boot of a clone, the same again, and a clone of that clone. The places are counted by a search of files, rows
// and Open vSwitch's records that knows neither of the two. It prints the table of docs/side-by-side.md.
//
// The script sees the tree as its /etc, a real mysql client and a real server. ifconfig and "service network restart" are
// played: the second does what the network scripts do with br-ex, in no time, where a real machine waits for a lease.
func TestBesideTheArticle(t *testing.T) {
	bin := build(t)
	sock, db := hosttest.MariaDB(t)
	f := rewritertest.Named(t, fixtures, "packstack-victoria")
	l := &lab{f: f, bin: bin, sock: sock, db: db, dir: hosttest.Dir(t)}
	first := f.Scene.To[0]
	again := f.Scene.To[1]
	again.Hostname, again.Domain = first.Hostname, first.Domain // the article keeps the name

	var columns [2][3]outcome
	for i, run := range []func(*testing.T, identity.Identity) time.Duration{l.article, l.firstboot} {
		l.fresh(t, nil)
		golden := l.items(t)
		took := run(t, first)
		one := l.items(t)
		columns[i][0] = judge(golden, one, golden, f.Scene.Baked, first, took)
		took = run(t, first)
		columns[i][1] = judge(golden, l.items(t), one, f.Scene.Baked, first, took)
		l.reboot(t)
		took = run(t, again)
		columns[i][2] = judge(golden, l.items(t), one, f.Scene.Baked, again, took)
		columns[i][2].stale = naming(l.items(t), traces(first, again))
	}
	for i, who := range []string{"article", "firstboot"} {
		for j, when := range []string{"first boot", "second run", "clone of the clone"} {
			o := columns[i][j]
			t.Logf("%-9s %-18s %6.2f s  %3d right  %3d wrong %v  %d harmed  %d changed  %d of the first clone", who, when, o.took.Seconds(), o.right,
				len(o.wrong), o.kinds(), len(o.harmed), o.changed, len(o.stale))
			for _, p := range append(slices.Clone(o.harmed), o.stale...) {
				t.Logf("          %s", p)
			}
		}
	}
	article, ours := columns[0], columns[1]
	for j, o := range ours {
		if len(o.wrong)+len(o.harmed)+len(o.stale) > 0 {
			t.Errorf("firstboot, run %d: wrong %v, harmed %v, of the first clone %v", j+1, o.wrong, o.harmed, o.stale)
		}
	}
	if ours[1].changed != 0 || article[1].changed != 0 {
		t.Errorf("the second run changed %d places (article), %d (firstboot)", article[1].changed, ours[1].changed)
	}
	if got := [3]int{article[0].right, article[1].right, article[2].right}; got != [3]int{36, 36, 6} {
		t.Errorf("the article's places: %v", got)
	}
	if len(article[0].harmed) != 1 || !strings.Contains(article[0].harmed[0], "packstack-images") {
		t.Errorf("the article harmed %v", article[0].harmed)
	}
	if total := ours[0].right; total != 113 || total != article[0].right+len(article[0].wrong) {
		t.Errorf("%d places in all, of which the article has %d right and %d wrong", total, article[0].right, len(article[0].wrong))
	}
	if len(article[2].stale) < 30 {
		t.Errorf("the clone of a clone names its parent in %d places only", len(article[2].stale))
	}
}

// firstboot runs the binary and returns how long it took.
func (l *lab) firstboot(t *testing.T, to identity.Identity) time.Duration {
	t.Helper()
	began := time.Now()
	l.run(t, to, 0)
	return time.Since(began)
}

// article runs the script on the tree.
func (l *lab) article(t *testing.T, to identity.Identity) time.Duration {
	t.Helper()
	tools := filepath.Join(l.dir, "tools")
	check(t, os.MkdirAll(tools, 0o755))
	// packstack's hypervisor gives the clone its MAC, the DHCP server its address; br-ex has what stands in its database.
	check(t, os.WriteFile(filepath.Join(tools, "ifconfig"), []byte(fmt.Sprintf(`#!/bin/sh
case $1 in
br-ex) mac=$(ovsdb-tool query /etc/openvswitch/conf.db '["Open_vSwitch",{"op":"select","table":"Bridge","where":[],"columns":["other_config"]}]' | grep -o '..:..:..:..:..:..') ;;
*) mac=%s ;;
esac
echo "$1: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500"
echo "        inet %s  netmask 255.255.255.0"
echo "        ether $mac  txqueuelen 1000"
`, to.NICs[0].MAC, to.Address)), 0o755))
	check(t, os.WriteFile(filepath.Join(tools, "service"), []byte(`#!/bin/sh
mac=$(grep -o 'hwaddr=[0-9a-fA-F:]*' /etc/sysconfig/network-scripts/ifcfg-br-ex | cut -d= -f2)
ovsdb-tool transact /etc/openvswitch/conf.db '["Open_vSwitch",{"op":"update","table":"Bridge","where":[["name","==","br-ex"]],"row":{"other_config":["map",[["hwaddr","'$mac'"]]]}}]' >/dev/null
`), 0o755))
	script, err := filepath.Abs("testdata/article.sh")
	check(t, err)
	cmd := exec.Command("unshare", "-m", "sh", "-ec", `mount --bind "$R/etc" /etc; exec bash "$0"`, script)
	cmd.Env = append(os.Environ(), "R="+l.root(), "PATH="+tools+":"+os.Getenv("PATH"), "MYSQL_UNIX_PORT="+l.sock)
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the article's script: %v\n%s", err, out)
	}
	return time.Since(began)
}

// An outcome is the state of a machine after a run, as the search sees it.
type outcome struct {
	took    time.Duration
	right   int
	wrong   map[string]string // place: what is wrong
	harmed  []string          // places of others that changed
	changed int               // since the run before
	stale   []string          // places that name the clone that this one was cloned from
}

func (o outcome) kinds() map[string]int {
	out := map[string]int{}
	for _, why := range o.wrong {
		out[why]++
	}
	return out
}

// items cuts the machine into places: lines of files by their key, columns of rows, accounts, records of Open vSwitch.
func (l *lab) items(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, data := range l.snapshot(t) {
		if name == identity.SecretsFile || name == identity.ImprintFile || name == brokerUsers {
			continue
		}
		body := data
		if strings.HasPrefix(name, "/") && !strings.HasSuffix(name, "/conf.db") {
			_, body, _ = strings.Cut(data, "\n") // mode and owner
		}
		section := ""
		for n, line := range strings.Split(body, "\n") {
			if strings.HasPrefix(line, "[") {
				section = line
			}
			place := strings.Join(strings.Fields(name+" "+section+" "+l.placeOf(name, line)), " ")
			if _, twice := out[place]; twice {
				place = fmt.Sprintf("%s (%d)", place, n)
			}
			if strings.TrimSpace(line) != "" && !strings.HasPrefix(place, "db users User=mariadb.sys") && !strings.HasPrefix(place, "db users User=root") {
				out[place] = line
			}
		}
	}
	return out
}

// brokerUsers is what firstboot adds; it was not there before.
const brokerUsers = "/etc/rabbitmq/goldsmith-users.json"

// placeOf names a line by what of it does not change.
func (l *lab) placeOf(file, line string) string {
	switch fields := strings.Fields(line); {
	case len(fields) == 0:
		return ""
	case file == "db users":
		return strings.Join(fields[:min(2, len(fields))], " ")
	case strings.HasPrefix(file, "db "):
		return strings.Join(fields[:min(len(l.f.Tables[file[len("db "):]].Key), len(fields))], " ") // the key comes first
	case file == "/etc/hosts":
		return strings.Join(fields[1:], " ")
	case strings.Contains(line, "="):
		key, _, _ := strings.Cut(line, "=")
		return strings.TrimSpace(key)
	default:
		return fields[0]
	}
}

// judge looks at every place that has to change on a clone: it names the golden machine, it is the golden machine's secret,
// or others reach the cloud by it.
func judge(golden, now, before map[string]string, baked, to identity.Identity, took time.Duration) outcome {
	o := outcome{took: took, wrong: map[string]string{}}
	for place, was := range golden {
		is := now[place]
		why := ""
		switch {
		case mentionsAny(was, traces(baked, to)):
			why = "names the golden machine"
			if !mentionsAny(is, traces(baked, to)) {
				why = ""
				o.right++
			}
		case face(place):
			if strings.Contains(is, to.Address.String()) || strings.Contains(is, "0.0.0.0") {
				o.right++
			} else {
				why = "cannot be reached from outside"
			}
		case strings.Contains(was, nestedMAC):
			why = "a VM has the golden MAC on the VLAN"
			if !strings.Contains(is, nestedMAC) {
				why = ""
				o.right++
			}
		case secret(place, was):
			if is == was {
				why = "has the golden secret"
			} else {
				o.right++
			}
		case is != was:
			o.harmed = append(o.harmed, fmt.Sprintf("%s: %q became %q", place, was, is))
		}
		if why != "" {
			o.wrong[place] = why
		}
	}
	for place, is := range now {
		if before[place] != is {
			o.changed++
		}
	}
	slices.Sort(o.harmed)
	return o
}

// nestedMAC is that of the VM in the image, which is on the VLAN.
const nestedMAC = "fa:16:3e:aa:bb:cc"

func traces(baked, to identity.Identity) []string {
	var out []string
	if baked.Address != to.Address {
		out = append(out, baked.Address.String())
	}
	if baked.NICs[0].MAC != to.NICs[0].MAC {
		out = append(out, baked.NICs[0].MAC)
	}
	if baked.MachineID != to.MachineID {
		out = append(out, baked.MachineID)
	}
	return out
}

func mentionsAny(line string, traces []string) bool {
	for _, word := range strings.FieldsFunc(line, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF.:", r) }) {
		for _, trace := range traces {
			if strings.Trim(word, ":.") == trace || strings.HasPrefix(word, trace+":") {
				return true
			}
		}
	}
	return false
}

func naming(items map[string]string, traces []string) []string {
	var out []string
	for _, place := range slices.Sorted(maps.Keys(items)) {
		if mentionsAny(items[place], traces) {
			out = append(out, place)
		}
	}
	return out
}

// face tells whether clients reach the cloud by a place that packstack puts on the loopback.
func face(place string) bool {
	for _, p := range []string{"db keystone.endpoint", "[vnc] server_listen", "[vnc] novncproxy_base_url", "proxy-server.conf [DEFAULT] bind_ip"} {
		if strings.Contains(place, p) {
			return true
		}
	}
	return false
}

// secret tells whether a place holds what no two clones should share: passwords and their hashes, keys, the broker's cookie.
func secret(place, line string) bool {
	if strings.Contains(line, "mysql+pymysql://") {
		return true
	}
	if strings.Contains(line, "PW_PLACEHOLDER") {
		return false // packstack's word for none
	}
	for _, p := range []string{"-keys/", ".erlang.cookie", "SECRET_KEY", "db keystone.password", "db users", " password", "OS_PASSWORD", "metadata_proxy_shared_secret", "_PW"} {
		if strings.Contains(place, p) {
			return true
		}
	}
	return false
}
