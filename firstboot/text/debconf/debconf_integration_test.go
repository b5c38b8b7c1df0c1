//go:build integration

package debconf_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"goldsmith/firstboot/text/debconf"
)

// ask starts debconf itself on a database of its own and returns what it answers to one command.
func ask(t *testing.T, config, command string) string {
	t.Helper()
	dir := t.TempDir()
	rc := "Config: config\nTemplates: templates\n\nName: config\nDriver: File\nFilename: " + dir + "/config.dat\n\n" +
		"Name: templates\nDriver: File\nFilename: " + dir + "/templates.dat\n"
	for name, content := range map[string]string{"debconf.conf": rc, "config.dat": config, "templates.dat": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("debconf-communicate")
	cmd.Env = append(os.Environ(), "DEBCONF_SYSTEMRC="+dir+"/debconf.conf", "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdin = strings.NewReader(command + "\n")
	out, err := cmd.Output()
	if err != nil && len(out) == 0 {
		t.Fatalf("debconf-communicate: %v", err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

func TestDebconfReadsWhatWasSet(t *testing.T) {
	in := []byte(sample(t, "config.dat"))
	for _, key := range []string{"nova/my-ip", "neutron-openvswitch-agent/overlay-int-ip-address"} {
		for _, value := range []string{"10.77.0.9", " padded ", `back\slash`, "a: b", "Ünïcode"} {
			out, err := debconf.Codec.Set(in, key, value)
			if err != nil {
				t.Fatal(err)
			}
			if got := ask(t, string(out), "GET "+key); got != "0 "+value {
				t.Errorf("%s set to %q: debconf says %q", key, value, got)
			}
		}
	}
	out, err := debconf.Codec.Set(in, "nova/my-ip", "10.77.0.9")
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, string(out), "FGET nova/my-ip seen"); got != "0 true" {
		t.Errorf("the flag is lost: %q", got)
	}
}

func TestDebconfReadsLikeUs(t *testing.T) {
	for _, key := range []string{"a/lower", "a/empty", "a/twice"} {
		want, _, err := debconf.Codec.Get([]byte(dialect), key)
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, dialect, "GET "+key); got != "0 "+want {
			t.Errorf("%s: debconf says %q, we read %q", key, got, want)
		}
	}
}
