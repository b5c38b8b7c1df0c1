//go:build integration

package disk

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// holdVariable makes this test binary open an image, say so, and wait to be killed.
const holdVariable = "GOLDSMITH_TEST_HOLD_IMAGE"

func TestMain(m *testing.M) {
	image := os.Getenv(holdVariable)
	if image == "" {
		os.Exit(m.Run())
	}
	i, err := Open(testContext{}, image, Options{})
	if err != nil {
		os.Exit(3)
	}
	if err := i.FS.WriteFile("etc/half", bytes.Repeat([]byte("written"), 4*mib), 0o644); err != nil {
		os.Exit(3)
	}
	os.Stdout.WriteString("open\n")
	time.Sleep(time.Hour)
}

// testContext is a context that never ends, for a process that has no test.
type testContext struct{}

func (testContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (testContext) Done() <-chan struct{}       { return nil }
func (testContext) Err() error                  { return nil }
func (testContext) Value(any) any               { return nil }

func TestKilledProcessLeavesNothing(t *testing.T) {
	for _, image := range []string{handMade(t, "ext4", gptDisk, "2", "qcow2"), handMade(t, "ext4", gptDisk, "2", "raw"), lvmImage(t, "ext4")} {
		t.Run(filepath.Base(image), func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			child := exec.Command(self)
			child.Env = append(os.Environ(), holdVariable+"="+image)
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatalf("the child did not open the image: %q %v", line, err)
			}
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			gone := make(chan error, 1)
			go func() { gone <- child.Wait() }() // an error: it was killed
			select {
			case <-gone:
			case <-time.After(20 * time.Second):
				t.Fatal("the killed process does not end: it waits for a view that it serves itself")
			}
			awaitGone(t, image)
			i, err := Open(t.Context(), image, Options{}) // no lock is left, and the journal is replayed
			if err != nil {
				t.Fatal(err)
			}
			root, fs := i.Root, "ext4"
			if err := i.Close(); err != nil {
				t.Fatal(err)
			}
			fsck(t, image, root, fs)
			checkOnly(t, filepath.Dir(image), filepath.Base(image))
		})
	}
}

// awaitGone waits until no loop device and no daemon has the image any more.
func awaitGone(t *testing.T, image string) {
	t.Helper()
	var left string
	for range 100 {
		left = ""
		if out := must(t, "losetup", "-a"); strings.Contains(out, image) {
			left = out
		}
		commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			if b, err := os.ReadFile(c); err == nil && strings.Contains(string(b), image) && strings.Contains(string(b), "qemu-storage-daemon") {
				left = c
			}
		}
		if left == "" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("five seconds after the kill there is still %s", left)
}

func TestImageBehindLinks(t *testing.T) {
	image := handMade(t, "ext4", gptDisk, "2", "qcow2")
	dir := filepath.Dir(image)
	links := filepath.Join(dir, "links")
	if err := os.Mkdir(links, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(links, "image, with a name.qcow2")
	if err := os.Symlink(image, link); err != nil {
		t.Fatal(err)
	}
	editAndCheck(t, link, "2", "ext4")
}
