//go:build integration

package interfaces_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goldsmith/firstboot/text/interfaces"
)

// ifquery returns what ifupdown itself makes of the file: "option: value" lines of one interface.
func ifquery(t *testing.T, data, name string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "interfaces")
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("ifquery")
	if err != nil {
		t.Fatalf("%v\nhint: apt-get install ifupdown", err)
	}
	out, err := exec.Command(path, "-i", file, name).CombinedOutput()
	return string(out), err
}

// What ifupdown refuses, we refuse; of what it reads, it sees our change.
func TestReadsAsIfupdown(t *testing.T) {
	const head = "iface a inet manual\n"
	for _, tc := range []struct {
		in string
		ok bool
	}{
		{head + " mtu 1500\n up x \\\n y\n", true}, {head + "# c \\\n mtu 3\n", true}, {head + "\n\n mtu 3 # x\n", true},
		{"auto a\r\niface a inet manual\r\n mtu 3\r\n", true}, {head + " up x\n up y\n", true},
		{head + " mtu\n", false}, {"mtu 1\n" + head, false}, {"iface a inet\n", false}, {head + "auto a\n mtu 1\n", false}, {"frob x\n" + head, false},
		{"mapping e*\n mtu 1\n" + head, false}, {"template a inet dhcp\n" + head, false},
	} {
		out, err := ifquery(t, tc.in, "a")
		entries, oursErr := interfaces.Codec.List([]byte(tc.in))
		if (err == nil) != tc.ok || (oursErr == nil) != tc.ok {
			t.Errorf("%q: ifupdown says %v %s, we say %v", tc.in, err, out, oursErr)
			continue
		}
		var values []string
		for _, e := range entries {
			if option, ok := strings.CutPrefix(e.Key, "iface a inet "); ok && option != "method" {
				values = append(values, e.Value)
			}
		}
		for _, v := range values {
			if !slices.ContainsFunc(strings.Split(out, "\n"), func(l string) bool { return strings.HasSuffix(l, v) }) {
				t.Errorf("%q: ifupdown has no value %q in\n%s", tc.in, v, out)
			}
		}
		if !tc.ok {
			continue
		}
		data, err := interfaces.Codec.Set([]byte(tc.in), "iface a inet mtu", "1400")
		if err != nil {
			t.Errorf("%q: %v", tc.in, err)
			continue
		}
		if out, err = ifquery(t, string(data), "a"); err != nil || !strings.Contains(out, "mtu: 1400\n") {
			t.Errorf("%v: ifupdown reads %q as\n%s", err, data, fmt.Sprint(out))
		}
	}
}
