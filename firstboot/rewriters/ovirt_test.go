package rewriters

import (
	"maps"
	"strings"
	"testing"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
)

// goldenEngine is a scene of an engine that was set up on a machine called engine, as many are; so are its database and its user.
func goldenEngine(t *testing.T, files map[string]string, tables map[string][]host.Row) *Scene {
	t.Helper()
	all := map[string]string{
		engineName: "ENGINE_FQDN=engine.example.net\nENGINE_PROXY_ENABLED=true\n",
		engineDB:   "ENGINE_DB_HOST=\"localhost\"\nENGINE_DB_USER=\"engine\"\nENGINE_DB_PASSWORD=\"golden\"\nENGINE_DB_DATABASE=\"engine\"\n",
		enginePost: "[environment:default]\nOVESETUP_CONFIG/fqdn=str:engine.example.net\nOVESETUP_DB/user=str:engine\n",
	}
	maps.Copy(all, files)
	s := frontEnd(t, all, tables)
	s.Old = Old{{Hostname: "engine", Domain: "example.net"}}
	s.To = identity.Identity{Hostname: "engine-000102", Domain: "example.net", NICs: []identity.NIC{{Name: "e", MAC: "56:6f:00:00:01:02"}}}
	s.Policy.KeepSecrets = []string{"ovirt/ca"}
	return s
}

func planEngine(t *testing.T, s *Scene, r Rewriter) *plan.Plan {
	t.Helper()
	p, err := Run(t.Context(), s, []Rewriter{r})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestEngineCalledEngine: the short name of the machine is also a database, a user and a word that means "this engine".
func TestEngineCalledEngine(t *testing.T) {
	s := goldenEngine(t, nil, map[string][]host.Row{"vdc_options": {
		{"option_id": "1", "option_value": "Engine:6100"}, {"option_id": "2", "option_value": "engine.example.net:6100"}, {"option_id": "3", "option_value": "engine"}}})
	got := map[string]string{}
	for _, c := range planEngine(t, s, oVirt()).Changes {
		got[c.Where+" "+c.Key] = c.Want.Text
	}
	for place, want := range map[string]string{
		engineName + " ENGINE_FQDN":                              "engine-000102.example.net",
		"postgresql:engine.vdc_options option_id=2 option_value": "engine-000102.example.net:6100",
		enginePost + " ":                                         "[environment:default]\nOVESETUP_CONFIG/fqdn=str:engine-000102.example.net\nOVESETUP_DB/user=str:engine\n",
	} {
		if got[place] != want {
			t.Errorf("%s becomes %q, want %q", place, got[place], want)
		}
		delete(got, place)
	}
	for place := range got {
		if strings.Contains(place, "option_id=1") || strings.Contains(place, "option_id=3") || strings.HasSuffix(place, "ENGINE_DB_USER") || strings.HasSuffix(place, "ENGINE_DB_DATABASE") {
			t.Errorf("%s changes", place)
		}
	}
}

func TestEngineDangers(t *testing.T) {
	pool := func(rows ...host.Row) map[string][]host.Row {
		return map[string][]host.Row{"mac_pools": {{"id": "p", "name": "Default", "default_pool": "true"}, {"id": "q", "name": "lab", "default_pool": "false"}}, "mac_pool_ranges": rows}
	}
	in := func(id, from string) host.Row {
		return host.Row{"mac_pool_id": id, "from_mac": from + ":00:00", "to_mac": from + ":ff:ff"}
	}
	for name, c := range map[string]struct {
		files  map[string]string
		tables map[string][]host.Row
		kept   string // what allows it
		say    string
	}{
		"one authority":          {kept: "ovirt/ca", say: "certificate authority"},
		"Keycloak":               {files: map[string]string{engineConf + "12-setup-keycloak.conf": "KEYCLOAK_BUNDLED=true\n"}, kept: "ovirt/keycloak", say: "logins return to the golden engine"},
		"hosts":                  {tables: map[string][]host.Row{"vds_static": {{"vds_id": "1", "host_name": "node1.example.net"}, {"vds_id": "2", "host_name": "engine.example.net"}}}, kept: "ovirt/hosts", say: "hosts node1.example.net"},
		"two ranges":             {tables: pool(in("p", "56:6f:00:00"), in("p", "56:6f:00:01")), kept: "ovirt/macs", say: "MAC pool Default"},
		"a pool of somebody's":   {tables: pool(in("q", "02:00:00:00")), kept: "ovirt/macs", say: "MAC pool lab"},
		"a database for several": {files: map[string]string{engineDB: "ENGINE_DB_HOST=\"db.example.net\"\nENGINE_DB_DATABASE=\"engine\"\n"}, say: "one engine in it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := goldenEngine(t, c.files, c.tables)
			if s.Policy.KeepSecrets = nil; c.kept != "ovirt/ca" {
				s.Policy.KeepSecrets = []string{"ovirt/ca"}
			}
			bad := dangers(planEngine(t, s, oVirt()))
			if len(bad) != 1 || !strings.Contains(bad[0], c.say) || c.kept != "" && !strings.Contains(bad[0], "keep "+c.kept) {
				t.Errorf("dangers %q, want one that says %q and names %q", bad, c.say, c.kept)
			}
			if c.kept == "" {
				return
			}
			s = goldenEngine(t, c.files, c.tables)
			s.Policy.KeepSecrets = append(s.Policy.KeepSecrets, c.kept)
			if bad := dangers(planEngine(t, s, oVirt())); len(bad) > 0 {
				t.Errorf("%s is kept, and still: %q", c.kept, bad)
			}
			s = goldenEngine(t, c.files, c.tables)
			if s.Rekey, s.Policy.KeepSecrets = false, nil; len(dangers(planEngine(t, s, oVirt()))) > 0 {
				t.Error("what the clone's own administrator added is refused at the next boot")
			}
		})
	}
}

func dangers(p *plan.Plan) []string {
	var out []string
	for _, n := range p.Notes {
		if n.Bad {
			out = append(out, n.What+": "+n.Why)
		}
	}
	return out
}

// TestMACPoolIsTheClonesOwn: drawn on this clone by engine-setup it moves once, unless a VM has a MAC of it; chosen by somebody it stays.
func TestMACPoolIsTheClonesOwn(t *testing.T) {
	const own = "a6:00:01:02:00:00"
	for name, c := range map[string]struct {
		from  string
		rekey bool
		nic   string
		want  string // from_mac, "" for none
		moved string // the NIC
	}{
		"baked":                      {from: "56:6f:12:34", rekey: true, want: own},
		"baked, with a VM":           {from: "56:6f:12:34", rekey: true, nic: "56:6F:12:34:00:07", want: own, moved: "a6:00:01:02:00:07"},
		"baked, with another's MAC":  {from: "56:6f:12:34", rekey: true, nic: "00:1a:4a:00:00:07", want: own},
		"of the clone before":        {from: "f6:00:00:0a", rekey: true, want: own},
		"drawn on this clone":        {from: "56:6f:12:34", want: own},
		"drawn on this clone, used":  {from: "56:6f:12:34", nic: "56:6f:12:34:00:07"},
		"chosen by an administrator": {from: "02:aa:00:00"},
		"there already":              {from: "a6:00:01:02", rekey: true},
	} {
		s := goldenEngine(t, nil, map[string][]host.Row{"mac_pools": {{"id": "p", "name": "Default", "default_pool": "true"}},
			"mac_pool_ranges": {{"mac_pool_id": "p", "from_mac": c.from + ":00:00", "to_mac": c.from + ":ff:ff"}}, "vm_interface": {{"id": "n", "mac_addr": c.nic}}})
		s.Rekey = c.rekey
		got := map[string]string{}
		for _, ch := range planEngine(t, s, oVirt()).Changes {
			if ch.Row != nil {
				got[ch.Row.Column] = ch.Want.Text
			}
		}
		if got["from_mac"] != c.want || got["mac_addr"] != c.moved || c.want != "" && got["to_mac"] != "a6:00:01:02:ff:ff" {
			t.Errorf("%s: %v, want from_mac %q and mac_addr %q", name, got, c.want, c.moved)
		}
	}
}

func TestEngineNeedsADomain(t *testing.T) {
	s := goldenEngine(t, nil, nil)
	s.To.Domain = ""
	if _, err := Run(t.Context(), s, []Rewriter{oVirt()}); err == nil || !strings.Contains(err.Error(), "with a domain, not engine-000102") {
		t.Errorf("error %v", err)
	}
}

// TestAnswersOfBothEras: the release chose the keys; what it does not have is not added.
func TestAnswersOfBothEras(t *testing.T) {
	for era, keys := range map[string][]string{
		"3.4": {"OVESETUP_CONFIG/fqdn", "OVESETUP_CONFIG/adminPassword", "OVESETUP_CONFIG/macRangePool"},
		"4.5": {"OVESETUP_CONFIG/fqdn", "OVESETUP_CONFIG/adminPassword", "OVESETUP_ENGINE_CONFIG/fqdn"},
	} {
		text := "[environment:default]\n"
		for _, k := range keys {
			text += k + "=str:golden\n"
		}
		s := frontEnd(t, map[string]string{engineAnswers: text}, nil)
		s.To.Domain = "example.net"
		want := map[string]string{"OVESETUP_CONFIG/fqdn": "str:c1.example.net", "OVESETUP_ENGINE_CONFIG/fqdn": "str:c1.example.net",
			"OVESETUP_CONFIG/macRangePool": "str:f6:00:01:02:00:00-f6:00:01:02:ff:ff", "OVESETUP_CONFIG/adminPassword": "str:" + s.Secret("ovirt/admin", 24)}
		p := planEngine(t, s, oVirt())
		for _, k := range keys {
			found := false
			for _, c := range p.Changes {
				if c.Key == "[environment:default] "+k {
					found = true
					if c.Want.Text != want[k] || c.Secret != strings.HasSuffix(k, "Password") {
						t.Errorf("%s: %s becomes %q, secret %v", era, k, c.Want.Text, c.Secret)
					}
				}
			}
			if !found {
				t.Errorf("%s: %s is not filled in", era, k)
			}
		}
		if len(p.Changes) != len(keys)+1 { // and the secrets for the administrator
			t.Errorf("%s: %d changes", era, len(p.Changes))
		}
	}
}

func TestHostOfAHostedEngineIsRefused(t *testing.T) {
	files := map[string]string{hostedEngine: "host_id=1\nsdUUID=124e8020-c9d7-4e86-81e1-0d4e28ff1cd4\n", "/etc/vdsm/vdsm.id": "x\n", "/etc/pki/vdsm/certs/vdsmcert.pem": "c"}
	s := frontEnd(t, files, nil)
	s.Phase = Local
	p := planEngine(t, s, vdsm())
	if bad := dangers(p); len(bad) != 1 || !strings.Contains(bad[0], "sanlock host id") || len(p.Notes) != 2 || len(p.Changes) != 1 || !p.Changes[0].Want.Absent {
		t.Errorf("dangers %q, notes %v, changes %v", bad, p.Notes, p.Changes)
	}
	s = frontEnd(t, files, nil)
	if s.Phase, s.Rekey = Local, false; len(planEngine(t, s, vdsm()).Changes) > 0 {
		t.Error("a host that was deployed on the clone loses its id")
	}
}

func TestVerifierIsOfTheKindThatStandsThere(t *testing.T) {
	got, err := pgVerifier("md5aaaa", "engine", "golden", nil)
	if want := "md5a7e6aef3c7c3c111e0294462cd90b07e"; err != nil || got != want { // printf goldenengine | md5sum
		t.Errorf("%s %v", got, err)
	}
	got, err = pgVerifier("SCRAM-SHA-256$4096:x", "engine", "golden", []byte("0123456789abcdef"))
	if err != nil || !strings.HasPrefix(got, "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$") {
		t.Errorf("%s %v", got, err)
	}
}
