package install

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
)

// smallRoot is a tree with one user.
func smallRoot(t *testing.T) *tree.FS {
	t.Helper()
	root := opened(t)
	put(t, root, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nkeystone:x:64:65::/:/bin/false\n", 0o644)
	put(t, root, "/etc/group", "root:x:0:\nkeystone:x:65:\nadm:x:4:keystone\n", 0o644)
	return root
}

// TestPutFiles shows owners by the names of the tree, modes with set-id bits, and all mistakes at once.
func TestPutFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	root := smallRoot(t)
	err := PutFiles(root, []recipe.File{
		{Path: "/etc/k/conf", Content: "x", Mode: 0o640, Owner: "root:keystone"},
		{Path: "/usr/bin/tool", Content: "y", Mode: 0o4755, Owner: "keystone"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"etc/k/conf": 0o640, "usr/bin/tool": 0o755 | fs.ModeSetuid} {
		if st, err := root.Stat(name); err != nil || st.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, st, err, want)
		}
	}
	err = PutFiles(root, []recipe.File{{Path: "/a", Owner: "nobody-here"}, {Path: "/b", Owner: "root:no-group"}})
	if err == nil || !strings.Contains(err.Error(), `etc/passwd has no "nobody-here"`) || !strings.Contains(err.Error(), `etc/group has no "no-group"`) {
		t.Errorf("got %v", err)
	}
}

// TestPutIdentity shows the marker in the three places that name a machine.
func TestPutIdentity(t *testing.T) {
	root := smallRoot(t)
	if err := PutIdentity(root, identity.Marker()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"etc/hostname":   "goldsmith-marker\n",
		"etc/machine-id": identity.Marker().MachineID + "\n",
		"etc/hosts":      "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n198.51.100.77\tgoldsmith-marker.invalid goldsmith-marker\n",
	} {
		if data, err := root.ReadFile(name); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}
