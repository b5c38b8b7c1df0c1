package source

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
)

// awake is a tree that says that it is the running machine.
type awake struct{ host.Reader }

func (awake) Running() bool { return true }

// machine lays files below a new root. A name that ends in "/" is a directory.
func machine(t *testing.T, running bool, files map[string]string) host.Reader {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := host.Open(root, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	if running {
		return awake{h}
	}
	return h
}

func read(t *testing.T, h host.Reader, env map[string]string, vols ...volume) (identity.Claim, string, error) {
	t.Helper()
	f := finder{Reader: h, getenv: func(k string) string { return env[k] },
		volumes: func() ([]volume, error) { return vols, nil }}
	return f.read(context.Background())
}

const (
	cmdlineFile = "proc/cmdline"
	credFile    = "run/credentials/@system/goldsmith.identity"
	claimFile   = "etc/goldsmith/identity.json"
	seedFile    = "var/lib/cloud/seed/nocloud/meta-data"
)

var (
	seedISO    = volume{device: "/dev/sr0", label: "cidata", name: "meta-data", data: []byte("local-hostname: from-iso\n")}
	contextISO = volume{device: "/dev/sr1", label: "CONTEXT", name: "context.sh", data: []byte("SET_HOSTNAME='from-context'\n")}
)

// Take the first source away, and the next one answers.
func TestOrderOfSources(t *testing.T) {
	files := map[string]string{
		cmdlineFile: "quiet goldsmith.hostname=from-cmdline",
		credFile:    `{"hostname": "from-credential"}`,
		"sys/firmware/dmi/entries/11-0/raw": string(oemTable("other=1",
			`io.systemd.credential:goldsmith.identity={"hostname":"from-smbios"}`)),
		seedFile:  "local-hostname: from-dir\n",
		claimFile: `{"hostname": "from-file"}`,
	}
	vols := []volume{seedISO, contextISO}
	for _, step := range []struct{ host, source, remove string }{
		{"from-cmdline", "the kernel command line", cmdlineFile},
		{"from-credential", "credential /run/credentials/@system/goldsmith.identity", credFile},
		{"from-smbios", "credential in SMBIOS type 11", "sys/firmware/dmi/entries/11-0/raw"},
		{"from-iso", "NoCloud seed on /dev/sr0", "volume"},
		{"from-dir", "NoCloud seed /var/lib/cloud/seed/nocloud/meta-data", seedFile},
		{"from-context", "OpenNebula context on /dev/sr1", "volume"},
		{"from-file", "file /etc/goldsmith/identity.json", claimFile},
		{"", None, ""},
	} {
		claim, source, err := read(t, machine(t, true, files), nil, vols...)
		if claim.Hostname != step.host || source != step.source || err != nil {
			t.Fatalf("got %q from %q, %v; want %q from %q", claim.Hostname, source, err, step.host, step.source)
		}
		if step.remove == "volume" {
			vols = vols[1:]
		}
		delete(files, step.remove)
	}
}

func TestUnitsOwnCredentialComesFirst(t *testing.T) {
	h := machine(t, true, map[string]string{
		"run/credentials/goldsmith-local.service/goldsmith.identity": `{"hostname": "from-unit"}`,
		credFile: `{"hostname": "from-system"}`,
	})
	claim, _, err := read(t, h, map[string]string{"CREDENTIALS_DIRECTORY": "/run/credentials/goldsmith-local.service"})
	if err != nil || claim.Hostname != "from-unit" {
		t.Errorf("got %q, %v", claim.Hostname, err)
	}
}

func TestFirmwareWithoutSystemdsHelp(t *testing.T) {
	binary := "io.systemd.credential.binary:goldsmith.identity=eyJob3N0bmFtZSI6Im5pbmUifQ=="
	for name, files := range map[string]map[string]string{
		"whole table":  {"sys/firmware/dmi/tables/DMI": string(oemTable("x", binary))},
		"one entry":    {"sys/firmware/dmi/entries/11-1/raw": string(oemTable(binary))},
		"fw_cfg":       {strings.TrimPrefix(fwCfg, "/"): `{"hostname":"nine"}`},
		"second entry": {"sys/firmware/dmi/entries/11-0/raw": string(oemTable("a", "b")), "sys/firmware/dmi/entries/11-1/raw": string(oemTable(binary))},
	} {
		claim, _, err := read(t, machine(t, true, files), nil)
		if err != nil || claim.Hostname != "nine" {
			t.Errorf("%s: got %q, %v", name, claim.Hostname, err)
		}
	}
}

// A container sees its host's kernel command line, firmware and drives: none of them speaks about it.
func TestContainerDoesNotBelieveItsHost(t *testing.T) {
	files := map[string]string{
		"run/systemd/container":             "systemd-nspawn",
		cmdlineFile:                         "goldsmith.hostname=host-of-the-host",
		"sys/firmware/dmi/entries/11-0/raw": string(oemTable(`io.systemd.credential:goldsmith.identity={"hostname":"smbios"}`)),
	}
	if claim, source, err := read(t, machine(t, true, files), nil, seedISO, contextISO); source != None || err != nil {
		t.Errorf("got %+v from %q, %v", claim, source, err)
	}
	files["proc/1/cmdline"] = "/sbin/init\x00goldsmith.hostname=mine\x00"
	if claim, _, err := read(t, machine(t, true, files), nil); claim.Hostname != "mine" || err != nil {
		t.Errorf("got %+v, %v", claim, err)
	}
}

func TestTreeDoesNotBelieveItsBench(t *testing.T) {
	h := machine(t, false, map[string]string{cmdlineFile: "goldsmith.hostname=bench", credFile: `{"hostname":"bench"}`,
		claimFile: `{"hostname":"tree"}`})
	claim, source, err := read(t, h, map[string]string{"CREDENTIALS_DIRECTORY": "/run/credentials/@system"}, seedISO)
	if claim.Hostname != "tree" || source != "file "+identity.ClaimFile || err != nil {
		t.Errorf("got %+v from %q, %v", claim, source, err)
	}
}

// What is there and wrong stops the run, and does not let the next source answer.
func TestWrongClaimsAreNotSkipped(t *testing.T) {
	broken := volume{device: "/dev/sr0", label: "CIDATA", name: "meta-data", err: os.ErrNotExist}
	for _, c := range []struct {
		name  string
		files map[string]string
		vols  []volume
		want  []string
	}{
		{"every wrong field is named", map[string]string{cmdlineFile: "goldsmith.hostname=-a goldsmith.interface=a/b goldsmith.colour=red goldsmith.prefix"}, nil,
			[]string{"hostname of the kernel command line", "interface of the kernel command line", "colour of the kernel command line", "prefix of the kernel command line: no value"}},
		{"credential is not JSON", map[string]string{credFile: "hostname=x"}, nil, []string{"credential /run/credentials/@system", "not a JSON object"}},
		{"credential is empty", map[string]string{credFile: ""}, nil, []string{"not a JSON object"}},
		{"fields of a credential", map[string]string{credFile: `{"hostname": 7, "hostnmae": "x", "peers": {"c1": "10.0.0", "c2": 4}}`}, nil,
			[]string{"hostname of credential", `hostnmae of credential`, "peer.c1", "peer.c2"}},
		{"base64", map[string]string{"sys/firmware/dmi/entries/11-0/raw": string(oemTable("io.systemd.credential.binary:goldsmith.identity=***"))}, nil, []string{"not base64"}},
		{"seed without meta-data", nil, []volume{broken}, []string{"meta-data of NoCloud seed on /dev/sr0"}},
		{"two seeds", nil, []volume{seedISO, {device: "/dev/sdb", label: "CIDATA"}}, []string{"/dev/sr0 and /dev/sdb both are"}},
		{"file", map[string]string{claimFile: `{"phone_home": "ftp://x/"}`}, nil, []string{"phone_home of file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.files == nil {
				c.files = map[string]string{}
			}
			if _, ok := c.files[claimFile]; !ok {
				c.files[claimFile] = `{"hostname": "must-not-answer"}`
			}
			claim, _, err := read(t, machine(t, true, c.files), nil, c.vols...)
			if err == nil {
				t.Fatalf("no error, claim %+v", claim)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error does not say %q:\n%v", w, err)
				}
			}
			if diff := cmp.Diff(identity.Claim{}, claim, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("a claim comes with the error: %s", diff)
			}
		})
	}
}

// oemTable makes an SMBIOS table: some structure, OEM strings, the end.
func oemTable(strs ...string) []byte {
	table := []byte{1, 8, 0, 0, 1, 2, 3, 4}
	table = append(table, "vendor\x00product\x00\x00"...)
	table = append(table, 2, 4, 1, 0, 0, 0) // a structure without strings ends in two NUL
	table = append(table, 11, 5, 9, 0, byte(len(strs)))
	for _, s := range strs {
		table = append(table, s...)
		table = append(table, 0)
	}
	table = append(table, 0)
	return append(table, 127, 4, 0, 0, 0, 0)
}
