//go:build integration

package killmatrix

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/rewriters/rewritertest"
)

// snapshot returns every file with mode, owner and content, every row, every account and every OVS record. What firstboot
// keeps for itself is left out, but for the clone's secrets: it holds times.
func (l *lab) snapshot(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	check(t, filepath.WalkDir(l.root(), func(p string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(p, l.root())
		if err != nil || d.IsDir() || strings.HasPrefix(name, identity.StateDir) && name != identity.SecretsFile {
			return err
		}
		if strings.HasSuffix(name, "/conf.db") {
			out[name] = ovsContent(t, p)
			return nil
		}
		if strings.HasPrefix(filepath.Base(name), ".conf.db") {
			return nil // the lock file of ovsdb-tool
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		data, err := os.ReadFile(p)
		out[name] = fmt.Sprintf("%v %d:%d\n%s", info.Mode(), st.Uid, st.Gid, data)
		return err
	}))
	for name := range l.f.Tables {
		if file, _, ok := rewritertest.SQLiteTable(name); ok {
			out[file] = rewritertest.SQLite(t, filepath.Join(l.root(), file), ".dump") // its bytes count the transactions
			continue
		}
		if host.IsPostgres(name) {
			out["db "+name] = rewritertest.DumpPostgres(t, name, l.pg)
			continue
		}
		out["db "+name] = l.dump(t, "SELECT * FROM "+name)
	}
	if len(l.f.Users) > 0 {
		out["db users"] = l.dump(t, "SELECT user, host, authentication_string FROM mysql.user ORDER BY user, host")
	}
	return out
}

func ovsContent(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.Command("ovsdb-client", "dump", "file:"+file).CombinedOutput()
	if err != nil {
		out, err = exec.Command("ovsdb-tool", "query", file,
			`["Open_vSwitch",{"op":"select","table":"Bridge","where":[],"columns":["name","other_config"]},`+
				`{"op":"select","table":"Open_vSwitch","where":[],"columns":["external_ids"]}]`).CombinedOutput()
	}
	if err != nil {
		t.Fatalf("cannot read %s: %v\n%s", file, err, out)
	}
	return string(out)
}

// whole is a snapshot with the history that Open vSwitch's log keeps.
func (l *lab) whole(t *testing.T) map[string]string {
	t.Helper()
	out := l.snapshot(t)
	log, err := os.ReadFile(filepath.Join(l.root(), "etc/openvswitch/conf.db"))
	if err == nil {
		out["transactions in Open vSwitch's log"] = fmt.Sprint(bytes.Count(log, []byte("OVSDB JSON ")))
	}
	return out
}

func (l *lab) dump(t *testing.T, q string) string {
	t.Helper()
	rows, err := l.db.Query(q)
	check(t, err)
	defer rows.Close()
	cols, err := rows.Columns()
	check(t, err)
	var b strings.Builder
	for rows.Next() {
		vals, ptrs := make([]*string, len(cols)), make([]any, len(cols))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		check(t, rows.Scan(ptrs...))
		for i, v := range vals {
			if v == nil {
				fmt.Fprintf(&b, "%s=NULL ", cols[i])
			} else {
				fmt.Fprintf(&b, "%s=%s ", cols[i], *v)
			}
		}
		b.WriteByte('\n')
	}
	check(t, rows.Err())
	return b.String()
}
