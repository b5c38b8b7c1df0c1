package install

import (
	"strings"
	"testing"

	"goldsmith/builder/tree"
)

// plugged is a tree with all that CheckVitastor asks for.
func plugged(t *testing.T) *tree.FS {
	t.Helper()
	root := opened(t)
	for _, s := range VitastorScripts() {
		put(t, root, remotes+"/"+s, "#!/bin/bash\n", 0o755)
	}
	put(t, root, "/etc/sudoers.d/opennebula-vitastor", "oneadmin ALL=(ALL) NOPASSWD: /usr/bin/vitastor-nbd\n", 0o440)
	put(t, root, "/var/lib/dpkg/status", "Package: qemu-system-x86\nVersion: 1:8.1+vitastor1\n\nPackage: libvirt0\nVersion: 9.0-4+vitastor3\n", 0o644)
	return root
}

func TestCheckVitastor(t *testing.T) {
	if n := len(VitastorScripts()); n != 3+10+23 {
		t.Errorf("%d scripts", n)
	}
	if err := CheckVitastor(plugged(t)); err != nil {
		t.Error(err)
	}
	for say, spoil := range map[string]func(*testing.T, *tree.FS){
		"cannot find script /var/lib/one/remotes/tm/vitastor/mvds": func(t *testing.T, r *tree.FS) { rm(t, r, remotes+"/tm/vitastor/mvds") },
		"does not name its interpreter": func(t *testing.T, r *tree.FS) {
			put(t, r, remotes+"/vmm/kvm/save.vitastor", "echo\n", 0o755)
		},
		"hint: chmod 755": func(t *testing.T, r *tree.FS) {
			if err := r.Chmod(remotes+"/datastore/vitastor/cp", 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"sudo ignores it": func(t *testing.T, r *tree.FS) {
			if err := r.Chmod("/etc/sudoers.d/opennebula-vitastor", 0o666); err != nil {
				t.Fatal(err)
			}
		},
		"right to run vitastor-nbd": func(t *testing.T, r *tree.FS) { rm(t, r, "/etc/sudoers.d") },
		"qemu-system-x86 1:7.2 cannot open": func(t *testing.T, r *tree.FS) {
			put(t, r, "/var/lib/dpkg/status", "Package: qemu-system-x86\nVersion: 1:7.2\n", 0o644)
		},
	} {
		root := plugged(t)
		spoil(t, root)
		if err := CheckVitastor(root); err == nil || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "\ncannot") {
			t.Errorf("error %v, want one that says %q", err, say)
		}
	}
}
