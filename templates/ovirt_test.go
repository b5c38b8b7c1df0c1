package templates

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newEngineScene is a stub root with what oVirt's scripts call.
func newEngineScene(t *testing.T) scene {
	t.Helper()
	s := newScene(t)
	for _, c := range []string{"squid", "exportfs", "chown", "sync", "runuser", "engine-setup", "engine-config", "hostname", "ovirt-aaa-jdbc-tool"} {
		s.put("bin/"+c, stub)
		if err := os.Chmod(filepath.Join(s.dir, "bin", c), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"etc/squid", "etc/ovirt-engine/engine.conf.d", "etc/ovirt-engine/aaa", "etc/ovirt-engine-setup.conf.d", "etc/pki/ovirt-engine/keys",
		"etc/pki/ovirt-engine/certs", "var/lib/goldsmith", "usr/lib/goldsmith", "usr/share/ovirt-engine/bin"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.tool("usr/lib/goldsmith/firstboot", stub)
	data, err := fs.ReadFile(FS, "ovirt/options")
	if err != nil {
		t.Fatal(err)
	}
	s.put("etc/goldsmith/ovirt.options", string(data))
	return s
}

// tool is a command with its own path.
func (s scene) tool(name, text string) {
	s.t.Helper()
	s.put(name, text)
	if err := os.Chmod(filepath.Join(s.dir, name), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// option replaces one line of the options.
func (s scene) option(key, value string) {
	s.t.Helper()
	lines := strings.Split(s.get("etc/goldsmith/ovirt.options"), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, key+"=") })
	if i < 0 {
		s.t.Fatalf("there is no option %s", key)
	}
	lines[i] = key + "=" + value
	s.put("etc/goldsmith/ovirt.options", strings.Join(lines, "\n"))
}

// engine runs one of oVirt's scripts in the root.
func (s scene) engine(script string) (calls []string, err error) {
	s.t.Helper()
	data, err := fs.ReadFile(FS, "ovirt/"+script)
	if err != nil {
		s.t.Fatal(err)
	}
	text := string(data)
	for _, d := range []string{"/etc/", "/var/lib/", "/usr/lib/goldsmith", "/usr/share/", "/srv/"} {
		text = strings.ReplaceAll(text, d, s.dir+d)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "calls")); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command("sh", "-eu")
	cmd.Stdin = strings.NewReader(text)
	cmd.Env = []string{"PATH=" + filepath.Join(s.dir, "bin") + ":/usr/bin:/bin", "STUB=" + s.dir}
	out, err := cmd.CombinedOutput()
	s.t.Logf("%s: %v\n%s", script, err, out)
	if list, readErr := os.ReadFile(filepath.Join(s.dir, "calls")); readErr == nil {
		calls = strings.Split(strings.TrimSpace(strings.ReplaceAll(string(list), s.dir, "")), "\n")
	}
	return calls, err
}

func (s scene) wantEngine(script string, want ...string) {
	s.t.Helper()
	got, err := s.engine(script)
	if err != nil {
		s.t.Errorf("%s: %v", script, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", script, diff)
	}
}

// refuses runs a script that must fail.
func (s scene) refuses(script, why string) {
	s.t.Helper()
	if _, err := s.engine(script); err == nil {
		s.t.Errorf("%s: %s, and no complaint", script, why)
	}
}

func TestEngineName(t *testing.T) {
	s := newEngineScene(t)
	s.put("etc/hosts", "127.0.0.1 localhost\n10.0.0.1\tengine.old.test engine\n10.0.0.2 engine2 engineering\n")
	for range 2 {
		s.wantEngine("name.sh", "hostnamectl set-hostname engine.ovirt.test", "ip -o -4 route get 192.0.2.1")
		if diff := cmp.Diff("127.0.0.1 localhost\n10.0.0.2 engine2 engineering\n198.51.100.77 engine.ovirt.test engine\n", s.get("etc/hosts")); diff != "" {
			t.Error(diff)
		}
	}
	s.option("NAME", "engine")
	s.refuses("name.sh", "a name without a domain")
}

func TestEnginePackages(t *testing.T) {
	s := newEngineScene(t)
	s.put("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n")
	s.wantEngine("release.sh", "dnf -y install centos-release-ovirt45")
	s.wantEngine("prepare.sh", "dnf -y install chrony", "systemctl enable chronyd")
	if got := s.get("etc/selinux/config"); got != "SELINUX=enforcing\nSELINUXTYPE=targeted\n" {
		t.Errorf("SELinux is not kept: %q", got)
	}
	s.option("SELINUX", "permissive")
	s.wantEngine("prepare.sh", "dnf -y install chrony", "systemctl enable chronyd")
	if got := s.get("etc/selinux/config"); got != "SELINUX=permissive\nSELINUXTYPE=targeted\n" {
		t.Errorf("SELinux: %q", got)
	}
	s.option("SELINUX", "off")
	s.refuses("prepare.sh", "a wrong option")
	s.wantEngine("engine.sh", "dnf -y install ovirt-engine python3-numpy")
	s.put("etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf", "")
	s.refuses("engine.sh", "engine-setup was run before")
}

func TestEngineSetUpInTheImage(t *testing.T) {
	s := newEngineScene(t)
	s.put("etc/goldsmith/engine-answers.conf", "[environment:default]\nOVESETUP_CONFIG/fqdn=str:engine.ovirt.test\n")
	s.option("NAME", "engine.example.net")
	s.refuses("setup.sh", "answers for another machine")
	s.option("NAME", "engine.ovirt.test")
	s.wantEngine("setup.sh", "engine-setup --offline --accept-defaults --config-append=/etc/goldsmith/engine-answers.conf")
	if got := s.get("etc/goldsmith/engine-answers.conf"); !strings.Contains(got, "no such file") {
		t.Errorf("the answers, with a password, stay in the image: %q", got)
	}
}

func TestEngineStorage(t *testing.T) {
	s := newEngineScene(t)
	s.wantEngine("nfs.sh") // no export is asked for
	s.option("NFS_EXPORT", "/srv/data")
	s.option("NFS_VERSION", "3")
	export := s.dir + "/srv/data"
	s.put("etc/goldsmith/ovirt.options", strings.ReplaceAll(s.get("etc/goldsmith/ovirt.options"), "/srv/data", export))
	for range 2 {
		s.wantEngine("nfs.sh", "dnf -y install nfs-utils", "chown 36:36 /srv/data", "systemctl enable nfs-server", "exportfs -r")
	}
	if got := s.get("etc/exports"); got != export+" *(rw,sync,no_subtree_check,anonuid=36,anongid=36)\n" {
		t.Errorf("exports: %q", got)
	}
	if got := s.get("etc/nfs.conf.d/goldsmith.conf"); got != "[nfsd]\nvers3=y\nvers4=n\n" {
		t.Errorf("nfs.conf: %q", got)
	}
	if got := s.get("etc/nfsmount.conf.d/goldsmith.conf"); !strings.Contains(got, "Nfsvers=3\n") {
		t.Errorf("nfsmount.conf: %q", got)
	}
	s.option("NFS_VERSION", "2")
	s.refuses("nfs.sh", "a version that nobody serves")
	s.option("NFS_EXPORT", "data")
	s.refuses("nfs.sh", "a relative path")
}

func TestSpiceProxy(t *testing.T) {
	s := newEngineScene(t)
	s.wantEngine("spice.sh")
	s.option("SPICE_PROXY", "yes")
	s.refuses("spice.sh", "no network of hosts")
	s.option("SPICE_NETWORK", "192.168.10.0/24")
	s.wantEngine("spice.sh", "dnf -y install squid", "squid -k parse", "systemctl enable squid")
	got := s.get("etc/squid/squid.conf")
	for _, line := range []string{"http_port 3128\n", "acl spice_servers dst 192.168.10.0/24\n", "http_access allow CONNECT spice_servers spice_ports\nhttp_access deny all\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("%q is not in\n%s", line, got)
		}
	}
	s.option("SPICE_PROXY", "on")
	s.refuses("spice.sh", "a wrong option")
}

func TestEngineHost(t *testing.T) {
	s := newEngineScene(t)
	s.wantEngine("host.sh", "dnf -y install NetworkManager", "systemctl enable NetworkManager", "dnf -y install ovirt-host")
	s.option("NETWORK", "scripts")
	s.option("GLUSTER", "yes")
	s.option("GLUSTER_BRICK", s.dir+"/srv/brick0")
	s.wantEngine("host.sh", "dnf -y install network-scripts", "systemctl disable NetworkManager", "systemctl enable network", "dnf -y install ovirt-host",
		"dnf -y install vdsm-gluster", "chown 36:36 /srv/brick0")
	s.option("GLUSTER", "no")
	if err := os.MkdirAll(filepath.Join(s.dir, "etc/ovirt-hosted-engine"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.put("etc/ovirt-hosted-engine/hosted-engine.conf", "host_id=1\n")
	s.refuses("host.sh", "a host of a hosted engine")
	s.option("NETWORK", "ifupdown")
	s.refuses("host.sh", "a wrong option")
}

// TestEngineSetupOnAClone: once, and after a cut from the beginning; nothing when it was done.
func TestEngineSetupOnAClone(t *testing.T) {
	s := newEngineScene(t)
	s.put("says/hostname", "engine-000102.ovirt.test\n")
	s.put("etc/goldsmith/engine-answers.conf", "[environment:default]\n")
	s.put("etc/pki/ovirt-engine/openssl.conf", "packaged\n")
	setup := "engine-setup --offline --accept-defaults --config-append=/etc/goldsmith/engine-answers.conf"

	// Power is lost while engine-setup runs: an authority and a configuration are half-made.
	s.tool("bin/engine-setup", stub+"echo half >"+s.dir+"/etc/pki/ovirt-engine/ca.pem\n: >"+s.dir+"/etc/ovirt-engine/engine.conf.d/10-setup-database.conf\nexit 1\n")
	if got, err := s.engine("engine-setup"); err == nil || got[len(got)-1] != setup {
		t.Fatalf("calls %q, error %v", got, err)
	}
	s.tool("bin/engine-setup", stub+"[ ! -e "+s.dir+"/etc/pki/ovirt-engine/ca.pem ] || { echo a half-made authority; exit 9; }\n"+
		"[ -e "+s.dir+"/etc/pki/ovirt-engine/openssl.conf ] || { echo the package lost a file; exit 9; }\n")
	s.option("SPICE_PROXY", "yes")
	s.wantEngine("engine-setup",
		"systemctl stop ovirt-engine ovirt-websocket-proxy ovirt-provider-ovn ovirt-engine-dwhd httpd", "systemctl start postgresql",
		"runuser -u postgres -- dropdb --if-exists engine", "runuser -u postgres -- dropuser --if-exists engine",
		"runuser -u postgres -- dropdb --if-exists ovirt_engine_history", "runuser -u postgres -- dropuser --if-exists ovirt_engine_history",
		setup, "engine-config -s WebSocketProxy=Engine:6100", "hostname -f", "engine-config -s SpiceProxyDefault=http://engine-000102.ovirt.test:3128",
		"firstboot apply --phase stack", "systemctl try-restart ovirt-engine")
	for _, gone := range []string{"etc/goldsmith/engine-answers.conf", "var/lib/goldsmith/engine-setup.begun", "etc/ovirt-engine/engine.conf.d/10-setup-database.conf"} {
		if _, err := os.Lstat(filepath.Join(s.dir, gone)); err == nil {
			t.Errorf("/%s stays", gone)
		}
	}
	s.wantEngine("engine-setup") // done is done
}

// TestEngineSetupIsCutBeforeItBegins: a copy that was not finished is made again, and never taken for what there was.
func TestEngineSetupIsCutBeforeItBegins(t *testing.T) {
	s := newEngineScene(t)
	s.put("etc/goldsmith/engine-answers.conf", "")
	if err := os.MkdirAll(filepath.Join(s.dir, "var/lib/goldsmith/engine-setup.begun/pki"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.put("etc/pki/ovirt-engine/openssl.conf", "packaged\n")
	s.option("WEBSOCKET_PROXY", "")
	s.wantEngine("engine-setup", "sync ", "sync ", "engine-setup --offline --accept-defaults --config-append=/etc/goldsmith/engine-answers.conf",
		"firstboot apply --phase stack", "systemctl try-restart ovirt-engine")
	if got := s.get("etc/pki/ovirt-engine/openssl.conf"); got != "packaged\n" {
		t.Errorf("what the package brought is gone: %q", got)
	}
}

// enrol stands in for the engine's own scripts, with real openssl: what they are asked for is what the certificate says.
const enrol = `#!/bin/sh
for a in "$@"; do case $a in
--name=*) name=${a#*=} ;; --subject=*) subject=${a#*=} ;; --san=*) san=${a#*=} ;; --days=*) days=${a#*=} ;; --cert=-) cert=1 ;; --key=*) key=${a#*=} ;;
esac; done
pki=$STUB/etc/pki/ovirt-engine
case ${0##*/} in
pki-enroll-pkcs12.sh)
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" -addext "subjectAltName=$san" -days "$days" -keyout "$pki/k" -out "$pki/certs/$name.cer" 2>/dev/null
	openssl pkcs12 -export -in "$pki/certs/$name.cer" -inkey "$pki/k" -out "$pki/keys/$name.p12" -passout pass:mypass
	echo "enroll $name $san $days" >>"$STUB/calls" ;;
*)
	[ -z "${cert:-}" ] || openssl pkcs12 -in "$pki/keys/$name.p12" -passin pass:mypass -nokeys
	[ -z "${key:-}" ] || openssl pkcs12 -in "$pki/keys/$name.p12" -passin pass:mypass -nocerts -nodes -out "$key" ;;
esac
`

// TestEngineRenew: certificates under the clone's name, with all else in their subjects as it was; a second run, and one after a
// cut, end the same; a certificate of another authority stays.
func TestEngineRenew(t *testing.T) {
	s := newEngineScene(t)
	s.tool("usr/share/ovirt-engine/bin/pki-enroll-pkcs12.sh", enrol)
	s.tool("usr/share/ovirt-engine/bin/pki-pkcs12-extract.sh", enrol)
	s.tool("bin/ovirt-aaa-jdbc-tool", stub+"echo \"pass is $pass\" >>\"$STUB/calls\"\n")
	make := func(name string) {
		cmd := exec.Command(filepath.Join(s.dir, "usr/share/ovirt-engine/bin/pki-enroll-pkcs12.sh"), "--name="+name, "--subject=/C=US/O=example.net/CN=gold.example.net", "--san=DNS:gold.example.net", "--days=30")
		cmd.Env = []string{"PATH=/usr/bin:/bin", "STUB=" + s.dir}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	make("websocket-proxy")
	make("apache")
	ca := s.get("etc/pki/ovirt-engine/certs/apache.cer")
	s.put("etc/pki/ovirt-engine/ca.pem", ca)
	s.put("etc/pki/ovirt-engine/apache-ca.pem", ca)
	request := "ENGINE_FQDN=engine-000102.example.net\nADMIN_PASSWORD=TheClonesOwn\n"
	subject := func(name string) string {
		cmd := exec.Command("openssl", "x509", "-noout", "-subject", "-nameopt", "compat", "-ext", "subjectAltName")
		cmd.Stdin = strings.NewReader(s.get("etc/pki/ovirt-engine/certs/" + name + ".cer"))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(out)), " ")
	}
	const want = "subject=/C=US/O=example.net/CN=engine-000102.example.net X509v3 Subject Alternative Name: DNS:engine-000102.example.net"
	const reset = "ovirt-aaa-jdbc-tool user password-reset admin --password=env:pass --force --password-valid-to=2200-01-01 00:00:00Z"

	s.put("etc/goldsmith/engine-renew.conf", request)
	s.wantEngine("engine-renew", "enroll apache DNS:engine-000102.example.net 398", "enroll websocket-proxy DNS:engine-000102.example.net 398", reset, "pass is TheClonesOwn")
	for _, name := range []string{"apache", "websocket-proxy"} {
		if got := subject(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
		if !strings.Contains(s.get("etc/pki/ovirt-engine/keys/"+name+".key.nopass"), "PRIVATE KEY") {
			t.Errorf("%s has no key", name)
		}
	}
	s.wantEngine("engine-renew") // nobody asks

	// Cut after the certificate was written and before its key store was: the store says the old name.
	s.put("etc/goldsmith/engine-renew.conf", strings.Replace(request, "000102", "000103", 1))
	store := s.get("etc/pki/ovirt-engine/keys/apache.p12")
	if _, err := s.engine("engine-renew"); err != nil {
		t.Fatal(err)
	}
	s.put("etc/pki/ovirt-engine/keys/apache.p12", store)
	s.put("etc/goldsmith/engine-renew.conf", "ENGINE_FQDN=engine-000103.example.net\n")
	s.wantEngine("engine-renew", "enroll apache DNS:engine-000103.example.net 398")

	make("other")
	s.put("etc/pki/ovirt-engine/apache-ca.pem", s.get("etc/pki/ovirt-engine/certs/other.cer"))
	s.put("etc/goldsmith/engine-renew.conf", "ENGINE_FQDN=engine-000104.example.net\n")
	s.wantEngine("engine-renew", "enroll websocket-proxy DNS:engine-000104.example.net 398")
}

// TestUnitsOfAnEngine: they come with the engine and not without it, and wait for the clone.
func TestUnitsOfAnEngine(t *testing.T) {
	for unit, has := range map[string]bool{"ovirt-engine.service": true, "keystone.service": false} {
		files, err := Units([]string{unit})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]File{}
		for _, f := range files {
			got[f.Path] = f
		}
		for _, name := range []string{"setup", "renew"} {
			u, found := got["/usr/lib/systemd/system/goldsmith-engine-"+name+".service"]
			script := got["/usr/lib/goldsmith/engine-"+name]
			if found != has || has && (script.Mode != 0o755 || !strings.Contains(string(u.Data), "ExecStart=/bin/sh "+script.Path+"\n") ||
				!strings.Contains(string(u.Data), "Requires=goldsmith-stack.target\nAfter=goldsmith-stack.target") ||
				got["/etc/systemd/system/multi-user.target.wants/goldsmith-engine-"+name+".service"].Link == "") {
				t.Errorf("%s with %s: %v %s", name, unit, found, u.Data)
			}
		}
	}
}
