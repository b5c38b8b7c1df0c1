package templates

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"goldsmith/firstboot/host/hosttest"
	"time"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/recipe"
)

// stub is what every command of a stub root is: it writes down how it was called, and says what a case wants it to say.
const stub = `#!/bin/sh
name=${0##*/}
echo "$name $*" >>"$STUB/calls"
[ ! -e "$STUB/says/$name" ] || cat "$STUB/says/$name"
[ ! -e "$STUB/fails/$name" ] || exit 1
`

// stubbed are the commands that would change this machine, or are not here.
var stubbed = []string{"dnf", "systemctl", "firewall-cmd", "hostnamectl", "ip", "sshd", "packstack", "openstack", "pvcreate",
	"vgcreate", "vgs", "ssh-keygen", "ssh-keyscan", "crudini", "readlink", "sleep"}

// A scene is a stub root.
type scene struct {
	t   *testing.T
	dir string
}

func newScene(t *testing.T) scene {
	t.Helper()
	s := scene{t, hosttest.Dir(t)}
	for _, d := range []string{"bin", "says", "fails", "etc/ssh", "etc/yum.repos.d", "etc/selinux", "etc/goldsmith", "etc/httpd/conf.d", "etc/cloud/cloud.cfg.d", "root/.ssh", "var/tmp"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range stubbed {
		s.put("bin/"+c, stub)
		if err := os.Chmod(filepath.Join(s.dir, "bin", c), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options, err := fs.ReadFile(FS, "packstack/options")
	if err != nil {
		t.Fatal(err)
	}
	s.put("etc/goldsmith/packstack.options", string(options))
	s.put("root/keystonerc_admin", "export OS_USERNAME=admin\n")
	s.put("says/ip", "default via 198.51.100.2 dev eth0 proto dhcp src 198.51.100.77 metric 100\n")
	return s
}

func (s scene) put(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s scene) get(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// run runs a script of the packstack recipes, and returns the calls of commands.
func (s scene) run(script string) (calls []string, err error) {
	s.t.Helper()
	data, err := fs.ReadFile(FS, "packstack/"+script)
	if err != nil {
		s.t.Fatal(err)
	}
	calls, said, status := s.exec(string(data))
	s.t.Logf("%s: status %d\n%s", script, status, said)
	if status != 0 {
		return calls, fmt.Errorf("status %d", status)
	}
	return calls, nil
}

// exec runs a script with the root's paths in place of the machine's, as a step runs it.
func (s scene) exec(text string) (calls []string, said string, status int) {
	s.t.Helper()
	for _, d := range []string{"/etc/", "/root/", "/var/tmp"} {
		text = strings.ReplaceAll(text, d, s.dir+d)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "calls")); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	shell := recipe.Shell()
	cmd := exec.CommandContext(ctx, shell[0], shell[1:]...)
	cmd.Stdin = strings.NewReader(text)
	cmd.Env = []string{"PATH=" + filepath.Join(s.dir, "bin") + ":/usr/bin:/bin", "STUB=" + s.dir}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	if list, readErr := os.ReadFile(filepath.Join(s.dir, "calls")); readErr == nil {
		calls = strings.Split(strings.TrimSpace(strings.ReplaceAll(string(list), s.dir, "")), "\n")
	}
	return calls, string(out), cmd.ProcessState.ExitCode()
}

func (s scene) wantCalls(script string, want ...string) {
	s.t.Helper()
	got, err := s.run(script)
	if err != nil {
		s.t.Errorf("%s: %v", script, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", script, diff)
	}
}

func TestPackstackSSH(t *testing.T) {
	s := newScene(t)
	s.put("etc/ssh/sshd_config", "Port 22\n#PermitRootLogin prohibit-password\nPasswordAuthentication no\n")
	s.wantCalls("ssh.sh", "sshd -t", "systemctl restart sshd")
	if diff := cmp.Diff("Port 22\nPermitRootLogin yes\nPasswordAuthentication yes\n", s.get("etc/ssh/sshd_config")); diff != "" {
		t.Error(diff)
	}
}

// TestPackstackVault shows the edit of the article, also where a file came back, and that a second run changes nothing.
func TestPackstackVault(t *testing.T) {
	s := newScene(t)
	const before = "[baseos]\nmirrorlist=http://mirrorlist.centos.org/?release=8\n#baseurl=http://mirror.centos.org/$contentdir/8/\n"
	const after = "[baseos]\n#mirrorlist=http://mirrorlist.centos.org/?release=8\nbaseurl=http://vault.centos.org/$contentdir/8/\n"
	s.put("etc/yum.repos.d/CentOS-Linux-BaseOS.repo", before)
	for range 2 {
		s.wantCalls("vault.sh")
		if diff := cmp.Diff(after, s.get("etc/yum.repos.d/CentOS-Linux-BaseOS.repo")); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := newScene(t).run("vault.sh"); err == nil {
		t.Error("no repositories, and no complaint")
	}
}

func TestPackstackPrepare(t *testing.T) {
	s := newScene(t)
	s.put("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n")
	s.wantCalls("prepare.sh", "dnf -y install network-scripts", "systemctl cat firewalld.service", "systemctl stop firewalld",
		"systemctl disable firewalld", "dnf -y install dnf-command(config-manager)", "dnf config-manager --set-enabled powertools", "dnf -y update")
	if diff := cmp.Diff("SELINUX=permissive\nSELINUXTYPE=targeted\n", s.get("etc/selinux/config")); diff != "" {
		t.Error(diff)
	}
	s.put("etc/goldsmith/packstack.options", "SELINUX=maybe\nFIREWALLD=off\n")
	if _, err := s.run("prepare.sh"); err == nil {
		t.Error("a wrong option was taken")
	}
}

func TestPackstackNetwork(t *testing.T) {
	s := newScene(t)
	s.wantCalls("network.sh", "ip -o -4 route show default", "systemctl disable NetworkManager", "systemctl enable network")
	if got := s.get("etc/sysconfig/network-scripts/ifcfg-eth0"); !strings.Contains(got, "DEVICE=eth0\n") || !strings.Contains(got, "BOOTPROTO=dhcp\nNM_CONTROLLED=no\n") {
		t.Errorf("got %q", got)
	}
	s.put("says/ip", "")
	if _, err := s.run("network.sh"); err == nil {
		t.Error("no interface, and no complaint")
	}
}

func TestPackstackName(t *testing.T) {
	s := newScene(t)
	s.put("etc/hosts", "127.0.0.1 localhost\n10.0.0.1\tpackstack\n10.0.0.2 packstack2\n")
	s.wantCalls("name.sh", "hostnamectl set-hostname packstack", "ip -o -4 route get 192.0.2.1")
	if diff := cmp.Diff("127.0.0.1 localhost\n10.0.0.2 packstack2\n198.51.100.77 packstack\n", s.get("etc/hosts")); diff != "" {
		t.Error(diff)
	}
}

// TestPackstackFace shows that the alias is put in once.
func TestPackstackFace(t *testing.T) {
	s := newScene(t)
	s.put("etc/httpd/conf.d/15-horizon_vhost.conf", "<VirtualHost *:80>\n  ## Server aliases\n  ServerAlias 127.0.0.1\n  ServerAlias localhost\n</VirtualHost>\n")
	want := []string{"ip -o -4 route get 192.0.2.1", "systemctl restart httpd",
		"crudini --set /etc/nova/nova.conf vnc server_listen 127.0.0.1", "crudini --set /etc/nova/nova.conf vnc server_proxyclient_address 127.0.0.1",
		"crudini --set /etc/nova/nova.conf vnc novncproxy_host 0.0.0.0",
		"crudini --set /etc/nova/nova.conf vnc novncproxy_base_url http://198.51.100.77:6080/vnc_auto.html", "systemctl restart openstack-nova*"}
	for range 2 {
		s.wantCalls("face.sh", want...)
	}
	if diff := cmp.Diff("<VirtualHost *:80>\n  ## Server aliases\n  ServerAlias 198.51.100.77\n  ServerAlias 127.0.0.1\n  ServerAlias localhost\n</VirtualHost>\n",
		s.get("etc/httpd/conf.d/15-horizon_vhost.conf")); diff != "" {
		t.Error(diff)
	}
}

func TestPackstackInstall(t *testing.T) {
	s := newScene(t)
	s.put("root/.ssh/id_rsa.pub", "ssh-rsa AAAA root\n")
	s.wantCalls("install.sh", "ssh-keygen -q -t rsa -N  -f /root/.ssh/id_rsa", "ssh-keyscan 127.0.0.1", "packstack --answer-file=/root/packstack-answers.txt")
	if got := s.get("root/.ssh/authorized_keys"); got != "ssh-rsa AAAA root\n" {
		t.Errorf("authorized_keys %q", got)
	}
	s.put("fails/packstack", "")
	if _, err := s.run("install.sh"); err == nil {
		t.Error("packstack failed, the step did not")
	}
}

// TestPackstackCloud shows what is made in a cloud that has nothing: the stub's "show" says that all is there, so nothing
// is made but port security; and where show fails, everything is.
func TestPackstackCloud(t *testing.T) {
	s := newScene(t)
	s.wantCalls("cloud.sh", "openstack network list", "openstack network show extnet", "openstack network set --disable-port-security extnet",
		"openstack flavor show aqa1.flavor", "openstack image show debian-12", "openstack network list", "openstack flavor list", "openstack image list")
	s.put("bin/openstack", strings.Replace(stub, "[ ! -e \"$STUB/fails", "[ \"$2\" != show ] || exit 1\n[ ! -e \"$STUB/fails", 1))
	got, err := s.run("cloud.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"openstack network create --external --share --provider-network-type flat --provider-physical-network extnet --disable-port-security extnet",
		"openstack flavor create --vcpus 2 --ram 4096 --disk 20 --public --id 7 aqa1.flavor",
		"openstack image create --disk-format qcow2 --container-format bare --public --file /root/images/image.qcow2 debian-12",
	} {
		if !strings.Contains(strings.Join(got, "\n"), want+"\n") {
			t.Errorf("%q is not among\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func TestPackstackSmallSteps(t *testing.T) {
	s := newScene(t)
	s.wantCalls("update.sh", "dnf -y update")
	s.wantCalls("release-victoria.sh", "dnf -y install centos-release-openstack-victoria")
	s.wantCalls("release-epoxy.sh", "dnf -y install centos-release-openstack-epoxy")
	s.wantCalls("installer.sh", "dnf -y install openstack-packstack crudini")
	s.put("says/readlink", "/dev/null\n") // no block device
	if _, err := s.run("cinder.sh"); err == nil {
		t.Error("no second disk, and no complaint")
	}
}
