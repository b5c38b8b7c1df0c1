//go:build clones

package vlan

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// A goldsmith killed between the file of a name and the mount on it leaves a file that is no namespace.
func TestANamespaceCutHalfWayIsRemoved(t *testing.T) {
	l := NewLab("halfway", netip.MustParsePrefix(DefaultSubnet), t.TempDir())
	if err := nameNamespace(l.Namespace); err != nil { // makes the folder of names as well
		t.Fatal(err)
	}
	path := filepath.Join(namespaces, l.Namespace)
	t.Cleanup(func() { os.Remove(path) })
	for _, cut := range []func() error{func() error { return nil }, func() error { return os.WriteFile(path, nil, 0o444) }} {
		if err := cut(); err != nil {
			t.Fatal(err)
		}
		if err := l.Down(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Fatalf("%s is still there: %v", path, err)
		}
	}
	if err := l.Down(t.Context()); err != nil {
		t.Errorf("a lab that is gone: %v", err)
	}
}
