//go:build clones || vm

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"goldsmith/builder/archivetest"
	"goldsmith/builder/install"
	"goldsmith/fleet/driver/drivertest"
)

// allInOne is the recipe opennebula-aio upon a small tree, with SQLite and Vitastor's plugin. The machine's own name stands where a
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
