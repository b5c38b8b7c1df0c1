//go:build clones

package fleet_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
)

// TestClonesThatStayGoldenFailTheProof clones a machine that was not sealed, with firstboot switched off: the clones
// answer, and are all the same.
func TestClonesThatStayGoldenFailTheProof(t *testing.T) {
	b := bench(t)
	o := order(t, b, "golden", 2)
	o.Image.Root, o.Off = unsealed(t), true
	s := spawn(t, b, o)
	booted(t, s)
	p, err := b.Verify(t.Context(), "golden", patience, nil)
	if report.CodeOf(err) != report.Unverified {
		t.Fatalf("clones that stayed golden passed: %v", err)
	}
	clashes := map[string]bool{}
	for _, k := range p.Clashes {
		clashes[k.Probe] = true
	}
	for _, want := range []string{"machine-id", "ssh host key"} {
		if !clashes[want] {
			t.Errorf("nobody noticed that they share one %s: %v", want, err)
		}
	}
	if !strings.Contains(err.Error(), "golden-1 and golden-2 share one machine-id: 0123456789abcdef0123456789abcdef") {
		t.Errorf("the error does not say who shares what: %v", err)
	}
}

// unsealed copies the small tree and gives it an identity.
func unsealed(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	if out, err := exec.Command("cp", "-a", "--reflink=auto", drivertest.SmallTree(t), root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	id := filepath.Join(root, "etc/machine-id")
	if err := os.WriteFile(id, []byte("0123456789abcdef0123456789abcdef\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(root, "etc/ssh/ssh_host_ed25519_key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return root
}

// booted waits until systemd has started all that it wants to, and the clone has an address.
func booted(t *testing.T, s *fleet.State) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for i, c := range s.Clones {
		for {
			cmd, err := s.Command(t.Context(), c, "systemctl", "is-system-running", "--wait")
			if err == nil {
				cmd.Run() // "degraded" is an answer, too
				all, err := s.Look(t.Context(), s.Clones[i:i+1])
				if err == nil && all[0].Address.IsValid() {
					break
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s has no address after a minute (%v)", c.Name, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// cloud returns the baked OpenStack image of this bench. It is made by "make demo", and by no test: a bake needs a mirror.
func cloud(t *testing.T) driver.Image {
	t.Helper()
	home := os.Getenv("GOLDSMITH_HOME")
	if home == "" {
		home = "/var/lib/goldsmith"
	}
	im, err := fleet.Bench{Home: home}.Image("openstack-debian")
	if err != nil || im.Root == "" {
		t.Fatalf("no OpenStack image on this bench: %v\nhint: goldsmith bake openstack-debian", err)
	}
	return im
}

func TestOpenStackClonesPassTheProof(t *testing.T) {
	t.Parallel()
	b := bench(t)
	o := fleet.Order{Name: "cloud", Image: cloud(t), Count: 2, Driver: driver.Nspawn{}, Lab: lab("cloud"), Phone: true}
	s := spawn(t, b, o)
	if _, err := b.Wait(t.Context(), "cloud", 5*time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Clones { // firstboot posts its report before it writes the file that Wait has read
		var r report.Report
		data, err := os.ReadFile(filepath.Join(c.Dir, "phoned.json"))
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err != nil || r.State != report.Ready || r.Identity.Hostname != c.Name {
			t.Errorf("%s phoned %s as %s, %v", c.Name, r.State, r.Identity.Hostname, err)
		}
	}
	p, err := b.Verify(t.Context(), "cloud", 5*time.Minute, func(what string) { t.Log(what) })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Clones {
		for _, a := range c.Answers {
			absent := []string{"node id", "prefix", "nova", "neutron", "server", "engine", "engine ca"} // not in this image
			if a.Verdict != report.Pass && !slices.Contains(absent, a.Probe) {
				t.Errorf("%s: %+v", c.Clone, a)
			}
		}
	}
	all, err := s.Look(t.Context(), s.Clones)
	if err != nil {
		t.Fatal(err)
	}
	s.Knock(t.Context(), all)
	for _, st := range all {
		if len(st.Up) != 4 || len(st.Down) > 0 {
			t.Errorf("%s: up %v, down %v", st.Clone, st.Up, st.Down)
		}
	}
}

func TestOpenStackClonesThatAreNotRewrittenFailTheProof(t *testing.T) {
	t.Parallel()
	b := bench(t)
	o := fleet.Order{Name: "unwritten", Image: cloud(t), Count: 2, Driver: driver.Nspawn{}, Lab: lab("unwritten"), Off: true}
	s := spawn(t, b, o)
	booted(t, s)
	_, err := b.Verify(t.Context(), "unwritten", 2*time.Minute, nil)
	if report.CodeOf(err) != report.Unverified || !strings.Contains(err.Error(), "keystone") {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}
