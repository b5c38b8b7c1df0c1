package seal

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/tree"
)

// plant makes a tree of files; a name that ends in a slash is a folder, a content that begins with "-> " a link.
func plant(t *testing.T, files map[string]string) (*tree.FS, string) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch target, link := strings.CutPrefix(data, "-> "); {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(p, 0o755)
		case link:
			err = os.Symlink(target, p)
		default:
			err = os.WriteFile(p, []byte(data), 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

// snapshot is the inverse of plant, without folders that hold something.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		switch {
		case e.IsDir():
			if list, err := os.ReadDir(p); err != nil || len(list) > 0 {
				return err
			}
			out[name+"/"] = ""
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			out[name] = "-> " + target
			return err
		default:
			data, err := os.ReadFile(p)
			out[name] = string(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOperations shows what single operations do to a tree: before, after.
func TestOperations(t *testing.T) {
	for name, c := range map[string]struct{ before, after map[string]string }{
		"machine-id": {
			map[string]string{"etc/machine-id": "676f\n", "var/lib/dbus/machine-id": "676f\n"},
			map[string]string{"etc/machine-id": "uninitialized\n", "var/lib/dbus/machine-id": "-> /etc/machine-id"},
		},
		"machine-id without D-Bus": {
			map[string]string{"etc/machine-id": ""},
			map[string]string{"etc/machine-id": "uninitialized\n"},
		},
		"ssh-host-keys": {
			map[string]string{"etc/ssh/ssh_host_rsa_key": "k", "etc/ssh/ssh_host_rsa_key.pub": "p", "etc/ssh/sshd_config": "c", "etc/ssh/ssh_known_hosts": "h"},
			map[string]string{"etc/ssh/sshd_config": "c", "etc/ssh/ssh_known_hosts": "h"},
		},
		"dhcp-leases": {
			map[string]string{"var/lib/dhclient/dhclient-5f1-br-ex.lease": "l", "var/lib/dhcpcd/duid": "d", "var/lib/dhcp/dhclient6.leases": "l"},
			map[string]string{"var/lib/dhclient/": "", "var/lib/dhcpcd/": "", "var/lib/dhcp/": ""},
		},
		"network-manager": {
			map[string]string{"var/lib/NetworkManager/secret_key": "s", "var/lib/NetworkManager/seen-bssids": "b", "etc/NetworkManager/system-connections/br-ex.nmconnection": "c"},
			map[string]string{"var/lib/NetworkManager/": "", "etc/NetworkManager/system-connections/br-ex.nmconnection": "c"},
		},
		"iscsi-initiator": {
			map[string]string{"etc/iscsi/initiatorname.iscsi": "InitiatorName=iqn.1993-08.org.debian:01:golden\n", "usr/lib/open-iscsi/startup-checks.sh": "#!/bin/sh\n"},
			map[string]string{"etc/iscsi/initiatorname.iscsi": "GenerateName=yes\n", "usr/lib/open-iscsi/startup-checks.sh": "#!/bin/sh\n"},
		},
		"iscsi-initiator on EL": {
			map[string]string{"etc/iscsi/initiatorname.iscsi": "InitiatorName=iqn.1994-05.com.redhat:golden\n"},
			map[string]string{"etc/iscsi/": ""},
		},
		"libvirt-host": {
			map[string]string{"etc/libvirt/libvirtd.conf": "#host_uuid = \"0\"\nhost_uuid = \"1\"\nlisten_tls = 0\n"},
			map[string]string{"etc/libvirt/libvirtd.conf": "#host_uuid = \"0\"\nlisten_tls = 0\n"},
		},
		"resolver": {
			map[string]string{"etc/resolv.conf": "nameserver 192.0.2.1\n"},
			map[string]string{"etc/resolv.conf": ""},
		},
		"resolver with systemd-resolved": {
			map[string]string{"etc/resolv.conf": "nameserver 192.0.2.1\n", "usr/lib/systemd/systemd-resolved": ""},
			map[string]string{"etc/resolv.conf": "-> ../run/systemd/resolve/stub-resolv.conf", "usr/lib/systemd/systemd-resolved": ""},
		},
		"resolver that is a link already": {
			map[string]string{"etc/resolv.conf": "-> /run/NetworkManager/resolv.conf"},
			map[string]string{"etc/resolv.conf": "-> /run/NetworkManager/resolv.conf"},
		},
		"history": {
			map[string]string{"root/.bash_history": "p4ss", "home/u/.mysql_history": "x", "var/lib/one/.python_history": "y", "root/.bashrc": "r"},
			map[string]string{"root/.bashrc": "r", "home/u/": "", "var/lib/one/": ""},
		},
		"package-cache": {
			map[string]string{"var/lib/apt/lists/x_Packages": "x", "var/lib/apt/lists/partial/y": "y", "var/lib/apt/lists/lock": "", "var/cache/apt/archives/a.deb": "d"},
			map[string]string{"var/lib/apt/lists/partial/": "", "var/lib/apt/lists/lock": "", "var/cache/apt/archives/": ""},
		},
		"logs": {
			map[string]string{"var/log/syslog": "s", "var/log/syslog.1": "1", "var/log/nova/nova-api.log": "n", "var/log/nova/nova-api.log.2.gz": "z",
				"var/log/messages-20260101": "m", "var/log/journal/0123/system.journal": "j", "var/log/odd[1]*.log": "o", "var/log/empty.log": ""},
			map[string]string{"var/log/syslog": "", "var/log/nova/nova-api.log": "", "var/log/journal/0123/system.journal": "j", "var/log/odd[1]*.log": "", "var/log/empty.log": ""},
		},
		"tmp": {
			map[string]string{"tmp/x": "x", "tmp/.hidden/y": "y", "var/tmp/z": "z", "var/tmp/packstack/2026/manifests/nova_migration_key": "k", "run/a/b": "c"},
			map[string]string{"tmp/": "", "run/": "", "var/tmp/packstack/2026/manifests/nova_migration_key": "k"},
		},
		"random-seed": {
			map[string]string{"var/lib/systemd/random-seed": "\x01"},
			map[string]string{"var/lib/systemd/": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, dir := plant(t, c.before)
			op := operation(t, strings.Fields(name)[0])
			dry, err := Run(root, op, true)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.before, snapshot(t, dir)); diff != "" {
				t.Fatalf("a dry run changed something:\n%s", diff)
			}
			wet, err := Run(root, op, false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.after, snapshot(t, dir)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(dry, wet); diff != "" {
				t.Errorf("the dry run said something else:\n%s", diff)
			}
			again, err := Run(root, op, false)
			if err != nil || len(again.Paths) > 0 {
				t.Errorf("a second run changes %v, %v", again.Paths, err)
			}
		})
	}
}

func operation(t *testing.T, name string) Operation {
	t.Helper()
	i := slices.IndexFunc(All(), func(op Operation) bool { return op.Name == name })
	if i < 0 {
		t.Fatalf("no operation %s", name)
	}
	return All()[i]
}

// TestKeepList plants every kept path and runs every operation, the dangerous ones too.
func TestKeepList(t *testing.T) {
	files := map[string]string{"etc/": "", "usr/": "", "tmp/": ""}
	for _, k := range Kept {
		files[strings.ReplaceAll(k.Path, "*", "x")+"/kept"] = "state"
	}
	root, dir := plant(t, files)
	for _, op := range All() {
		if _, err := Run(root, op, false); err != nil {
			t.Fatal(err)
		}
	}
	after := snapshot(t, dir)
	for name, data := range files {
		if data != "" && after[name] != data {
			t.Errorf("%s is gone", name)
		}
	}
}

// TestUntrusted shows that links of a tree lead nowhere outside of it.
func TestUntrusted(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "syslog")
	if err := os.WriteFile(outside, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, _ := plant(t, map[string]string{
		"var/log":            "-> " + filepath.Dir(outside),
		"etc/machine-id":     "-> " + outside,
		"var/lib/dhcp":       "-> " + filepath.Dir(outside),
		"root/.bash_history": "-> " + outside,
		"var/lib/systemd/x":  "",
		"etc/resolv.conf":    "-> ../../../../../../.." + outside,
		"var/tmp":            "-> /",
	})
	for _, op := range All() {
		_, _ = Run(root, op, false) // links to nowhere are errors of some operations
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "mine" {
		t.Errorf("a file outside of the tree was changed: %q, %v", data, err)
	}
}

// TestChoose shows how the defaults are changed.
func TestChoose(t *testing.T) {
	ops, err := Choose([]string{"ssh-user-keys"}, []string{"logs"})
	if err != nil {
		t.Fatal(err)
	}
	names := Names(ops)
	if slices.Contains(names, "logs") || !slices.Contains(names, "ssh-user-keys") || slices.Contains(names, "snakeoil") {
		t.Errorf("chosen: %v", names)
	}
	if _, err := Choose([]string{"nonsense"}, []string{"rubbish"}); err == nil || !strings.Contains(err.Error(), "nonsense") || !strings.Contains(err.Error(), "rubbish") {
		t.Errorf("got %v", err)
	}
}

// TestCatalogue checks the catalogue: names, texts, patterns, and that what is off says why.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, op := range All() {
		if !regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(op.Name) || seen[op.Name] {
			t.Errorf("%q is no name, or there twice", op.Name)
		}
		seen[op.Name] = true
		if op.Short == "" || op.Off && op.Why == "" {
			t.Errorf("%s does not explain itself", op.Name)
		}
		if len(op.Remove)+len(op.Empty) == 0 && op.Do == nil {
			t.Errorf("%s does nothing", op.Name)
		}
		for _, p := range slices.Concat(op.Remove, op.Empty) {
			if _, err := path.Match(p, "x"); err != nil || strings.HasPrefix(p, "/") || path.Clean(p) != p {
				t.Errorf("%s: bad pattern %q", op.Name, p)
			}
		}
	}
	for _, k := range Kept {
		if _, err := path.Match(k.Path, "x"); err != nil || k.Why == "" || path.Clean(k.Path) != k.Path {
			t.Errorf("bad entry of the keep-list: %v", k)
		}
	}
}
