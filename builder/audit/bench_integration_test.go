//go:build integration

package audit

import (
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"testing"
	"time"

	"goldsmith/builder/tree"
)

// TestThroughput compares one audit of /usr, in the page cache, with grep -rF of the plain forms of the same needles and
// with reading the same bytes once. Ratios of one run are what counts; the machine may be busy.
func TestThroughput(t *testing.T) {
	const dir = "/usr/lib"
	root, err := tree.Open(dir)
	check(t, err)
	defer root.Close()
	read(t, root) // into the page cache

	began := time.Now()
	size := read(t, root)
	reading := time.Since(began)

	began = time.Now()
	got, err := Tree(context.Background(), root, Options{Needles: golden()})
	check(t, err)
	auditing := time.Since(began)

	args := []string{"-rlF"}
	for _, n := range golden() {
		args = append(args, "-e", n.Value)
	}
	began = time.Now()
	_ = exec.Command("grep", append(args, dir)...).Run() // finding nothing is status 1
	grepping := time.Since(began)

	t.Logf("%d MiB: reading %s, audit of %d forms in %d files %s (%.1f times reading), grep -rF of %d plain forms %s (%.1f times audit)",
		size>>20, reading, len(patterns(golden())), got.Files, auditing, auditing.Seconds()/reading.Seconds(), len(golden()), grepping,
		grepping.Seconds()/auditing.Seconds())
	if got.Bytes < size/2 {
		t.Errorf("only %d of %d bytes were searched", got.Bytes, size)
	}
}

// read reads every file once, in one thread.
func read(t *testing.T, root *tree.FS) int64 {
	t.Helper()
	var sum int64
	buf := make([]byte, chunkSize)
	check(t, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f.(*os.File)}, buf)
		sum += n
		return err
	}))
	return sum
}
