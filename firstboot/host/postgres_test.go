package host

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestPsqlRunsAsTheServersUser: by the machine's own list of users, and by nobody else's.
func TestPsqlRunsAsTheServersUser(t *testing.T) {
	h, _ := tree(t, map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\npostgres2:x:9:9::/:/bin/sh\npostgres:x:26:27:PostgreSQL Server:/var/lib/pgsql:/bin/bash\n"})
	cmd := exec.Command("psql")
	if err := h.asPostgres(cmd); err != nil || cmd.SysProcAttr.Credential.Uid != 26 || cmd.SysProcAttr.Credential.Gid != 27 {
		t.Errorf("%v %+v", err, cmd.SysProcAttr)
	}
	h, _ = tree(t, map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\n"})
	if err := h.asPostgres(exec.Command("psql")); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("without that user: %v", err)
	}
}

func TestATreeHasNoPostgres(t *testing.T) {
	h, _ := tree(t, nil)
	if _, err := h.Rows(t.Context(), PostgresSchema("engine"), "t", "id"); !errors.Is(err, ErrNoDatabase) || !strings.Contains(err.Error(), "a tree has none") {
		t.Errorf("%v", err)
	}
	for name, c := range map[string]struct{ table, column string }{"a table": {"t; DROP", "id"}, "a column": {"t", `i"d`}} {
		if _, err := h.Rows(t.Context(), PostgresSchema("engine"), c.table, c.column); err == nil || !strings.Contains(err.Error(), "SQL identifier") {
			t.Errorf("%s of no stack's: %v", name, err)
		}
	}
	if _, err := h.Rows(t.Context(), PostgresSchema("engine"), "t"); err == nil || !strings.Contains(err.Error(), "no column is named") {
		t.Errorf("no columns: %v", err)
	}
}
