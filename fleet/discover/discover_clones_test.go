//go:build clones

package discover_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goldsmith/fleet/discover"
	"goldsmith/fleet/vlan"
)

const hosts = 60

// wire makes a /22 with hosts machines on it: namespaces that hold nothing but an address. Every third stands a whole
// octet further, so that the sweep has to cross it.
func wire(t *testing.T) (vlan.Network, netip.Prefix, map[string]string) {
	t.Helper()
	subnet := netip.MustParsePrefix("10.88.8.0/22")
	lab := vlan.NewLab(fmt.Sprint("test-discover-", os.Getpid()), subnet, t.TempDir())
	t.Cleanup(func() {
		if err := lab.Down(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := lab.Up(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for n := range hosts {
		mac, address := fmt.Sprintf("52:54:00:00:01:%02x", n), fmt.Sprintf("10.88.%d.%d", 8+n%3, 2+n)
		ns, err := vlan.NewNamespace()
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(ns), "network namespace")
		t.Cleanup(func() { f.Close() })
		if err := lab.Plug(fmt.Sprintf("td%d", n), mac, int(ns)); err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("ip addr add %s/22 dev host0 && ip link set host0 up", address)
		cmd := exec.Command("nsenter", fmt.Sprintf("--net=/proc/self/fd/%d", 3), "sh", "-ec", script)
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want[mac] = address
	}
	return lab.Network, subnet, want
}

func TestSweepFindsWhatNmapFinds(t *testing.T) {
	n, subnet, want := wire(t)
	w, err := discover.Open(n, false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	began := time.Now()
	list, err := w.Sweep(t.Context(), subnet)
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, h := range list {
		got[h.MAC] = h.Address.String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	began = time.Now()
	nmap := nmap(t, n, subnet)
	t.Logf("a /22 with %d hosts: %s, nmap -sn %s", hosts, took, time.Since(began))
	if diff := cmp.Diff(nmap, got); diff != "" {
		t.Errorf("nmap found something else: %s", diff)
	}
	if took > 3*time.Second {
		t.Errorf("the sweep took %s", took)
	}
}

// nmap asks the same of the peer.
func nmap(t *testing.T, n vlan.Network, subnet netip.Prefix) map[string]string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", n.Namespace, "nmap", "-sn", "-n", subnet.String()).Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	pair := regexp.MustCompile(`report for (\S+)\nHost is up[^\n]*\nMAC Address: (\S+)`)
	for _, m := range pair.FindAllStringSubmatch(string(out), -1) {
		found[strings.ToLower(m[2])] = m[1]
	}
	return found
}

func TestListenHearsALease(t *testing.T) {
	n, _, _ := wire(t)
	w, err := discover.Open(n, true)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ns, err := vlan.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(ns), "network namespace")
	defer f.Close()
	const mac = "52:54:00:00:02:01"
	if err := n.Plug("tdlease", mac, int(ns)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command("nsenter", "--net=/proc/self/fd/3", "sh", "-ec",
		"ip link set host0 up && timeout 15 dhclient -1 -sf /bin/true -lf "+dir+"/l -pf "+dir+"/p host0")
	cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var heard []discover.Host
	done := make(chan error, 1)
	go func() {
		done <- w.Listen(ctx, func(h discover.Host) {
			if heard = append(heard, h); h.MAC == mac && h.By == "dhcp" {
				cancel()
			}
		})
	}()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(heard, func(h discover.Host) bool { return h.MAC == mac && h.By == "dhcp" && h.Address.Is4() }) {
		t.Errorf("the lease was not heard: %v", heard)
	}
	exec.Command("dhclient", "-x", "-pf", dir+"/p").Run()
}
