package templates

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the outcomes of scenes anew")

// Scenes of the packstack scripts: what each finds, beside what newScene puts there. What it makes of that stands in
// testdata/packstack, one file for each scene: commands called, files written, words said.
var scenes = []struct {
	name, script string
	prepare      func(scene)
}{
	{"ssh", "ssh.sh", func(s scene) {
		s.put("etc/ssh/sshd_config", "Port 22\n#PermitRootLogin prohibit-password\nPasswordAuthentication no\n")
	}},
	{"ssh-empty-config", "ssh.sh", func(s scene) { s.put("etc/ssh/sshd_config", "") }},
	{"ssh-no-cloud-init", "ssh.sh", func(s scene) { s.put("etc/ssh/sshd_config", ""); s.drop("etc/cloud") }},
	{"ssh-config-is-bad", "ssh.sh", func(s scene) { s.put("etc/ssh/sshd_config", ""); s.put("fails/sshd", "") }},
	{"name", "name.sh", func(s scene) {
		s.put("etc/hosts", "127.0.0.1 localhost\n10.0.0.1\tpackstack\n10.0.0.2 packstack2\n")
	}},
	{"name-no-cloud-init", "name.sh", func(s scene) { s.put("etc/hosts", ""); s.drop("etc/cloud") }},
	{"vault", "vault.sh", func(s scene) {
		s.put("etc/yum.repos.d/CentOS-Linux-BaseOS.repo", "[baseos]\nmirrorlist=http://mirrorlist.centos.org/?release=8\n#baseurl=http://mirror.centos.org/$contentdir/8/\n")
		s.put("etc/yum.repos.d/CentOS-OpenStack-victoria.repo", "[victoria]\nbaseurl=http://mirror.centos.org/$contentdir/8/cloud/\n")
		s.put("etc/yum.repos.d/other.repo", "mirrorlist=http://other.example/\n")
	}},
	{"vault-without-repositories", "vault.sh", func(scene) {}},
	{"vault-cannot-write", "vault.sh", func(s scene) {
		s.put("etc/yum.repos.d/CentOS-A.repo", "mirrorlist=http://a\n")
		s.command("sed", "#!/bin/sh\n") // changes nothing
	}},
	{"update", "update.sh", func(scene) {}},
	{"prepare", "prepare.sh", func(s scene) { s.put("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n") }},
	{"prepare-without-firewalld", "prepare.sh", func(s scene) {
		s.put("etc/selinux/config", "SELINUX=enforcing\n")
		s.command("systemctl", strings.Replace(stub, "[ ! -e \"$STUB/fails", "[ \"$1\" != cat ] || exit 1\n[ ! -e \"$STUB/fails", 1))
	}},
	{"prepare-with-firewalld", "prepare.sh", func(s scene) {
		s.put("etc/selinux/config", "SELINUX=enforcing\n")
		s.put("etc/goldsmith/packstack.options", "SELINUX=enforcing\nFIREWALLD=on\n")
	}},
	{"prepare-as-the-article", "prepare.sh", func(s scene) {
		s.put("etc/selinux/config", "SELINUX=enforcing\n")
		s.put("etc/goldsmith/packstack.options", "SELINUX=disabled\nFIREWALLD=off\n")
	}},
	{"prepare-el9", "prepare.sh", func(s scene) {
		s.put("etc/selinux/config", "SELINUX=enforcing\n")
		s.put("etc/goldsmith/packstack.names", "NETWORK_SCRIPTS=openstack-network-scripts\nTOOLS_REPOSITORY=crb\n")
	}},
	{"prepare-wrong-selinux", "prepare.sh", func(s scene) { s.put("etc/goldsmith/packstack.options", "SELINUX=maybe\nFIREWALLD=off\n") }},
	{"prepare-wrong-firewalld", "prepare.sh", func(s scene) { s.put("etc/goldsmith/packstack.options", "SELINUX=permissive\nFIREWALLD=\n") }},
	{"prepare-dnf-fails", "prepare.sh", func(s scene) { s.put("fails/dnf", "") }},
	{"release-victoria", "release-victoria.sh", func(scene) {}},
	{"release-epoxy", "release-epoxy.sh", func(scene) {}},
	{"installer", "installer.sh", func(scene) {}},
	{"network", "network.sh", func(scene) {}},
	{"network-two-routes", "network.sh", func(s scene) {
		s.put("says/ip", "default via 198.51.100.2 dev ens3 proto dhcp\ndefault via 192.0.2.1 dev ens4 proto dhcp metric 200\n")
	}},
	{"network-no-cloud-init", "network.sh", func(s scene) { s.drop("etc/cloud") }},
	{"network-no-route", "network.sh", func(s scene) { s.put("says/ip", "") }},
	{"cinder", "cinder.sh", func(s scene) { s.disk(); s.put("fails/vgs", "") }},
	{"cinder-again", "cinder.sh", func(s scene) { s.disk() }},
	{"cinder-no-disk", "cinder.sh", func(s scene) { s.put("says/readlink", "/dev/null\n") }},
	{"install", "install.sh", func(s scene) {
		s.put("root/.ssh/id_rsa.pub", "ssh-rsa AAAA root\n")
		s.put("says/ssh-keyscan", "127.0.0.1 ssh-ed25519 BBBB\n")
		s.log("20230914", "old")
		s.log("20230915", "new")
	}},
	{"install-without-a-home-for-keys", "install.sh", func(s scene) {
		s.drop("root/.ssh")
		s.command("ssh-keygen", stub+"echo 'ssh-rsa AAAA root' >\"$STUB/root/.ssh/id_rsa.pub\"\n")
	}},
	{"install-again", "install.sh", func(s scene) {
		s.put("root/.ssh/id_rsa", "private\n")
		s.put("root/.ssh/id_rsa.pub", "ssh-rsa AAAA root\n")
		s.put("root/.ssh/authorized_keys", "ssh-rsa AAAA root\n")
	}},
	{"install-fails", "install.sh", func(s scene) {
		s.put("root/.ssh/id_rsa.pub", "ssh-rsa AAAA root\n")
		s.put("fails/packstack", "")
		s.log("20230915", "why")
	}},
	{"install-without-credentials", "install.sh", func(s scene) {
		s.put("root/.ssh/id_rsa.pub", "ssh-rsa AAAA root\n")
		s.put("root/keystonerc_admin", "")
	}},
	{"face", "face.sh", func(s scene) {
		s.put("etc/httpd/conf.d/15-horizon_vhost.conf", "<VirtualHost *:80>\n  ## Server aliases\n  ServerAlias 127.0.0.1\n  ServerAlias localhost\n</VirtualHost>\n")
	}},
	{"face-again", "face.sh", func(s scene) {
		s.put("etc/httpd/conf.d/15-horizon_vhost.conf", "  ServerAlias 198.51.100.77\n  ServerAlias 127.0.0.1\n")
	}},
	{"face-without-aliases", "face.sh", func(s scene) { s.put("etc/httpd/conf.d/15-horizon_vhost.conf", "<VirtualHost *:80>\n") }},
	{"cloud", "cloud.sh", func(s scene) { s.image(); s.command("openstack", nothingThere) }},
	{"cloud-as-admin", "cloud.sh", func(s scene) { s.command("openstack", strings.Replace(stub, "$name $*", "$OS_USERNAME: $name $*", 1)) }},
	{"cloud-again", "cloud.sh", func(s scene) { s.image() }},
	{"cloud-is-late", "cloud.sh", func(s scene) {
		s.command("openstack", strings.Replace(stub, "[ ! -e \"$STUB/says", `case $* in "network list") echo x >>"$STUB/late"; [ "$(wc -l <"$STUB/late")" -gt 2 ] || exit 1 ;; esac`+"\n[ ! -e \"$STUB/says", 1))
	}},
	{"cloud-never-comes", "cloud.sh", func(s scene) { s.put("fails/openstack", "") }},
	{"cloud-other-options", "cloud.sh", func(s scene) {
		s.command("openstack", nothingThere)
		s.put("etc/goldsmith/packstack.options", "NETWORK=lan\nFLAVOR=small\nFLAVOR_ID=9\nFLAVOR_VCPUS=1\nFLAVOR_RAM=512\nFLAVOR_DISK=5\nIMAGE=mine\n")
	}},
}

// nothingThere is an openstack whose "show" finds nothing.
var nothingThere = strings.Replace(stub, "[ ! -e \"$STUB/fails", "[ \"$2\" != show ] || exit 1\n[ ! -e \"$STUB/fails", 1)

func (s scene) drop(name string) {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

func (s scene) command(name, text string) {
	s.t.Helper()
	s.put("bin/"+name, text)
	if err := os.Chmod(filepath.Join(s.dir, "bin", name), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// image is the upload that step cloud finds.
func (s scene) image() {
	s.t.Helper()
	if err := os.Mkdir(filepath.Join(s.dir, "root/images"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.put("root/images/image.qcow2", "")
}

// log is a setup log of packstack, as old as its name.
func (s scene) log(day, text string) {
	s.t.Helper()
	dir := "var/tmp/packstack/" + day
	if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.put(dir+"/openstack-setup.log", text+"\n")
	if out, err := exec.Command("touch", "-d", day, filepath.Join(s.dir, dir, "openstack-setup.log")).CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

// disk is a second disk: any block device's name, which only stubs get to see.
func (s scene) disk() {
	s.t.Helper()
	found, err := filepath.Glob("/sys/class/block/*")
	for _, f := range found {
		if name := "/dev/" + filepath.Base(f); err == nil && exec.Command("test", "-b", name).Run() == nil {
			s.put("says/readlink", name+"\n")
			return
		}
	}
	s.t.Skip("there is no block device here")
}

// outcome runs a script in a scene and writes down everything that came of it.
func outcome(t *testing.T, script string, prepare func(scene), change func(text string) string) string {
	t.Helper()
	s := newScene(t)
	prepare(s)
	data, err := fs.ReadFile(FS, "packstack/"+script)
	if err != nil {
		t.Fatal(err)
	}
	before := s.files()
	calls, said, status := s.exec(change(string(data)))
	var b strings.Builder
	fmt.Fprintf(&b, "status %d\n", status)
	for _, c := range calls {
		b.WriteString("call " + c + "\n")
	}
	for line := range strings.Lines(said) {
		b.WriteString("said " + line)
	}
	after := s.files()
	for _, name := range slices.Sorted(keysOf(before, after)) {
		if before[name] == after[name] {
			continue
		}
		if after[name] == "" {
			b.WriteString("gone " + name + "\n")
			continue
		}
		b.WriteString("file " + name + "\n" + after[name])
	}
	device := strings.TrimSpace(s.get("says/readlink"))
	out := strings.ReplaceAll(b.String(), s.dir, "")
	if strings.HasPrefix(device, "/dev/") {
		out = strings.ReplaceAll(out, device, "/dev/vdb")
	}
	return out
}

func keysOf(maps ...map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for _, m := range maps {
			for k := range m {
				if !seen[k] && !yield(k) {
					return
				}
				seen[k] = true
			}
		}
	}
}

// files are those of the stub root that a script may touch, each line of their content indented, with mode and link target.
func (s scene) files() map[string]string {
	out := map[string]string{}
	for _, top := range []string{"etc", "root", "var"} {
		_ = filepath.WalkDir(filepath.Join(s.dir, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(path, s.dir)
			info, err := d.Info()
			switch {
			case err != nil || d.IsDir() && top != "root":
			case d.IsDir():
				out[name] = fmt.Sprintf("  mode %v\n", info.Mode())
			case info.Mode()&fs.ModeSymlink != 0:
				to, _ := os.Readlink(path)
				out[name] = "  link to " + to + "\n"
			default:
				data, _ := os.ReadFile(path)
				out[name] = fmt.Sprintf("  mode %v\n", info.Mode())
				for line := range strings.Lines(string(data)) {
					out[name] += "  |" + strings.TrimSuffix(line, "\n") + "\n"
				}
			}
			return nil
		})
	}
	return out
}

// TestPackstackScenes compares every scene with what it is known to come to; -update writes that anew.
func TestPackstackScenes(t *testing.T) {
	played := map[string]bool{}
	for _, c := range scenes {
		played[c.script] = true
		t.Run(c.name, func(t *testing.T) {
			got := outcome(t, c.script, c.prepare, func(text string) string { return text })
			path := filepath.Join("testdata", "packstack", c.name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got); write anew with -update:\n%s", diff)
			}
		})
	}
	scripts, err := fs.Glob(FS, "packstack/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		if !played[filepath.Base(s)] {
			t.Errorf("%s is in no scene", s)
		}
	}
}
