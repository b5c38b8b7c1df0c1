//go:build clones

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goldsmith/builder/archivetest"
	"goldsmith/builder/install"
	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/driver/drivertest"
)

// allInOne is the recipe opennebula-aio on the small tree, with SQLite and Vitastor's plugin. The machine's own name stands where a
// recipe should have localhost, so that it must follow.
const allInOne = `
archives:
- {name: opennebula, url: %q, suites: [stable], components: [opennebula], key: {source: own.asc}}
packages: [opennebula, opennebula-gate, opennebula-flow, opennebula-sunstone, opennebula-fireedge, opennebula-node-kvm, vitastor-opennebula, sqlite3]
boot: {target: basic.target}
disk: {size: 4G}
steps:
- name: cloud
  opennebula:
    release: "6.10"
    role: aio
    database: sqlite
    tuning: true
    hosts: [goldsmith-marker]
    bridges: [{name: br0, port: host0, manager: networkd, dhcp: true}]
    networks: [{name: lan, driver: fw, bridge: br0, filter: true}]
    vitastor: {save_restore: true, pool: test1, bridges: [goldsmith-marker], staging_room: 1G}
stacks: [opennebula]
`

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

// standIns are packages in place of OpenNebula's and Vitastor's: stock configuration, the names of scripts and units, and an oned that
// was written for tests. sqlite3 is the host's, with the libraries that the small tree lacks.
func standIns(t *testing.T) []archivetest.Package {
	t.Helper()
	read := func(name string) string {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	oned := filepath.Join(t.TempDir(), "oned")
	build := exec.Command("go", "build", "-o", oned, "goldsmith/builder/archivetest/oned")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const stock, plugged = "../../firstboot/text/oned/testdata/6.10.5/", "../../builder/install/testdata/one-6.10.5/"
	const user = "getent passwd oneadmin >/dev/null || useradd --system --uid 9869 --home-dir /var/lib/one --shell /bin/bash oneadmin\n"
	front := archivetest.Package{Name: "opennebula", Version: "6.10.5", Files: map[string]string{
		"/usr/bin/oned": read(oned), "/etc/one/oned.conf": read(stock + "oned.conf"), "/etc/one/monitord.conf": read(stock + "monitord.conf"),
		"/etc/one/vmm_exec/vmm_exec_kvm.conf": read(stock + "vmm_exec_kvm.conf"), "/etc/one/vmm_exec/vmm_execrc": read(plugged + "vmm_execrc"),
		"/var/lib/one/remotes/datastore/downloader.sh": read(plugged + "downloader.sh"),
		"/lib/systemd/system/opennebula.service":       "[Unit]\nDescription=oned of tests\n[Service]\nUser=oneadmin\nExecStart=/usr/bin/oned\n[Install]\nWantedBy=multi-user.target\n",
	}, Modes: map[string]fs.FileMode{"/usr/bin/oned": 0o755, "/etc/one/oned.conf": 0o640, "/var/lib/one/remotes/datastore/downloader.sh": 0o755},
		Postinst: user + "umask 077\nmkdir -p /var/lib/one/.one\necho oneadmin:$(od -An -N8 -tx8 /dev/urandom | tr -d ' ') >/var/lib/one/.one/one_auth\n" +
			"chown -R oneadmin:oneadmin /var/lib/one\nchgrp oneadmin /etc/one/oned.conf\n"}
	plugin := archivetest.Package{Name: "vitastor-opennebula", Version: "3.0.8", Depends: "opennebula", Modes: map[string]fs.FileMode{"/etc/sudoers.d/opennebula-vitastor": 0o440},
		Files: map[string]string{"/etc/sudoers.d/opennebula-vitastor": "oneadmin ALL=(ALL) NOPASSWD: /usr/bin/vitastor-nbd\n",
			"/var/lib/one/remotes/datastore/vitastor/downloader-vitastor.sh.diff": pluginDiff}}
	for _, s := range install.VitastorScripts() {
		plugin.Files["/var/lib/one/remotes/"+s], plugin.Modes["/var/lib/one/remotes/"+s] = "#!/bin/sh\n", 0o755
	}
	out := []archivetest.Package{front, plugin, ownSQLite(t, read)}
	for name, unit := range map[string]string{"opennebula-gate": "opennebula-gate", "opennebula-flow": "opennebula-flow", "opennebula-sunstone": "opennebula-sunstone",
		"opennebula-fireedge": "opennebula-fireedge", "opennebula-node-kvm": "libvirtd"} {
		out = append(out, archivetest.Package{Name: name, Version: "6.10.5", Files: map[string]string{"/lib/systemd/system/" + unit + ".service": "[Unit]\nDescription=" + unit +
			" of tests\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"}, Postinst: user})
	}
	return out
}

// pluginDiff is in the form of the plugin's own patch.
const pluginDiff = `--- a/downloader.sh
+++ b/downloader.sh
@@ -295,6 +295,10 @@ function get_rbd_cmd
 }
 
+function get_vitastor_cmd
+{
+    echo "vitastor-cli dd iimg='$1'"
+}
+
 # Compare 2 version strings using sort -V
@@ -424,6 +463,9 @@ s3://*)
     ;;
+vitastor://*)
+    command="$(get_vitastor_cmd "$FROM")"
+    ;;
 vcenter://*)
`

func ownSQLite(t *testing.T, read func(string) string) archivetest.Package {
	t.Helper()
	p := archivetest.Package{Name: "sqlite3", Version: "99", Files: map[string]string{}, Modes: map[string]fs.FileMode{}}
	tool, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Fatalf("%v\nhint: make setup installs sqlite3", err)
	}
	libs, err := exec.Command("ldd", tool).Output()
	if err != nil {
		t.Fatal(err)
	}
	p.Files["/usr/bin/sqlite3"], p.Modes["/usr/bin/sqlite3"] = read(tool), 0o755
	for _, m := range regexp.MustCompile(`=> (\S+)`).FindAllStringSubmatch(string(libs), -1) {
		name := filepath.Base(m[1])
		if _, err := os.Stat(filepath.Join(drivertest.SmallTree(t), "usr/lib/x86_64-linux-gnu", name)); err != nil {
			p.Files["/usr/lib/x86_64-linux-gnu/"+name] = read(m[1])
		}
	}
	return p
}
