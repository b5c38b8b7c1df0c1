package implant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
)

// enforcing is a tree with a policy; with labels, its folders have contexts. Only root may set them.
func enforcing(t *testing.T, labels bool) (*tree.FS, string) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string]string{
		"etc/selinux/config": "# comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n",
		"etc/selinux/targeted/contexts/files/file_contexts.local": "/old\t--\tsystem_u:object_r:old_t:s0",
		"usr/bin/true": "", "usr/lib/goldsmith/firstboot": "", "etc/goldsmith/imprint.json": "",
	} {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if labels {
		for name, kind := range map[string]string{".": "root_t", "etc": "etc_t", "usr": "usr_t", "usr/lib": "lib_t", "usr/bin/true": "bin_t"} {
			err := unix.Lsetxattr(filepath.Join(dir, name), selinuxAttr, []byte("system_u:object_r:"+kind+":s0\x00"), 0)
			if err != nil {
				t.Skipf("this file system or user cannot set SELinux contexts: %v", err)
			}
		}
	}
	root, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

var written = []string{identity.Binary, identity.ImprintFile}

func TestLabelsFollowTheNeighbours(t *testing.T) {
	root, _ := enforcing(t, true)
	for range 2 {
		said, err := Label(root, written)
		if err != nil || !strings.Contains(said, "like the neighbours'") {
			t.Fatalf("%q, %v", said, err)
		}
	}
	for name, want := range map[string]string{identity.ImprintFile: "etc_t", "/etc/goldsmith": "etc_t", "/usr/lib/goldsmith": "lib_t", identity.Binary: "bin_t"} {
		if got := string(contextOf(root, name)); !strings.Contains(got, want) {
			t.Errorf("%s has %q, want %s", name, got, want)
		}
	}
	local, err := root.ReadFile("etc/selinux/targeted/contexts/files/file_contexts.local")
	if want := "/old\t--\tsystem_u:object_r:old_t:s0\n" + identity.Binary + "\t--\tsystem_u:object_r:bin_t:s0\n"; string(local) != want || err != nil {
		t.Errorf("local rules: %q, %v", local, err)
	}
}

func TestUnlabelledTreeIsLabelledAtBoot(t *testing.T) {
	root, dir := enforcing(t, false)
	said, err := Label(root, written)
	if err != nil || !strings.Contains(said, "/.autorelabel") {
		t.Fatalf("%q, %v", said, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".autorelabel")); err != nil {
		t.Error(err)
	}
}

func TestNoPolicyNoLabels(t *testing.T) {
	for _, config := range []string{"", "SELINUX=disabled\nSELINUXTYPE=targeted\n"} {
		root, dir := enforcing(t, false)
		if err := os.WriteFile(filepath.Join(dir, "etc/selinux/config"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		if said, err := Label(root, written); said != "" || err != nil || root.Exists(".autorelabel") {
			t.Errorf("%q: %q, %v", config, said, err)
		}
	}
}
