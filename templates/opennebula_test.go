package templates

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// checkVitastor runs the check with programs that answer as the real ones do: rpm as its manual says for --queryformat, dpkg-query
// as on Debian 12, onetemplate as OpenNebula 6.10.
func checkVitastor(t *testing.T, programs map[string]string, lacks ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range programs {
		put("bin/"+name, "#!/bin/sh\n"+text)
	}
	put("one_auth", "oneadmin:x\n")
	for _, s := range []string{"vmm/kvm/deploy.vitastor", "datastore/vitastor/cp", "datastore/vitastor/clone", "tm/vitastor/clone", "tm/vitastor/mkimage"} {
		put("remotes/"+s, "#!/bin/sh\n")
	}
	for _, s := range lacks {
		if err := os.Chmod(filepath.Join(dir, "remotes", s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script, err := FS.ReadFile("opennebula/check-vitastor.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-eu")
	cmd.Stdin = strings.NewReader(string(script))
	cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin", "ONE_REMOTES=" + filepath.Join(dir, "remotes"), "ONE_AUTH=" + filepath.Join(dir, "one_auth")}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestCheckVitastorScript(t *testing.T) {
	rpm := func(answers string) string {
		return "[ \"$*\" = '-q --quiet filesystem' ] && exit 0\ncat <<'E'\n" + answers + "E\nexit 1\n"
	}
	templates := "case $1 in list) printf '   0\\n   1\\n';; show) [ $2 = 1 ] || echo 'CONTEXT=['; esac\n"
	for name, tc := range map[string]struct {
		programs map[string]string
		lacks    []string
		say      []string
	}{
		"EL with Vitastor's": {map[string]string{"rpm": rpm("qemu-kvm 8.2.0-11.vitastor4.el9\npackage qemu-system-x86 is not installed\nlibvirt-daemon 10.0.0-6.vitastor1.el9\n")}, nil, nil},
		"EL with its own": {map[string]string{"rpm": rpm("qemu-kvm 8.2.0-11.el9\nlibvirt-daemon 10.0.0-6.vitastor1.el9\n")}, nil,
			[]string{"cannot open Vitastor's images, they are not from its archive: qemu-kvm 8.2.0-11.el9;"}},
		"EL with neither": {map[string]string{"rpm": rpm("package qemu-kvm is not installed\n")}, nil, []string{"neither QEMU nor libvirt is installed"}},
		"Debian with its own, a script that cannot run, a template without context": {map[string]string{"rpm": "exit 1\n", "onetemplate": templates,
			"dpkg-query": "echo 'installed qemu-system-x86 1:7.2+dfsg-7+deb12u5'; echo 'not-installed libvirt0 '\n"}, []string{"tm/vitastor/clone"},
			[]string{"qemu-system-x86 1:7.2+dfsg-7+deb12u5;", "tm/vitastor/clone is not there, or cannot be run", "VM template 1 has no CONTEXT", "hint: "}},
		"Debian with Vitastor's": {map[string]string{"rpm": "exit 1\n", "dpkg-query": "echo 'installed qemu-system-x86 1:7.2+dfsg-7+vitastor4'\n"}, nil, nil},
	} {
		out, err := checkVitastor(t, tc.programs, tc.lacks...)
		if (err == nil) != (tc.say == nil) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		for _, s := range tc.say {
			if !strings.Contains(out, s) {
				t.Errorf("%s: %q is not in\n%s", name, s, out)
			}
		}
	}
}
