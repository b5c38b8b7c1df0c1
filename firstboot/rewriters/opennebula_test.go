package rewriters

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/oned"
)

func TestMACPrefixIsUnicastLocalAndOnePerNIC(t *testing.T) {
	seen := map[string]string{}
	for n := range 1 << 14 {
		mac := fmt.Sprintf("56:6f:1a:00:%02x:%02x", n>>8, n&0xff)
		s := NewScene(Stack, nil, identity.Identity{}, identity.Identity{NICs: []identity.NIC{{Name: "eth0", MAC: mac}}},
			identity.Policy{}, nil, Seed("seed"))
		s.Rekey = true
		p := s.macPrefix()
		if n == 0 {
			if p == "02:00" {
				t.Error("every OpenNebula has 02:00")
			}
			continue
		}
		if other, taken := seen[p]; taken {
			t.Fatalf("%s and %s get %s", mac, other, p)
		}
		seen[p] = mac
		if found := oned.Lint([]byte("MAC_PREFIX = \"" + p + "\"\n")); len(found) > 0 {
			t.Fatalf("%s: %v", p, found)
		}
		if s.Rekey = false; s.macPrefix() != "" {
			t.Fatal("a clone that has converged gets another prefix")
		}
	}
	s := NewScene(Stack, nil, identity.Identity{}, identity.Identity{}, identity.Policy{}, nil, Seed("seed"))
	if s.Rekey = true; len(s.macPrefix()) != 5 {
		t.Errorf("without a NIC: %q", s.macPrefix())
	}
	s.Policy.KeepSecrets = []string{"opennebula/macs"}
	if s.macPrefix() != "" {
		t.Error("the recipe keeps the MACs")
	}
}

func TestUnderPrefix(t *testing.T) {
	for in, want := range map[string]string{
		"02:00:0a:00:00:64": "0a:aa:0a:00:00:64",
		"02:17:00:00:00:01": "0a:aa:00:00:00:01",
		"0A:AA:00:00:00:01": "0a:aa:00:00:00:01",
		"00:50:56:00:00:01": "00:50:56:00:00:01", // a vendor's
		"03:00:00:00:00:01": "03:00:00:00:00:01", // multicast
		"02:00:00":          "02:00:00",
		"":                  "",
	} {
		if got := underPrefix("0a:aa", in); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

func ar(mac string, size int) string {
	return fmt.Sprintf("<AR><MAC><![CDATA[%s]]></MAC><SIZE><![CDATA[%d]]></SIZE></AR>", mac, size)
}

func TestNewOverlaps(t *testing.T) {
	same := func(m string) string { return m }
	under := func(m string) string { return underPrefix("0a:aa", m) }
	for name, tc := range map[string]struct {
		bodies []string
		want   []string
	}{
		"apart stay apart":         {[]string{ar("02:00:00:00:00:01", 10) + ar("02:00:00:00:00:10", 10)}, nil},
		"two prefixes, one tail":   {[]string{ar("02:00:00:00:00:01", 10), ar("02:17:00:00:00:05", 1)}, []string{"networks n0 and n1"}},
		"met before":               {[]string{ar("02:00:00:00:00:01", 10), ar("02:00:00:00:00:05", 1)}, nil},
		"end to end do not meet":   {[]string{ar("02:00:00:00:00:00", 5), ar("02:17:00:00:00:05", 1)}, nil},
		"no MAC, no size, no case": {[]string{"<AR><SIZE>4</SIZE></AR>", "<AR><MAC>02:00:00:00:00:01</MAC></AR>"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after []macRange
			for i, b := range tc.bodies {
				before = append(before, ranges(fmt.Sprint("n", i), b, same)...)
				after = append(after, ranges(fmt.Sprint("n", i), b, under)...)
			}
			if diff := cmp.Diff(tc.want, newOverlaps(before, after)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFollowTouchesOneValue(t *testing.T) {
	rule := func(tag, was string) string {
		if tag == "A" {
			return was + "&"
		}
		return was
	}
	for in, want := range map[string]string{
		"<X><A><![CDATA[1]]></A><B>1</B></X>":  "<X><A><![CDATA[1&]]></A><B>1</B></X>",
		"<X><A>1</A><A/></X>":                  "<X><A>1&amp;</A><A/></X>",
		`{"A": "a\/b","B": "1","N": {"A":""}}`: `{"A": "a/b\u0026","B": "1","N": {"A":"\u0026"}}`,
		"<A>1</B>":                             "<A>1</B>",
		"":                                     "",
	} {
		if got := follow(in, rule); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

func FuzzFollow(f *testing.F) {
	f.Add("<X><A><![CDATA[1]]></A></X>")
	f.Add(`{"A": "\u0026\"","B":1}`)
	f.Fuzz(func(t *testing.T, body string) {
		if got := follow(body, func(_, was string) string { return was }); got != body {
			t.Errorf("%q became %q", body, got)
		}
	})
}

// frontEnd is a scene on a tree with the given files and tables, and Rekey set.
func frontEnd(t *testing.T, files map[string]string, tables map[string][]host.Row) *Scene {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := host.Open(dir, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	to := identity.Identity{Hostname: "c1", NICs: []identity.NIC{{Name: "e", MAC: "52:54:00:00:01:02"}}}
	s := NewScene(Stack, Old{{Hostname: "gold"}}, identity.Identity{Hostname: "gold"}, to, identity.Policy{}, tablesOf{h, tables}, Seed("seed"))
	s.Rekey = true
	return s
}

type tablesOf struct {
	host.Reader
	tables map[string][]host.Row
}

func (d tablesOf) Schemas(context.Context) ([]string, error) { return []string{"opennebula"}, nil }

func (d tablesOf) DBUsers(context.Context) ([]host.Row, error) { return nil, nil }

func (d tablesOf) Rows(_ context.Context, schema, table string, _ ...string) ([]host.Row, error) {
	return d.tables[table], nil
}

func planOne(t *testing.T, s *Scene) *plan.Plan {
	t.Helper()
	p, err := Run(t.Context(), s, []Rewriter{openNebula()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const mysqlConf = "DB = [ BACKEND = \"mysql\", DB_NAME = \"opennebula\" ]\nMAC_PREFIX = \"02:00\"\n"

func TestDangers(t *testing.T) {
	vitastor := host.Row{"oid": "100", "name": "v", "body": "<DATASTORE><TEMPLATE><IMAGE_PREFIX><![CDATA[one]]></IMAGE_PREFIX>" +
		"<TM_MAD><![CDATA[vitastor]]></TM_MAD></TEMPLATE></DATASTORE>"}
	for name, tc := range map[string]struct {
		files  map[string]string
		tables map[string][]host.Row
		say    string
	}{
		"part of an HA group":    {map[string]string{onedConf: mysqlConf + "FEDERATION = [ MODE = \"STANDALONE\", SERVER_ID = 0 ]\n"}, nil, "server 0"},
		"a federation's slave":   {map[string]string{onedConf: mysqlConf + "FEDERATION = [ MODE = \"SLAVE\", SERVER_ID = -1 ]\n"}, nil, "mode SLAVE"},
		"an export in fstab":     {map[string]string{onedConf: mysqlConf, "/etc/fstab": "nas:/one /var/lib/one/datastores/0 nfs soft 0 0\n"}, nil, "each other's disks"},
		"an export in a unit":    {map[string]string{onedConf: mysqlConf, "/etc/systemd/system/var-lib-one-datastores-100.mount": "[Mount]\nType=nfs4\n"}, nil, "each other's disks"},
		"an image on the pool":   {map[string]string{onedConf: mysqlConf}, map[string][]host.Row{"datastore_pool": {vitastor}, "image_pool": {{"name": "i", "body": "<IMAGE><DATASTORE_ID>100</DATASTORE_ID></IMAGE>"}}}, "image i is stored under it"},
		"a VM's disk there":      {map[string]string{onedConf: mysqlConf}, map[string][]host.Row{"datastore_pool": {vitastor}, "vm_pool": {{"oid": "1", "name": "m", "body": "<VM><DISK><TM_MAD><![CDATA[vitastor]]></TM_MAD></DISK></VM>"}}}, "a disk of VM m"},
		"ranges that would meet": {map[string]string{onedConf: mysqlConf}, map[string][]host.Row{"network_pool": {{"oid": "0", "name": "n", "body": "<VNET>" + ar("02:00:00:00:00:01", 9) + ar("02:17:00:00:00:01", 9) + "</VNET>"}}}, "would share MACs"},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOne(t, frontEnd(t, tc.files, tc.tables))
			if len(p.Notes) != 1 || !p.Notes[0].Bad || !strings.Contains(p.Notes[0].What+p.Notes[0].Why, tc.say) {
				t.Errorf("notes %+v, want one danger that says %q", p.Notes, tc.say)
			}
		})
	}
}

func TestDatabaseKeyStaysWhereItIsNeeded(t *testing.T) {
	conf := mysqlConf + "USER_ENCRYPTED_ATTR = \"SSH_PRIVATE_KEY\"\nVM_ENCRYPTED_ATTR = \"CONTEXT/PASSWORD\"\n"
	files := map[string]string{onedConf: conf, oneAuth + "/one_key": "k"}
	removed := func(p *plan.Plan) bool {
		for _, c := range p.Changes {
			if c.Where == oneAuth+"/one_key" {
				return c.Want.Absent
			}
		}
		return false
	}
	if !removed(planOne(t, frontEnd(t, files, nil))) {
		t.Error("a key that nothing needs stays")
	}
	for table, body := range map[string]string{
		"user_pool": "<USER><TEMPLATE><SSH_PRIVATE_KEY><![CDATA[eA==]]></SSH_PRIVATE_KEY></TEMPLATE></USER>",
		"vm_pool":   "<VM><CONTEXT><PASSWORD><![CDATA[eA==]]></PASSWORD></CONTEXT></VM>",
	} {
		p := planOne(t, frontEnd(t, files, map[string][]host.Row{table: {{"oid": "3", "name": "x", "body": body}}}))
		if removed(p) || len(p.Notes) != 1 || !strings.Contains(p.Notes[0].Why, "encrypted") {
			t.Errorf("%s: the key goes although it is needed: %+v", table, p.Notes)
		}
	}
}

func TestNeverStartedFrontEnd(t *testing.T) {
	files := map[string]string{onedConf: "DB = [ BACKEND = \"sqlite\" ]\nMAC_PREFIX = \"02:00\"\n", oneAuth + "/one_auth": "oneadmin:golden\n"}
	var got []string
	p := planOne(t, frontEnd(t, files, nil))
	for _, c := range p.Changes {
		got = append(got, c.ID())
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0].Why, "starts for the first time") {
		t.Errorf("notes %+v", p.Notes)
	}
	if diff := cmp.Diff([]string{"oned:" + onedConf + " MAC_PREFIX", "file:" + oneAuth + "/one_auth"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestDatabaseThatHides(t *testing.T) {
	for name, conf := range map[string]string{"sqlite": "DB = [ BACKEND = \"sqlite\" ]\n", "mysql": "DB = [ BACKEND = \"mysql\", DB_NAME = \"other\" ]\n"} {
		s := frontEnd(t, map[string]string{onedConf: conf, oneAuth + "/sunstone_auth": "serveradmin:x\n"}, nil)
		if _, err := Run(t.Context(), s, []Rewriter{openNebula()}); err == nil || !strings.Contains(err.Error(), "although oned was started here") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestPasswordHashIsOfTheKindThatStandsThere(t *testing.T) {
	for want, digits := range map[string]int{ // printf golden | sha1sum, sha256sum
		"ec30adc79e734900430e4174cf0a36c2d0c42272":                         40,
		"dd56de4137951d9c92681b03416ec15f886b4482a27e3a517d32f085244cbe5d": 64,
	} {
		if got := digestLike(strings.Repeat("0", digits), "golden"); got != want {
			t.Errorf("%d digits: %s", digits, got)
		}
	}
	if got := nativePassword("password"); got != "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19" { // SELECT PASSWORD('password')
		t.Error(got)
	}
}

func TestVitastorRefusesAnEtcdOfTheGoldenImage(t *testing.T) {
	for unit, danger := range map[string]bool{
		"ExecStart=/usr/bin/etcd --advertise-client-urls http://10.0.0.5:2379\n":  true,
		"ExecStart=/usr/bin/etcd --advertise-client-urls http://10.0.0.55:2379\n": false,
		"ExecStart=/usr/bin/etcd --advertise-client-urls http://127.0.0.1:2379\n": false,
	} {
		s := frontEnd(t, map[string]string{etcdUnit: unit}, nil)
		s.Old = Old{{Address: netip.MustParseAddr("10.0.0.5")}}
		p, err := Run(t.Context(), s, []Rewriter{vitastor()})
		if err != nil || (len(p.Notes) == 1 && p.Notes[0].Bad) != danger {
			t.Errorf("%s: %+v, %v", unit, p, err)
		}
	}
}
