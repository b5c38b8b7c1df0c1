package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

func TestSortFaults(t *testing.T) {
	bad := errors.New("bad file")
	socket := fmt.Errorf("%w: %w", host.ErrNoOVS, fs.ErrNotExist)
	for _, c := range []struct {
		name    string
		err     error
		refused int
		unseen  bool
	}{
		{"nothing", nil, 0, false},
		{"only wrong", fmt.Errorf("cannot plan x: %w", bad), 1, false},
		{"only offline", fmt.Errorf("cannot plan x: %w", fmt.Errorf("%w: a tree has none", host.ErrNoDatabase)), 0, true},
		{"offline, with a cause", fmt.Errorf("cannot plan x: %w", socket), 0, true},
		{"both", fmt.Errorf("cannot plan x: %w", errors.Join(bad, socket, fmt.Errorf("y: %w", bad))), 2, true},
	} {
		refused, unseen := sortFaults(c.err)
		if len(refused) != c.refused || unseen != c.unseen {
			t.Errorf("%s: %v, %v", c.name, refused, unseen)
		}
	}
}

func treeOf(t *testing.T, files map[string]string) *tree.FS {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func golden(stacks ...string) identity.Imprint {
	baked := identity.Marker()
	baked.Hostname, baked.Domain = "cloud0", ""
	baked.NICs = []identity.NIC{{Name: "ens3", MAC: "52:54:00:00:00:01"}}
	return identity.Imprint{Format: identity.ImprintFormat, Image: "golden", Baked: baked, Stacks: stacks}
}

func TestTrialSeesFilesAndSaysWhatItCannotSee(t *testing.T) {
	imp := golden("keystone", "glance")
	root := treeOf(t, map[string]string{
		"etc/hostname": "cloud0\n", "etc/hosts": imp.Baked.Address.String() + " cloud0\n",
		"etc/glance/glance-api.conf": "[DEFAULT]\nbind_host = " + imp.Baked.Address.String() + "\n",
	})
	run, err := runTrial(t.Context(), root, imp)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range run.Changes {
		ids = append(ids, c.ID())
	}
	for _, want := range []string{"file:/etc/hosts", "ini:/etc/glance/glance-api.conf [DEFAULT] bind_host"} {
		if !slices.Contains(ids, want) {
			t.Errorf("no %s among %v", want, ids)
		}
	}
	if !slices.Contains(run.Unseen, "keystone") || slices.Contains(run.Unseen, "glance") {
		t.Errorf("unseen: %v", run.Unseen)
	}
}

func TestTrialRefusesWhatEveryCloneWouldRefuse(t *testing.T) {
	imp := golden()
	root := treeOf(t, map[string]string{
		"etc/network/interfaces": "iface ens3 inet static\n address " + imp.Baked.Address.String() + "/24\n",
	})
	_, err := runTrial(t.Context(), root, imp)
	if report.CodeOf(err) != report.Refused || !strings.Contains(err.Error(), "use DHCP in the image") {
		t.Errorf("got %v", err)
	}
}
