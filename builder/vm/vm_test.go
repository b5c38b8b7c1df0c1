package vm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/identity"
)

func TestParsePort(t *testing.T) {
	const usernet = "Hub -1 (net):\n" +
		"  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n" +
		"  TCP[HOST_FORWARD]  16       127.0.0.1 41329   198.51.100.77    22     0     0\n"
	if got, err := parsePort(usernet); got != 41329 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	if got, err := parsePort("Hub -1 (net):\n  TCP[ESTABLISHED]  16 127.0.0.1 41329 198.51.100.77 22 0 0\n"); err == nil {
		t.Errorf("got %d where nothing is forwarded", got)
	}
}

func FuzzParsePort(f *testing.F) {
	f.Add("  TCP[HOST_FORWARD]  16       127.0.0.1 41329   198.51.100.77    22     0     0\n")
	f.Fuzz(func(t *testing.T, s string) {
		if port, err := parsePort(s); err == nil && port < 0 {
			t.Errorf("port %d", port)
		}
	})
}

func TestLastLines(t *testing.T) {
	name := filepath.Join(t.TempDir(), "console")
	text := "one\r\n\x1b[0;32m  OK  \x1b[0m] Started ssh\r\n\n\x1b[2J\x1b[01;01H\nlogin: \x07"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("OK  ] Started ssh\nlogin:", lastLines(name, 2)); diff != "" {
		t.Error(diff)
	}
	if got := lastLines(name+"-none", 2); got != "" {
		t.Errorf("got %q of no file", got)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	k := &tail{max: 2}
	for _, s := range []string{"a\nb", "c\nd 10%\rd 20%\r", "\nlast without end"} {
		if n, err := k.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := k.String(); got != "d 20%\nlast without end" {
		t.Errorf("got %q", got)
	}
}

func TestLastTellsWholeLines(t *testing.T) {
	var told []string
	w := Last(func(s string) { told = append(told, s) })
	for _, s := range []string{"Instal", "ling\n", "\n", "\x1b[1mDone\x1b[0m\n"} {
		if _, err := w.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"Installing", "Done"}, told); diff != "" {
		t.Error(diff)
	}
}

// TestKeyComesAndGoes runs the machine's shell commands here, in a folder in place of root's home.
func TestKeyComesAndGoes(t *testing.T) {
	home := t.TempDir()
	keys := filepath.Join(home, ".ssh", "authorized_keys")
	sh := func(script string) {
		t.Helper()
		if out, err := exec.Command("sh", "-eu", "-c", strings.ReplaceAll(script, "/root/", home+"/")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	content := func() string {
		b, err := os.ReadFile(keys)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	ours := "ssh-ed25519 AAAA " + keyComment
	sh(putKey(ours))
	sh(putKey(ours))
	if got := content(); got != ours+"\n" {
		t.Errorf("put twice: %q", got)
	}
	sh(dropKey)
	if _, err := os.Stat(keys); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("dropped, but there is %q", content())
	}
	const theirs = "ssh-rsa BBBB admin\n"
	if err := os.WriteFile(keys, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	sh(putKey(ours))
	sh(dropKey)
	if got := content(); got != theirs {
		t.Errorf("another's key did not survive: %q", got)
	}
}

// TestUploadScript runs the upload's script here.
func TestUploadScript(t *testing.T) {
	to := filepath.Join(t.TempDir(), "a b", "it's")
	cmd := exec.Command("sh", "-c", "exec sh -c "+quote(upload)+" upload "+quote(to)+" "+quote("0:0")+" 0640")
	cmd.Stdin = strings.NewReader("content")
	if os.Geteuid() != 0 {
		t.Skip("chown needs root")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(to)
	st, _ := os.Stat(to)
	if err != nil || string(b) != "content" || st.Mode() != 0o640 {
		t.Errorf("got %q, %v, %v", b, st.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(to), "*part")); left != nil {
		t.Errorf("left: %v", left)
	}
}

// TestSeedIsReadByOthers lets the kernel's tools read the volume.
func TestSeedIsReadByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seed.iso")
	for range 2 { // the second replaces the first
		if err := writeSeed(path, identity.Marker(), "ssh-ed25519 AAAA "+keyComment); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("isoinfo", "-R", "-i", path, "-x", "/meta-data").CombinedOutput()
	want := "instance-id: 676f6c64736d6974682d6d61726b6572\nlocal-hostname: goldsmith-marker.invalid\n"
	if err != nil || string(out) != want {
		t.Errorf("meta-data %q, %v", out, err)
	}
	out, err = exec.Command("isoinfo", "-R", "-i", path, "-x", "/user-data").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "#cloud-config\n") || !strings.Contains(string(out), "ssh-ed25519 AAAA") {
		t.Errorf("user-data %q, %v", out, err)
	}
	out, err = exec.Command("isoinfo", "-d", "-i", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Volume id: cidata") {
		t.Errorf("volume %q, %v", out, err)
	}
}

// TestPanicEndsTheMachine shows that a dead kernel is noticed, also when its last words come in two pieces.
func TestPanicEndsTheMachine(t *testing.T) {
	m := &Machine{Spec: Spec{Console: filepath.Join(t.TempDir(), "console")}}
	m.alive, m.end = context.WithCancelCause(t.Context())
	if err := os.WriteFile(m.Console, []byte("earlier: "+panicMark+"\n[ 1.0] Kernel pan"), 0o600); err != nil {
		t.Fatal(err)
	}
	go m.watch(int64(len("earlier: " + panicMark + "\n")))
	time.Sleep(1500 * time.Millisecond)
	if m.alive.Err() != nil {
		t.Fatalf("ended by %v", context.Cause(m.alive))
	}
	f, err := os.OpenFile(m.Console, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("ic - not syncing: VFS: no root\r\nmore\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	select {
	case <-m.alive.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("nobody noticed")
	}
	if got := context.Cause(m.alive).Error(); got != "the machine's kernel has died: "+panicMark+": VFS: no root" {
		t.Errorf("got %q", got)
	}
}
