package qemu

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestChoice shows when a kernel is tried, and when an earlier verdict holds.
func TestChoice(t *testing.T) {
	mine := `{"accel": "kvm", "host": "` + bootID() + `", "qemu": "` + program() + `"}`
	none, some := KernelIn(t.TempDir()), func(context.Context) (string, error) { return "/boot/vmlinuz-some", nil }
	for name, c := range map[string]struct {
		noDevice bool
		note     string
		kernel   Kernel
		boots    bool
		want     string
		tried    bool
		keeps    bool
	}{
		"no device":                         {noDevice: true, note: mine, kernel: some, boots: true, want: TCG},
		"it boots":                          {kernel: some, boots: true, want: KVM, tried: true, keeps: true},
		"it hangs":                          {kernel: some, want: TCG, tried: true, keeps: true},
		"known":                             {note: mine, kernel: some, want: KVM},
		"known of another boot of the host": {note: strings.Replace(mine, bootID(), "other", 1), kernel: some, want: TCG, tried: true, keeps: true},
		"known of another QEMU":             {note: strings.Replace(mine, program(), "other", 1), kernel: some, want: TCG, tried: true, keeps: true},
		"a note of an older goldsmith":      {note: "kvm\n", kernel: some, want: TCG, tried: true, keeps: true},
		"a note of something else":          {note: strings.Replace(mine, "kvm", "xen", 1), kernel: some, boots: true, want: KVM, tried: true, keeps: true},
		"nothing to try":                    {kernel: func(context.Context) (string, error) { return "", nil }, boots: true, want: TCG},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			note, device := filepath.Join(dir, "note"), filepath.Join(dir, "kvm")
			if !c.noDevice {
				write(t, device, "")
			}
			if c.note != "" {
				write(t, note, c.note)
			}
			tried := false
			got, err := choose(t.Context(), note, device, c.kernel, func(context.Context, string) bool { tried = true; return c.boots })
			if got != c.want || err != nil || tried != c.tried {
				t.Errorf("got %s, %v, tried %v", got, err, tried)
			}
			if !c.keeps {
				return
			}
			again, err := choose(t.Context(), note, device, none, func(context.Context, string) bool { t.Error("tried again"); return false })
			if again != c.want || err != nil {
				t.Errorf("the second time %s, %v", again, err)
			}
		})
	}
}

// TestACutTrialSaysNothing: what was interrupted must not be remembered as a failure.
func TestACutTrialSaysNothing(t *testing.T) {
	dir := t.TempDir()
	note, device := filepath.Join(dir, "note"), filepath.Join(dir, "kvm")
	write(t, device, "")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := choose(ctx, note, device, func(context.Context) (string, error) { return "k", nil }, func(context.Context, string) bool { cancel(); return false })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(note); err == nil {
		t.Error("it was remembered")
	}
}

func TestKernelIn(t *testing.T) {
	empty, full := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(full, "boot"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(full, "boot", "vmlinuz-1"), "")
	write(t, filepath.Join(full, "boot", "vmlinuz-2"), "")
	if got, err := KernelIn("", empty, full)(t.Context()); got != filepath.Join(full, "boot", "vmlinuz-2") || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestWhatDoesNotBoot: a file that is no kernel, and no QEMU at all, are no reason to wait.
func TestWhatDoesNotBoot(t *testing.T) {
	kernel := filepath.Join(t.TempDir(), "vmlinuz-none")
	write(t, kernel, strings.Repeat("no kernel", 1000))
	start := time.Now()
	if boots(t.Context(), TCG, kernel, time.Minute) || time.Since(start) > 30*time.Second {
		t.Errorf("booted, or took %s", time.Since(start))
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
