package seal

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"

	"goldsmith/firstboot/rewriters"
)

// pinned is what files hold that are edited rather than removed.
var pinned = map[string]string{
	"etc/sysconfig/network-scripts/ifcfg-eth0": "HWADDR=52:54:00:00:00:01\nDEVICE=eth0\nDHCP_HOSTNAME=golden\n",
	"etc/libvirt/libvirtd.conf":                "host_uuid = \"1\"\n",
}

// TestNothingOfVirtSysprepIsForgotten holds the list of what virt-sysprep does, and of what it should, against the
// catalogue: every row is done by the operation that it names, or is left for the reason that it names.
func TestNothingOfVirtSysprepIsForgotten(t *testing.T) {
	f, err := os.Open("testdata/virt-sysprep.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cell := strings.Split(line, "|")
		if len(cell) != 3 {
			t.Fatalf("a row of %d cells: %s", len(cell), line)
		}
		for i := range cell {
			cell[i] = strings.TrimSpace(cell[i])
		}
		seen[cell[0]] = true
		checkRow(t, cell[0], strings.Fields(cell[1]), cell[2])
	}
	if len(seen) < 46 {
		t.Errorf("only %d operations of virt-sysprep are in the list", len(seen))
	}
}

func checkRow(t *testing.T, row string, paths []string, by string) {
	t.Helper()
	if what, ok := strings.CutPrefix(by, "left: "); ok {
		if !slices.ContainsFunc(LeftAlone, func(l Left) bool { return l.What == what && l.Why != "" }) {
			t.Errorf("%s: no reason is given for %q", row, what)
		}
		return
	}
	if name, ok := strings.CutPrefix(by, "firstboot: "); ok {
		if !slices.ContainsFunc(rewriters.All(), func(r rewriters.Rewriter) bool { return r.Name == name }) {
			t.Errorf("%s: firstboot has no rewriter %q", row, name)
		}
		return
	}
	for _, p := range paths {
		spared := strings.HasPrefix(p, "{")
		p = strings.Trim(p, "{}")
		if by == "kept" {
			if !kept(p) {
				t.Errorf("%s: /%s is not on the keep-list", row, p)
			}
			continue
		}
		if got := touches(t, by, p); got == spared {
			t.Errorf("%s: operation %s touches /%s: %v", row, by, p, got)
		}
	}
}

// touches plants a file and tells whether the operation names it.
func touches(t *testing.T, name, p string) bool {
	t.Helper()
	op := operation(t, name)
	text := pinned[p]
	if text == "" {
		text = "golden\n"
	}
	files := map[string]string{"etc/": "", p: text}
	if name == "unconfigured" {
		delete(files, p)
	}
	root, dir := plant(t, files)
	res, err := Run(root, op, false)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(res.Paths, func(done string) bool { return done == "/"+p || strings.HasPrefix("/"+p, done+"/") }) &&
		snapshot(t, dir)[p] != text
}

// TestUnwelcomeOperationsAreOff shows that nothing runs by default that would take the machine's work away.
func TestUnwelcomeOperationsAreOff(t *testing.T) {
	for _, name := range []string{"unconfigured", "kerberos-kdc", "nic-pins", "hostname-pins", "ssh-user-keys", "subscription", "snakeoil"} {
		if !operation(t, name).Off {
			t.Errorf("%s is on", name)
		}
	}
}
