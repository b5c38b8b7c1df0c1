//go:build clones

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goldsmith/builder/archivetest"
	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/driver/drivertest"
)

// TestOpenNebulaRoad bakes an all-in-one of stand-in packages with stock configuration, whose oned makes hosts, datastores and a network,
// and makes two clones of it. They boot with br0 over host0 and are two clouds: in files, in the database, and as their oneds answer.
func TestOpenNebulaRoad(t *testing.T) {
	b := newBakery(t)
	a := archivetest.New(t)
	a.Add(standIns(t)...)
	a.Publish()
	b.must("cp", a.Keyring, filepath.Join(b.bin, "own.asc"))
	if code, _, errs := b.run("bake", "--no-proof", b.recipe(fmt.Sprintf(allInOne, "copy:"+a.Dir))); code != report.Done {
		t.Fatalf("bake: code %d\n%s", code, errs)
	}
	lab := fmt.Sprintf("one%d", os.Getpid())
	t.Cleanup(func() {
		if code, _, errs := b.run("remove", "--now", lab); code != report.Done {
			t.Errorf("remove: code %d\n%s", code, errs)
		}
		if left := drivertest.Traces(t, b.home); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	if code, _, errs := b.run("clone", "trial", "-n", "2", "--name", lab, "--wait"); code != report.Done {
		t.Fatalf("clone: code %d\n%s", code, errs)
	}
	code, out, errs := b.run("verify", "--json", lab)
	var p fleet.Proof
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != report.Done || len(p.Clones) != 2 {
		t.Fatalf("verify: code %d, %v\n%s%s", code, err, out, errs)
	}
	var seen [2]map[string]string
	for i, c := range p.Clones {
		for _, a := range c.Answers {
			if slices.Contains([]string{"prefix", "secret"}, a.Probe) && a.Verdict != report.Pass {
				t.Errorf("%s: %+v", c.Clone, a)
			}
		}
		b.ownBridge(c)
		b.staging(c.Clone)
		seen[i] = b.cloudIn(c.Clone)
	}
	for what, v := range seen[0] {
		if v == "" || v == seen[1][what] {
			t.Errorf("%s: %q and %q", what, v, seen[1][what])
		}
	}
}

// in runs a shell command in a clone and returns what it printed.
func (b *bakery) in(clone, script string) string {
	b.t.Helper()
	code, out, errs := b.run("shell", clone, "--", "sh", "-ec", script)
	if code != report.Done {
		b.t.Errorf("%s: %s: code %d\n%s%s", clone, script, code, out, errs)
	}
	return strings.TrimSpace(out)
}

// ownBridge wants the leased address on br0, which has the MAC of the NIC below it, and nothing on host0.
func (b *bakery) ownBridge(c fleet.Proven) {
	b.t.Helper()
	got := b.in(c.Clone, "ip -o -4 addr show; ip -o link show master br0; ip -o link show br0")
	for _, want := range []string{`br0 +inet ` + regexp.QuoteMeta(c.Address.String()) + `/`, `host0@\S+ .* master br0`, `br0: .* link/ether ` + c.MAC} {
		if !regexp.MustCompile(want).MatchString(got) {
			b.t.Errorf("%s: no %q in\n%s", c.Clone, want, got)
		}
	}
	if strings.Contains(got, "host0    inet") {
		b.t.Errorf("%s: host0 has an address:\n%s", c.Clone, got)
	}
}

// staging wants oned to start, and the journal to name a lack of room in STAGING_DIR where there is one.
func (b *bakery) staging(clone string) {
	b.t.Helper()
	const say = "STAGING_DIR /var/tmp has"
	const journal = "journalctl --sync; journalctl -o cat -u opennebula.service; systemctl is-active opennebula.service"
	if got := b.in(clone, journal); strings.Contains(got, say) || !strings.HasSuffix(got, "\nactive") {
		b.t.Errorf("%s: %s", clone, got)
	}
	got := b.in(clone, "mount -t tmpfs -o size=1M none /var/tmp; systemctl restart opennebula.service; "+journal)
	if !strings.Contains(got, say+" 1048576 bytes free, images need 1073741824") || !strings.HasSuffix(got, "\nactive") {
		b.t.Errorf("%s: with a small /var/tmp: %s", clone, got)
	}
}

// cloudIn collects what two clouds must not share.
func (b *bakery) cloudIn(clone string) map[string]string {
	b.t.Helper()
	dump := b.in(clone, "sqlite3 -readonly /var/lib/one/one.db .dump")
	if strings.Contains(dump, "goldsmith-marker") || strings.Contains(dump, "198.51.100.77") {
		b.t.Errorf("%s: the database names the golden machine:\n%s", clone, dump)
	}
	if n := strings.Count(dump, "<HOST><ID>0</ID><NAME>"+clone+"</NAME>"); n != 1 {
		b.t.Errorf("%s: %d hosts of its name in\n%s", clone, n, dump)
	}
	out := map[string]string{}
	for _, f := range []string{"/etc/hostname", "/etc/hosts", "/etc/machine-id", "/var/lib/one/.one/one_auth", "/var/lib/one/.one/sunstone_auth",
		"/var/lib/one/.ssh/id_ed25519.pub", "/var/lib/one/.ssh/known_hosts"} {
		out[f] = b.in(clone, "cat "+f)
	}
	for what, re := range map[string]string{"MAC": `<MAC><!\[CDATA\[(.*?)\]\]>`, "IMAGE_PREFIX": `<IMAGE_PREFIX><!\[CDATA\[(.*?)\]\]>`,
		"BRIDGE_LIST": `<BRIDGE_LIST><!\[CDATA\[(.*?)\]\]>`, "PASSWORD": `<PASSWORD><!\[CDATA\[(.*?)\]\]>`, "TOKEN_PASSWORD": `<TOKEN_PASSWORD><!\[CDATA\[(.*?)\]\]>`} {
		for _, m := range regexp.MustCompile(re).FindAllStringSubmatch(dump, -1) {
			out[what] += m[1] + " "
		}
	}
	conf := b.in(clone, "cat /etc/one/oned.conf")
	out["MAC_PREFIX"] = regexp.MustCompile(`(?m)^MAC_PREFIX.*`).FindString(conf)
	if !strings.Contains(conf, "-l deploy=deploy.vitastor,save=save.vitastor") {
		b.t.Errorf("%s: oned.conf is not the plugin's", clone)
	}
	return out
}
