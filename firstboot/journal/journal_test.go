package journal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T, name string) *Journal {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	j, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestDebtsOutliveTheRun(t *testing.T) {
	name := filepath.Join(t.TempDir(), "journal")
	j := open(t, name)
	check(t, j.Begin("settings /etc/nova/nova.conf", []string{"nova-api", "nova-compute"}, nil))
	check(t, j.Begin("schema keystone", []string{"keystone", "nova-api"}, nil))
	check(t, j.Pay("nova-compute"))
	check(t, j.Close())

	j = open(t, name)
	if d := cmp.Diff([]string{"nova-api", "keystone"}, j.Owed()); d != "" {
		t.Error(d)
	}
	check(t, j.Pay("nova-api", "keystone"))
	check(t, j.Close())
	if info, err := os.Stat(name); err != nil || info.Size() != 0 {
		t.Errorf("a journal without debts is not empty: %v %v", info.Size(), err)
	}
}

func TestADebtMadeAgainAfterItsPaymentIsOwed(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal"))
	check(t, j.Begin("a", []string{"u"}, nil))
	check(t, j.Pay("u"))
	check(t, j.Begin("b", []string{"u"}, nil))
	if d := cmp.Diff([]string{"u"}, j.Owed()); d != "" {
		t.Error(d)
	}
}

// A cut while a line is written leaves any prefix of it. Every prefix of a journal must open, and must know at least the
// debts of its whole lines.
func TestEveryPrefixOpens(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "whole")
	j := open(t, name)
	check(t, j.Begin("a", []string{"u1"}, nil))
	check(t, j.Begin("in place /etc/hosts", nil, &Redo{Path: "/etc/hosts", Data: []byte("127.0.0.1 x\n")}))
	check(t, j.Done("in place /etc/hosts"))
	check(t, j.Pay("u1"))
	data, err := os.ReadFile(name)
	check(t, err)
	for n := range len(data) + 1 {
		cutName := filepath.Join(dir, "cut")
		check(t, os.WriteFile(cutName, data[:n], 0o600))
		j := open(t, cutName)
		lines := strings.Count(string(data[:n]), "\n")
		if wantOwed := lines >= 1 && lines < 4; (len(j.Owed()) == 1) != wantOwed {
			t.Fatalf("%d bytes, %d lines: owed %v", n, lines, j.Owed())
		}
		if wantRedo := lines == 2; (len(j.Redos()) == 1) != wantRedo {
			t.Fatalf("%d bytes, %d lines: redo %v", n, lines, j.Redos())
		}
		check(t, j.Begin("next", []string{"u9"}, nil))
		check(t, j.Close())
		if got := open(t, cutName).Owed(); got[len(got)-1] != "u9" {
			t.Fatalf("%d bytes: a line after the torn one is lost: %v", n, got)
		}
	}
}

func TestGarbageInTheMiddleIsAnError(t *testing.T) {
	name := filepath.Join(t.TempDir(), "journal")
	check(t, os.WriteFile(name, []byte("{\"begin\":\"a\"}\nrubbish\n{\"begin\":\"b\"}\n"), 0o600))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	check(t, err)
	if _, err := Open(f); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("opened with %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("{\"begin\":\"a\",\"owes\":[\"u\"]}\n{\"paid\":[\"u\"]}\n"))
	f.Add([]byte("{\"redo\":{\"path\":\"/x\",\"data\":\"AAAA\"}}\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		name := filepath.Join(t.TempDir(), "journal")
		check(t, os.WriteFile(name, data, 0o600))
		file, err := os.OpenFile(name, os.O_RDWR, 0)
		check(t, err)
		j, err := Open(file)
		if err != nil {
			return
		}
		check(t, j.Pay(j.Owed()...))
		check(t, j.Begin("x", []string{"unit"}, nil))
		if got := j.Owed(); len(got) != 1 || got[0] != "unit" {
			t.Errorf("owed %v", got)
		}
		check(t, j.Close())
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
