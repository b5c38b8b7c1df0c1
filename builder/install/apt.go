package install

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/builder/machine"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
)

// An Apt installs a group of packages into a tree. Packages are fetched by the host's apt, from the archives that the tree
// names; they are installed in an isolated machine without network, so that a maintainer script cannot reach anything.
type Apt struct {
	Spec  machine.Spec
	Debs  string // folder of downloaded packages, shared by all bakes
	Dir   string // scratch folder on the host
	Log   io.Writer
	Wait  func(what string, done, total int64)
	Group recipe.Layer
}

// inside is where the folder of packages is seen in the tree.
const inside = "/var/cache/apt/archives"

// noServices is what invoke-rc.d asks before it starts a service; 101 means never (policy-rc.d, Debian policy 9.3.3.1).
const (
	policyFile = "usr/sbin/policy-rc.d"
	noServices = "#!/bin/sh\n# goldsmith: packages are being installed; nothing starts\nexit 101\n"
)

// Install fetches and installs.
func (a Apt) Install(ctx context.Context) error {
	if err := a.fetch(ctx); err != nil {
		return err
	}
	root, err := tree.Open(a.Spec.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.WriteFile(policyFile, []byte(noServices), 0o755); err != nil {
		return fmt.Errorf("cannot keep services from starting: %w", err)
	}
	if err := a.answer(ctx); err != nil {
		return err
	}
	if err := a.unpack(ctx); err != nil {
		return err
	}
	return root.Remove(policyFile)
}

// answer tells debconf what it would ask.
func (a Apt) answer(ctx context.Context) error {
	if len(a.Group.Debconf) == 0 {
		return nil
	}
	text := strings.Join(a.Group.Debconf, "\n") + "\n"
	err := a.Spec.Run(ctx, machine.Command{Argv: []string{"debconf-set-selections"}, Stdin: []byte(text), Log: a.Log})
	if err != nil {
		return fmt.Errorf("cannot answer debconf: %w", err)
	}
	return nil
}

// options are those of both runs of apt-get.
func (a Apt) options() []string {
	return []string{"-y", "-o", "APT::Install-Recommends=" + strconv.FormatBool(a.Group.Recommends), "-o", "Dpkg::Use-Pty=0"}
}

// withStatus gives apt a third descriptor for its status lines. systemd-nspawn passes on no others than the first three,
// and apt closes the one that it is told before it starts dpkg: maintainer scripts would have no standard error.
const withStatus = `exec "$@" 3>&2`

// unpack installs what was fetched.
func (a Apt) unpack(ctx context.Context) error {
	spec := a.Spec
	spec.Binds = append(spec.Binds, a.Debs+":"+inside)
	argv := append([]string{"sh", "-c", withStatus, "sh", "apt-get"}, a.options()...)
	argv = append(argv, "-o", "Debug::NoLocking=true", "-o", "APT::Status-Fd=3", "-o", "Dpkg::Options::=--force-confold",
		"--no-download", "install", "--")
	argv = append(argv, a.Group.Packages...)
	s := status{wait: a.Wait}
	err := spec.Run(ctx, machine.Command{Argv: argv, Log: a.Log, Line: s.line})
	if err != nil {
		return fmt.Errorf("cannot install packages of %s: %w", a.Group.Name, err)
	}
	return nil
}

// fetch downloads. Lists that are a day old name packages that the archive may have replaced; so do those of a tree from
// the cache, which shows when a download fails.
func (a Apt) fetch(ctx context.Context) error {
	if a.stale() {
		if err := a.Update(ctx); err != nil {
			return err
		}
	}
	err := a.download(ctx)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return errors.Join(a.Update(ctx), a.download(ctx))
}

const listsAge = 24 * time.Hour

func (a Apt) stale() bool {
	st, err := os.Stat(filepath.Join(a.Spec.Root, "var/lib/apt/lists/partial"))
	return err != nil || time.Since(st.ModTime()) > listsAge
}

// Update reads the lists of all archives of the tree.
func (a Apt) Update(ctx context.Context) error {
	if err := a.apt(ctx, "update"); err != nil {
		return fmt.Errorf("cannot read the package archive: %w", err)
	}
	return nil
}

func (a Apt) download(ctx context.Context) error {
	args := append(a.options(), "--download-only", "install", "--")
	if err := a.apt(ctx, append(args, a.Group.Packages...)...); err != nil {
		return fmt.Errorf("cannot fetch packages of %s: %w", a.Group.Name, err)
	}
	return nil
}

// apt runs the host's apt-get on the tree's lists and states.
func (a Apt) apt(ctx context.Context, args ...string) error {
	root, err := tree.Open(a.Spec.Root)
	if err != nil {
		return err
	}
	if err := errors.Join(a.sources(root), root.Close()); err != nil {
		return err
	}
	conf := filepath.Join(a.Dir, "apt.conf")
	if err := os.WriteFile(conf, []byte(a.conf()), 0o600); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(a.Debs, "partial"), 0o755); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "APT::Status-Fd=3"}, args...)...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+conf, "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
	cmd.ExtraFiles = []*os.File{w}
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out := &complaints{log: a.Log}
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	s := status{wait: a.Wait}
	for sc := bufio.NewScanner(r); sc.Scan(); {
		s.line(sc.Text())
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("apt-get: %w%s", err, out.text())
	}
	return nil
}

// conf points apt at the tree. Its own default for the state of dpkg is absolute, so it is named.
func (a Apt) conf() string {
	return fmt.Sprintf(`Dir %q;
Dir::State::status %q;
Dir::Etc::sourceparts %q;
Dir::Cache::archives %q;
Dir::Bin::methods "/usr/lib/apt/methods";
APT::Architecture "amd64";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
`, a.Spec.Root, filepath.Join(a.Spec.Root, "var/lib/dpkg/status"), filepath.Join(a.Dir, "sources"), a.Debs)
}

// A status reads the lines that apt writes to APT::Status-Fd (apt, README.progress-reporting):
// "dlstatus:item:percent:text" and "pmstatus:package:percent:text".
type status struct {
	wait func(what string, done, total int64)
}

func (s status) line(line string) {
	f := strings.SplitN(line, ":", 4)
	if len(f) != 4 || f[0] != "dlstatus" && f[0] != "pmstatus" {
		return
	}
	percent, err := strconv.ParseFloat(f[2], 64)
	if err != nil {
		return
	}
	s.wait(strings.TrimSpace(f[3]), int64(percent*100), 100*100)
}

// complaints keeps what apt calls errors and warnings.
type complaints struct {
	log  io.Writer
	rest string
	list []string
}

func (c *complaints) Write(p []byte) (int, error) {
	if _, err := c.log.Write(p); err != nil {
		return 0, err
	}
	c.rest += string(p)
	for {
		line, rest, ok := strings.Cut(c.rest, "\n")
		if !ok {
			return len(p), nil
		}
		c.rest = rest
		if strings.HasPrefix(line, "E:") || strings.HasPrefix(line, "Err:") {
			c.list = append(c.list, line)
		}
	}
}

func (c *complaints) text() string {
	if len(c.list) == 0 {
		return ""
	}
	return "\n  | " + strings.Join(c.list[max(0, len(c.list)-8):], "\n  | ")
}
