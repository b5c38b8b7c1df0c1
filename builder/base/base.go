// Package base makes the system below everything else: a minimal tree, bootstrapped from packages.
package base

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/builder/recipe"
)

// Options say what to bootstrap.
type Options struct {
	Base recipe.Base
	Root string            // an empty directory
	Debs string            // folder with .deb files of earlier times; those that fit are not fetched again
	Log  io.Writer         // gets what mmdebstrap says
	Wait func(what string) // is told what it waits for
}

// left out of every package: a golden image is for tests, and unpacking is what a bake waits for most.
var excludes = []string{"/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/gtk-doc/*"}

// kept although it is below what is left out: copyrights are a matter of law.
var includes = []string{"/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias"}

// debsHook copies known packages into the new tree before the first download. mmdebstrap runs it with the tree as $1.
const debsHook = `mkdir -p "$1/var/cache/apt/archives/partial" && find "$GOLDSMITH_DEBS" -maxdepth 1 -name "*.deb" -exec cp -t "$1/var/cache/apt/archives" {} +`

// Bootstrap fills Root. The packages that it fetched stay in the tree's apt cache: see Keep.
func Bootstrap(ctx context.Context, o Options) error {
	args := []string{"--mode=root", "--variant=minbase", "--format=directory", "--architectures=" + o.Base.Architecture,
		"--components=" + strings.Join(o.Base.Components, ","),
		"--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\"",
		"--skip=essential/unlink", "--skip=cleanup/apt", "--setup-hook=" + debsHook}
	for _, x := range excludes {
		args = append(args, "--dpkgopt=path-exclude="+x)
	}
	for _, x := range includes {
		args = append(args, "--dpkgopt=path-include="+x)
	}
	if len(o.Base.Packages) > 0 {
		args = append(args, "--include="+strings.Join(o.Base.Packages, ","))
	}
	args = append(args, o.Base.Suite, o.Root)
	if o.Base.Mirror != "" {
		args = append(args, o.Base.Mirror)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	cmd.Env = append(os.Environ(), "GOLDSMITH_DEBS="+o.Debs, "LC_ALL=C.UTF-8")
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) } // it unmounts what it has mounted
	cmd.WaitDelay = 20 * time.Second
	out := &talk{log: o.Log, wait: o.Wait}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot bootstrap %s %s: mmdebstrap: %w%s", o.Base.Distribution, o.Base.Suite, err, out.errors())
	}
	return nil
}

// A talk listens to mmdebstrap, which says what it does in lines that begin with "I: " and what is wrong with "E: ".
type talk struct {
	log  io.Writer
	wait func(string)
	rest []byte
	bad  []string
}

func (t *talk) Write(p []byte) (int, error) {
	if _, err := t.log.Write(p); err != nil {
		return 0, err
	}
	t.rest = append(t.rest, p...)
	for {
		i := bytes.IndexAny(t.rest, "\r\n")
		if i < 0 {
			return len(p), nil
		}
		t.line(string(t.rest[:i]))
		t.rest = t.rest[i+1:]
	}
}

func (t *talk) line(s string) {
	if what, ok := strings.CutPrefix(s, "I: "); ok {
		t.wait(strings.TrimRight(what, "."))
	}
	if strings.HasPrefix(s, "E: ") || strings.HasPrefix(s, "Err:") {
		t.bad = append(t.bad, s)
	}
}

func (t *talk) errors() string {
	if len(t.bad) == 0 {
		return ""
	}
	return "\n  | " + strings.Join(t.bad[max(0, len(t.bad)-8):], "\n  | ")
}

// Keep moves the packages that a bootstrap has fetched out of the tree into the folder of known ones, in whose place they
// come: so it holds one version of each.
func Keep(root, debs string) error {
	fresh, err := filepath.Glob(filepath.Join(root, "var/cache/apt/archives/*.deb"))
	if err != nil || len(fresh) == 0 {
		return err
	}
	known, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	for _, f := range known {
		err = errors.Join(err, os.Remove(f))
	}
	for _, f := range fresh {
		err = errors.Join(err, os.Rename(f, filepath.Join(debs, filepath.Base(f))))
	}
	if err != nil {
		return fmt.Errorf("cannot keep packages: %w", err)
	}
	return nil
}
