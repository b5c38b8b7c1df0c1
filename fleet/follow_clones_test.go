//go:build clones

package fleet_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/identity"
	"goldsmith/fleet/driver"
)

// networkdFiles bring host0 up by DHCP.
var networkdFiles = map[string]string{
	"/etc/systemd/network/10-host0.network": "[Match]\nName=host0\n\n[Network]\nDHCP=ipv4\n",
	enable("systemd-networkd.service"):      ">/lib/systemd/system/systemd-networkd.service",
}

// catalogue is keystone's database as far as the endpoints go (DDL of keystone 22).
const catalogue = "CREATE DATABASE keystone; USE keystone;" +
	"CREATE TABLE endpoint (id varchar(64) NOT NULL PRIMARY KEY, legacy_endpoint_id varchar(64), interface varchar(8) NOT NULL," +
	" service_id varchar(64) NOT NULL, url text NOT NULL, extra text, enabled tinyint(1) NOT NULL DEFAULT 1, region_id varchar(255));" +
	"CREATE TABLE credential (id varchar(64) NOT NULL PRIMARY KEY);" +
	"INSERT INTO endpoint (id, interface, service_id, url) VALUES" +
	" ('a', 'public', 's', 'http://GOLDEN:5000/v3'), ('b', 'internal', 's', 'http://127.0.0.1:5000/v3')," +
	" ('c', 'public', 't', 'http://GOLDEN:8776/v3/%(tenant_id)s');"

// A lease that changes while a clone runs: endpoints and hosts follow, and nothing of firstboot waits for it in memory.
func TestEndpointsFollowALeaseThatChanges(t *testing.T) {
	lab := newLab(t, "follow")
	files := map[string]string{enable("mariadb.service"): ">/lib/systemd/system/mariadb.service",
		"/etc/keystone/keystone.conf": "[DEFAULT]\npublic_endpoint = http://GOLDEN:5000\n"}
	for k, v := range networkdFiles {
		files[k] = v
	}
	g := newGolden(t, lab, files, func(g *golden, m driver.Machine) {
		self := g.address(m).String()
		g.eventually(m, "database", time.Minute, func() bool { _, err := g.try(m, "mariadb", "-e", "SELECT 1"); return err == nil })
		g.inside(m, "mariadb", "-e", strings.ReplaceAll(catalogue, "GOLDEN", self))
		g.inside(m, "sed", "-i", "s/GOLDEN/"+self+"/", "/etc/keystone/keystone.conf")
	})
	g.adopt(identity.Policy{Hostname: identity.KeepHostname, Endpoints: identity.PublicEndpoints}, "keystone")

	m := g.start("follow1", "52:54:00:00:00:21")
	first := g.ready(m).Identity.Address
	g.catalogueIs(m, first)
	if out := g.inside(m, "sh", "-c", "cat /proc/[0-9]*/comm"); slices.Contains(strings.Fields(out), "firstboot") {
		t.Errorf("firstboot stays in memory:\n%s", out)
	}

	// The DHCP server gives another range away now, and does not know the clone any more.
	if err := lab.Server.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(lab.Leases()); err != nil {
		t.Fatal(err)
	}
	lab.Pool = 5
	if err := lab.Serve(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	g.inside(m, "networkctl", "reconfigure", "host0")
	var second netip.Addr
	g.eventually(m, "new address", time.Minute, func() bool { second = g.address(m); return second != first })
	leased := time.Now()
	g.eventually(m, "endpoint of the new address", time.Minute, func() bool {
		return strings.Contains(g.inside(m, "mariadb", "-N", "-e", "SELECT url FROM keystone.endpoint"), second.String())
	})
	t.Logf("%s became %s after %s, endpoints followed %s later", first, second, leased.Sub(began).Round(time.Millisecond),
		time.Since(leased).Round(time.Millisecond))
	g.catalogueIs(m, second)
	g.eventually(m, "report of the new address", 20*time.Second, func() bool {
		r, err := driver.Nspawn{}.Report(m)
		return err == nil && r.State == "ready" && r.Identity.Address == second
	})
}

// catalogueIs checks rows and files against an address.
func (g *golden) catalogueIs(m driver.Machine, a netip.Addr) {
	g.t.Helper()
	want := fmt.Sprintf("http://%s:5000/v3\nhttp://127.0.0.1:5000/v3\nhttp://%s:8776/v3/%%(tenant_id)s", a, a)
	if got := g.inside(m, "mariadb", "-N", "-e", "SELECT url FROM keystone.endpoint ORDER BY id"); got != want {
		g.t.Errorf("endpoints of %s:\n%s\nwant\n%s", m.Name, got, want)
	}
	if got := g.inside(m, "cat", "/etc/keystone/keystone.conf"); !strings.Contains(got, "http://"+a.String()+":5000") {
		g.t.Errorf("keystone.conf of %s: %s", m.Name, got)
	}
}

// A clone whose address and MAC another machine has already stops before its stack starts, and says why.
func TestATwinIsFoundAndNothingOfTheStackStarts(t *testing.T) {
	files := map[string]string{
		"/etc/systemd/system/cloud.service": "[Unit]\nRequires=goldsmith-stack.target\nAfter=goldsmith-stack.target\n[Service]\nExecStart=/bin/sleep inf\n",
		enable("cloud.service"):             ">/etc/systemd/system/cloud.service",
	}
	for k, v := range networkdFiles {
		files[k] = v
	}
	g := newGolden(t, newLab(t, "twin"), files, func(g *golden, m driver.Machine) { g.address(m) })
	g.adopt(identity.Policy{Hostname: identity.KeepHostname})

	one := g.start("one", "52:54:00:00:00:31")
	r := g.ready(one)
	if got := g.inside(one, "systemctl", "is-active", "cloud.service"); got != "active" {
		t.Errorf("the first clone's stack is %s", got)
	}
	two := g.start("two", "52:54:00:00:00:31") // the hypervisor gave one MAC twice
	g.eventually(two, "report", time.Minute, func() bool {
		var err error
		r, err = driver.Nspawn{}.Report(two)
		return err == nil && r.State == "failed"
	})
	if !strings.Contains(r.Error, "our MAC 52:54:00:00:00:31") || r.Code != 4 || len(r.Hints) == 0 {
		t.Errorf("error %q, code %d, hints %q", r.Error, r.Code, r.Hints)
	}
	g.eventually(two, "end of the boot", time.Minute, func() bool {
		out, _ := g.try(two, "systemctl", "list-jobs", "--no-legend")
		return out == "" || strings.Contains(out, "No jobs")
	})
	if got, _ := g.try(two, "systemctl", "is-active", "cloud.service"); got != "inactive" {
		t.Errorf("the twin's stack is %s", got)
	}
	t.Logf("%s", r.Error)
}

// All network systems and cloud-init in one image: systemd finds no ordering cycle, before and while it boots.
func TestUnitsMakeNoOrderingCycle(t *testing.T) {
	g := newGolden(t, newLab(t, "cycle"), networkdFiles, func(g *golden, m driver.Machine) { g.address(m) })
	g.adopt(identity.Policy{Hostname: identity.KeepHostname})
	for _, unit := range []string{"NetworkManager", "networking", "openvswitch-switch", "mariadb", "ssh"} {
		g.put(enable(unit+".service"), ">/lib/systemd/system/"+unit+".service")
	}
	g.put("/etc/network/interfaces", "auto lo\niface lo inet loopback\n")
	g.put("/etc/cloud/cloud-init.disabled", "")
	g.put("/etc/cloud/cloud.cfg.d/99-test.cfg", "datasource_list: [ NoCloud, None ]\nnetwork: {config: disabled}\n")
	g.put("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: i-cycle\nlocal-hostname: gold\n")
	g.put("/var/lib/cloud/seed/nocloud/user-data", "#cloud-config\n{}\n")

	m := g.start("cycle1", "52:54:00:00:00:41")
	g.ready(m)
	units := []string{"goldsmith-local.service", "goldsmith-stack.service", "goldsmith-stack.target", "goldsmith-watch.socket",
		"goldsmith-watch.service", "default.target", "cloud-init-local.service", "NetworkManager.service", "networking.service",
		"systemd-networkd.service", "openvswitch-switch.service"}
	out, err := g.try(m, append([]string{"sh", "-c", `systemd-analyze verify --man=no "$@" 2>&1`, "sh"}, units...)...)
	if strings.Contains(out, "goldsmith") || strings.Contains(out, "cycle") || err != nil && !strings.Contains(out, ":") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if log := g.inside(m, "sh", "-c", "journalctl -b --no-pager | grep -iE 'ordering cycle|deleted to break' || true"); log != "" {
		t.Errorf("while booting:\n%s", log)
	}
	for _, unit := range []string{"goldsmith-local.service", "goldsmith-stack.service", "goldsmith-watch.socket"} {
		if got, _ := g.try(m, "systemctl", "is-active", unit); got != "active" {
			t.Errorf("%s is %s", unit, got)
		}
	}
}

// A boot on which nothing changed: what firstboot costs, and what cloud-init costs that has nothing to do either.
func TestNothingToDoBesideCloudInit(t *testing.T) {
	g := newGolden(t, newLab(t, "noop"), networkdFiles, func(g *golden, m driver.Machine) { g.address(m) })
	g.adopt(identity.Policy{Hostname: identity.KeepHostname})
	g.put("/etc/cloud/cloud.cfg.d/99-test.cfg", "datasource_list: [ None ]\nnetwork: {config: disabled}\nlocale: false\napt_preserve_sources_list: true\n")
	m := g.start("noop1", "52:54:00:00:00:51")
	g.ready(m)
	stages := [][]string{{"cloud-init", "init", "--local"}, {"cloud-init", "init"}, {"cloud-init", "modules", "--mode=config"},
		{"cloud-init", "modules", "--mode=final"}}
	for _, s := range stages { // the first time it works
		g.inside(m, s...)
	}
	local := g.measure(m, [][]string{{identity.Binary, "apply", "--phase", "local", "--boot"}})
	stack := g.measure(m, [][]string{{identity.Binary, "apply", "--phase", "stack", "--boot"}})
	other := g.measure(m, stages)
	t.Logf("%s", g.inside(m, "cloud-init", "--version"))
	t.Logf("firstboot, local phase: %s", local)
	t.Logf("firstboot, stack phase: %s (%s of it ask for a twin)", stack, 550*time.Millisecond)
	t.Logf("cloud-init, its stages: %s", other)
	if local.median*10 > other.median || local.peak*2 > other.peak {
		t.Errorf("a no-op run is not ten times faster than cloud-init's in half the memory")
	}
}

// A cost is what some runs took: the median wall time of one, and the largest resident set of any process in it.
type cost struct {
	median, cpu time.Duration
	peak        int64 // KiB
}

func (c cost) String() string {
	return fmt.Sprintf("median %s, CPU %s, peak %.1f MiB", c.median.Round(100*time.Microsecond), c.cpu.Round(100*time.Microsecond), float64(c.peak)/1024)
}

// measure runs the commands some times inside the clone. What nsenter costs to get there, which an empty command shows,
// is taken off.
func (g *golden) measure(m driver.Machine, commands [][]string) cost {
	g.t.Helper()
	idle := g.median(m, [][]string{{"/bin/true"}})
	c := g.median(m, commands)
	n := time.Duration(len(commands))
	c.median, c.cpu = c.median-n*idle.median, c.cpu-n*idle.cpu
	for _, argv := range commands {
		c.peak = max(c.peak, g.peak(m, argv))
	}
	return c
}

func (g *golden) median(m driver.Machine, commands [][]string) (c cost) {
	g.t.Helper()
	const runs = 5
	var walls, cpus []time.Duration
	for range runs {
		var wall, cpu time.Duration
		for _, argv := range commands {
			w, u := g.once(m, argv)
			wall, cpu = wall+w, cpu+u
		}
		walls, cpus = append(walls, wall), append(cpus, cpu)
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	return cost{median: walls[runs/2], cpu: cpus[runs/2]}
}

func (g *golden) once(m driver.Machine, argv []string) (wall, cpu time.Duration) {
	g.t.Helper()
	cmd, err := driver.Nspawn{}.Command(context.WithoutCancel(g.t.Context()), m, argv...)
	if err != nil {
		g.t.Fatal(err)
	}
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return time.Since(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// peak returns the largest resident set of a command in KiB. A process inherits the peak of the one that starts it, so a
// small one inside the clone asks, not this test (Linux: setmax_mm_hiwater_rss at execve).
func (g *golden) peak(m driver.Machine, argv []string) int64 {
	g.t.Helper()
	const ask = `import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)`
	n, err := strconv.ParseInt(strings.TrimSpace(g.inside(m, append([]string{"python3", "-c", ask}, argv...)...)), 10, 64)
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}
