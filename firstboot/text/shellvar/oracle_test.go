//go:build integration

package shellvar_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"goldsmith/firstboot/text/shellvar"
)

// sourced returns what the shell has in the variable after it read the script.
func sourced(t *testing.T, shell, script, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(shell, "-c", `. "$1" >/dev/null 2>&1; eval "printf '%s' \"\$$2\""`, "sh", file, name)
	cmd.Env, cmd.Dir = []string{"PATH=/usr/bin:/bin"}, filepath.Dir(file)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", shell, err)
	}
	return string(out)
}

// What we read, the shells have; what we wrote, they read.
func TestReadsAsShells(t *testing.T) {
	values := []string{"", "b", "two words", " padded ", `say "hi"`, "it's", "$HOME `id` $(id) \\", "a#b ;c", "~x", "*", "!x", "ü", "a=b"}
	for _, tc := range readable {
		if strings.HasPrefix(tc.name, "declare") || tc.name == "subscripts of something else" || tc.name == "functions" {
			continue // bash only
		}
		for name, want := range tc.want {
			for _, shell := range []string{"bash", "dash"} {
				if got := sourced(t, shell, tc.in, name); got != want {
					t.Errorf("%s: %s has %s=%q, want %q", tc.name, shell, name, got, want)
				}
			}
		}
	}
	for _, in := range []string{"A=b\n", "A='b'\n", "A=\"b\"\n", "export B=1 A=c D=2\n", "", "export B=1\n"} {
		for _, v := range values {
			out, err := shellvar.Codec.Set([]byte(in), "A", v)
			if err != nil {
				t.Fatal(err)
			}
			for _, shell := range []string{"bash", "dash"} {
				if got := sourced(t, shell, string(out), "A"); got != v {
					t.Errorf("%s reads %q as %q, want %q", shell, out, got, v)
				}
			}
		}
	}
}
