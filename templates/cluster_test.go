package templates

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stubNova stands in for the two libraries that ask nova: it answers with what NODES says. That they ask the right thing is
// seen on live clusters.
const stubNova = `
import json, os, sys, types
class Session:
    def get(self, path, endpoint_filter):
        assert path == "/os-hypervisors/detail" and endpoint_filter["service_type"] == "compute"
        text = os.environ["NODES"]
        return types.SimpleNamespace(json=lambda: json.loads(text))
loading = types.SimpleNamespace(register_auth_conf_options=lambda c, s: None, register_session_conf_options=lambda c, s: None,
    load_auth_from_conf_options=lambda c, s: None, load_session_from_conf_options=lambda c, s, auth, timeout: Session())
class ConfigOpts:
    def __call__(self, args, project, default_config_files): assert default_config_files == ["/etc/nova/nova.conf"]
sys.modules["keystoneauth1"] = types.SimpleNamespace(loading=loading)
sys.modules["oslo_config"] = types.SimpleNamespace(cfg=types.SimpleNamespace(ConfigOpts=ConfigOpts))
`

// The hosts file gets a line for each compute, follows when one moves or goes, and keeps everything else byte for byte.
func TestClusterHosts(t *testing.T) {
	script, err := FS.ReadFile("cluster/hosts.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	hosts := filepath.Join(dir, "hosts")
	text := stubNova + strings.Replace(string(script), `"/etc/hosts"`, `"`+hosts+`"`, 1)
	const own = "127.0.0.1\tlocalhost\n10.0.9.2   c1.example c1 # mine\n10.0.9.9\tcontroller\n"
	if err := os.WriteFile(hosts, []byte(own), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(nodes string) string {
		t.Helper()
		cmd := exec.Command("python3", "-c", text)
		cmd.Env = append(os.Environ(), "NODES="+nodes)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data, err := os.ReadFile(hosts)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	node := func(name, address string) string {
		return `{"service": {"host": "` + name + `"}, "host_ip": "` + address + `"}`
	}
	const mark = "\t# node of the cluster\n"
	for _, c := range []struct{ what, nodes, want string }{
		{"two, of which one is this machine", node("c2", "10.0.9.3") + "," + node("c1", "10.0.9.2"), own + "10.0.9.3\tc2" + mark},
		{"another address and another node", node("c2", "10.0.9.33") + "," + node("c3", "10.0.9.4"), own + "10.0.9.33\tc2" + mark + "10.0.9.4\tc3" + mark},
		{"all gone", "", own},
	} {
		if got := run(`{"hypervisors": [` + c.nodes + `]}`); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.what, got, c.want)
		}
	}
	before, _ := os.Stat(hosts)
	run(`{"hypervisors": []}`)
	if after, _ := os.Stat(hosts); !os.SameFile(before, after) {
		t.Error("the file was written although nothing had changed")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".hosts-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}
