package builder

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/install"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
)

// A paperGuest is a virtual machine whose files are in a folder: it packs them by the real script, and notes what it is told.
type paperGuest struct {
	t    *testing.T
	dir  string
	told []string
}

func (g *paperGuest) put(name, data string, mode os.FileMode) {
	g.t.Helper()
	full := filepath.Join(g.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(data), mode), os.Chmod(full, mode)); err != nil {
		g.t.Fatal(err)
	}
}

func (g *paperGuest) Run(_ context.Context, argv []string, stdin string, _ io.Writer) error {
	line := strings.Join(argv, " ")
	if stdin != "" {
		line += " < " + strings.SplitN(stdin, "\n", 2)[0]
	}
	g.told = append(g.told, line)
	return nil
}

func (g *paperGuest) Output(ctx context.Context, argv []string, out io.Writer) error {
	script := strings.NewReplacer("tar -C / ", "tar -C "+g.dir+" ", `[ ! -e "$1" ]`, `[ ! -e "`+g.dir+`$1" ]`).Replace(argv[2])
	cmd := exec.CommandContext(ctx, argv[0], append([]string{argv[1], script}, argv[3:]...)...)
	cmd.Stdout = out
	return cmd.Run()
}

func (g *paperGuest) Upload(_ context.Context, from io.Reader, to string, mode uint32, owner string) error {
	data, err := io.ReadAll(from)
	g.told = append(g.told, "upload "+to+" "+os.FileMode(mode).String()+" "+owner)
	g.put(to, string(data), os.FileMode(mode))
	return err
}

func (g *paperGuest) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("nobody listens")
}

// What a step changes goes into the machine, with mode and owner; nothing else does.
func TestFilesOfAGuest(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("owners need root")
	}
	g := &paperGuest{t: t, dir: t.TempDir()}
	g.put("/etc/one/oned.conf", "golden\n", 0o640)
	g.put("/etc/one/as it was", "same\n", 0o644)
	g.put("/var/tmp/large", "x", 0o644)
	if err := errors.Join(os.Chown(filepath.Join(g.dir, "etc/one/oned.conf"), 0, 9869), os.Symlink("oned.conf", filepath.Join(g.dir, "etc/one/link"))); err != nil {
		t.Fatal(err)
	}
	in := insideGuest{m: g, log: io.Discard, dir: t.TempDir(), trees: []string{"/etc/one", "/etc/none"}, folders: []string{"/var/tmp", "/var/none"}}
	err := in.Files(t.Context(), func(root *tree.FS) error {
		if !root.Exists("/var/tmp") || root.Exists("/var/tmp/large") || root.Exists("/var/none") || root.Exists("/etc/none") {
			t.Error("it does not see the folders as they are")
		}
		if to, err := root.ReadLink("/etc/one/link"); to != "oned.conf" || err != nil {
			t.Errorf("link to %s, %v", to, err)
		}
		return errors.Join(root.WriteFile("/etc/one/oned.conf", []byte("changed\n"), 0o600), root.MkdirAll("/etc/new.d", 0o755),
			root.WriteFile("/etc/new.d/x.conf", []byte("new\n"), 0o644), root.Symlink("x.conf", "/etc/new.d/y.conf"))
	})
	want := []string{"upload /etc/new.d/x.conf -rw-r--r-- 0:0", `sh -euc mkdir -p "${1%/*}"; ln -s "$2" "$1" link /etc/new.d/y.conf x.conf`,
		"upload /etc/one/oned.conf -rw-r----- 0:9869"}
	if d := cmp.Diff(want, g.told); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if data, err := os.ReadFile(filepath.Join(g.dir, "etc/one/oned.conf")); string(data) != "changed\n" || err != nil {
		t.Errorf("%q %v", data, err)
	}
	left, err := os.ReadDir(in.dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	g.told = nil
	sorry := errors.New("sorry")
	if err := in.Files(t.Context(), func(root *tree.FS) error {
		return errors.Join(root.WriteFile("/etc/one/oned.conf", nil, 0o640), sorry)
	}); !errors.Is(err, sorry) || g.told != nil {
		t.Errorf("a step that failed: %v, told %v", err, g.told)
	}
}

// The whole step of a front-end in a virtual machine, twice.
func TestOpenNebulaInAGuest(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("owners need root")
	}
	g := &paperGuest{t: t, dir: t.TempDir()}
	for _, f := range []string{"oned.conf", "vmm_exec_kvm.conf"} {
		data, err := os.ReadFile("../firstboot/text/oned/testdata/6.10.5/" + f)
		if err != nil {
			t.Fatal(err)
		}
		g.put(map[string]string{"oned.conf": "/etc/one/oned.conf", "vmm_exec_kvm.conf": "/etc/one/vmm_exec/vmm_exec_kvm.conf"}[f], string(data), 0o640)
	}
	step := recipe.OpenNebula{Release: "6.10", Role: recipe.RoleFrontEnd, Tuning: true}
	in := insideGuest{m: g, log: io.Discard, dir: t.TempDir(), trees: install.OneFiles(), folders: install.OneFolders(step)}
	commands := []string{"runuser --user oneadmin -- env HOME=/var/lib/one sh -eu < umask 077",
		"systemctl --quiet enable -- opennebula.service opennebula-gate.service opennebula-flow.service opennebula-fireedge.service opennebula-sunstone.service"}
	for n, want := range [][]string{append([]string{"upload /etc/one/vmm_exec/vmm_exec_kvm.conf -rw-r----- 0:0"}, commands...), commands} {
		g.told = nil
		if err := install.SetUpOpenNebula(t.Context(), step, in, io.Discard, func(string) {}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, g.told); d != "" {
			t.Errorf("run %d: %s", n+1, d)
		}
	}
	step.Hosts = []string{"localhost"}
	if err := os.MkdirAll(filepath.Join(g.dir, "var/lib/one/.one"), 0o700); err != nil {
		t.Fatal(err)
	}
	g.put("/var/lib/one/.one/one_auth", "oneadmin:x\n", 0o600)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := install.SetUpOpenNebula(ctx, step, in, io.Discard, func(string) {}); err == nil {
		t.Error("a step that was stopped ended well")
	}
}
