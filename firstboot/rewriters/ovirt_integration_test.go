//go:build integration

package rewriters

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"goldsmith/firstboot/host/hosttest"
)

// TestVerifierLogsIn: a real server takes what pgVerifier makes, and refuses another password.
func TestVerifierLogsIn(t *testing.T) {
	sock := hosttest.Postgres(t)
	for kind, method := range map[string]string{"SCRAM-SHA-256$": "scram-sha-256", "md5": "md5"} {
		verifier, err := pgVerifier(kind, "engine", "the clone's own", []byte("0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		hba := filepath.Join(sock, "data", "pg_hba.conf")
		if err := os.WriteFile(hba, []byte("local all engine "+method+"\nlocal all all trust\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		hosttest.PSQL(t, sock, "postgres", "DROP ROLE IF EXISTS engine; CREATE ROLE engine LOGIN; UPDATE pg_authid SET rolpassword='"+verifier+"' WHERE rolname='engine'; SELECT pg_reload_conf();")
		for password, works := range map[string]bool{"the clone's own": true, "golden": false} {
			cmd := exec.Command("psql", "-XAqtw", "-U", "engine", "-h", sock, "-d", "postgres", "-c", "SELECT 'in'")
			cmd.Env = []string{"PATH=/usr/bin:/bin", "PGPASSWORD=" + password}
			out, err := cmd.CombinedOutput()
			if (err == nil && strings.TrimSpace(string(out)) == "in") != works {
				t.Errorf("%s with %q: %v\n%s", method, password, err, out)
			}
		}
	}
}
