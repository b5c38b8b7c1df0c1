package process

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	tests := []struct {
		name, line string
		want       stat
		wantErr    bool
	}{
		{"plain", "42 (sleep) S 1 42 42 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 98765 0 0", stat{"sleep", 'S', 98765}, false},
		{"name with a parenthesis and blanks", "42 (a) R (b) Z 1 42 42 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0", stat{"a) R (b", 'Z', 7}, false},
		{"cut short", "42 (sleep) S 1 42", stat{}, true},
		{"no name", "42 S 1", stat{}, true},
		{"start is no number", "42 (x) S 1 42 42 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 x 0 0", stat{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStat([]byte(tt.line))
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("got %+v, %v; want %+v, error %t", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a) R (b) Z 1 42 42 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, b []byte) { parseStat(b) })
}

func TestProcessIsFoundAgainAndEnded(t *testing.T) {
	var id ID
	err := StartGated([]string{"sleep", "60"}, Options{}, func(p ID) error { id = p; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if !id.Alive() {
		t.Fatal("not alive after the start")
	}
	other := id
	other.Start++
	if other.Alive() {
		t.Error("a process with another start time passes for this one")
	}
	if err := other.Signal(syscall.SIGKILL); err != nil || !id.Alive() {
		t.Errorf("the signal for a recycled pid hit this process (%v)", err)
	}
	if err := id.Kill(t.Context()); err != nil || id.Alive() {
		t.Errorf("alive after Kill (%v)", err)
	}
	if err := id.Kill(t.Context()); err != nil {
		t.Errorf("ending it twice: %v", err)
	}
}

func TestNothingRunsThatNobodyKnowsOf(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "ran")
	refusal := errors.New("disk full")
	var id ID
	err := StartGated([]string{"touch", mark}, Options{}, func(p ID) error { id = p; return refusal })
	if !errors.Is(err, refusal) {
		t.Fatalf("got %v, want the refusal", err)
	}
	if !id.Gone(t.Context(), 5*time.Second) {
		t.Error("the gate stayed behind")
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the program ran although recording it failed")
	}
}
