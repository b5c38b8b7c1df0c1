package probe

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/report"
)

// ovsLog is a database as Open vSwitch writes it: a new row, then a change, whole before version 2.16 and as a difference since.
func ovsLog(remote string, diff bool) string {
	first := `{"_date":1,"Open_vSwitch":{"a0":{"external_ids":["map",[["hostname","gold"],["system-id","golden-chassis"]]],"next_cfg":1}}}`
	next := `{"_date":2,"Open_vSwitch":{"a0":{"external_ids":["map",[["hostname","gold"],["ovn-remote","` + remote + `"],["system-id","own-chassis"]]]}}}`
	if diff {
		next = `{"_date":2,"_is_diff":true,"Open_vSwitch":{"a0":{"external_ids":["map",[["hostname","gold"],["ovn-remote","` + remote + `"],["system-id","own-chassis"]]]}}}`
	}
	return "OVSDB JSON 9 aa\n{\"name\":\"Open_vSwitch\"}\nOVSDB JSON 1 bb\n" + first + "\nOVSDB JSON 1 cc\n" + next + "\n" +
		"OVSDB JSON 1 dd\n{\"Bridge\":{\"b0\":{\"external_ids\":[\"map\",[[\"system-id\",\"a bridge's\"]]]}}}\n"
}

func TestNodeID(t *testing.T) {
	const conf = "/etc/openvswitch/conf.db"
	for name, tc := range map[string]struct {
		files   map[string]string
		verdict report.Verdict
		unique  []string
	}{
		"libvirt's default": {map[string]string{"/etc/libvirt/libvirtd.conf": "#host_uuid = \"0000\"\n"}, report.Skip, nil},
		"libvirt's own":     {map[string]string{"/etc/libvirt/virtqemud.conf": "host_uuid = \"AB-1\"\n"}, report.Pass, []string{"ab-1"}},
		"a chassis of a cluster": {map[string]string{conf: ovsLog("tcp:192.0.2.1:6642", false)}, report.Pass,
			[]string{"own-chassis"}},
		"a chassis of a cluster by name": {map[string]string{conf: ovsLog("ssl:controller:6642", true)}, report.Pass, []string{"own-chassis"}},
		"both":                           {map[string]string{conf: ovsLog("unix:/x,tcp:192.0.2.1:6642", true), "/etc/libvirt/libvirtd.conf": "host_uuid=\"u\""}, report.Pass, []string{"u", "own-chassis"}},
		"an all-in-one keeps its chassis, at the loopback": {map[string]string{conf: ovsLog("tcp:127.0.0.1:6642", true)}, report.Skip, nil},
		"at its own address":   {map[string]string{conf: ovsLog("tcp:192.0.2.7:6642", true)}, report.Skip, nil},
		"by a socket":          {map[string]string{conf: ovsLog("unix:/run/ovn/ovnsb_db.sock", true)}, report.Skip, nil},
		"a switch without OVN": {map[string]string{"/etc/openvswitch/system-id.conf": "x\n"}, report.Skip, nil},
		"a broken database":    {map[string]string{conf: "OVSDB JSON 1 aa\n{\"Open_vSwitch\":{\"a\":{\"external_ids\":[\"map\",7]},\"b\":null}}\n{"}, report.Skip, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := nodeID().Ask(t.Context(), target(t, nil, tc.files))
			if a.Verdict != tc.verdict || a.Verdict == report.Skip && a.Why == "" {
				t.Errorf("got %+v", a)
			}
			if diff := cmp.Diff(tc.unique, a.Unique); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExternalIDs(t *testing.T) {
	want := map[string]string{"ovn-remote": "unix:x", "system-id": "own-chassis"} // a difference takes out what stands there
	if diff := cmp.Diff(want, externalIDs([]byte(ovsLog("unix:x", true)))); diff != "" {
		t.Error(diff)
	}
	want["hostname"] = "gold"
	if diff := cmp.Diff(want, externalIDs([]byte(ovsLog("unix:x", false)))); diff != "" {
		t.Error(diff)
	}
}

func FuzzExternalIDs(f *testing.F) {
	f.Add([]byte(ovsLog("unix:x", true)))
	f.Fuzz(func(t *testing.T, b []byte) { externalIDs(b) })
}

// oned answers one call of one session.
func oned(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.Host+r.URL.Path != "192.0.2.7:2633/RPC2" || !strings.Contains(string(b), "<methodName>one.datastorepool.info</methodName>") ||
			!strings.Contains(string(b), "<string>oneadmin:p&amp;w</string>") {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		io.WriteString(w, answer)
	}
}

func answered(good int, text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	return fmt.Sprintf("<methodResponse><params><param><value><array><data><value><boolean>%d</boolean></value><value><string>%s</string></value>"+
		"<value><i4>0</i4></value></data></array></value></param></params></methodResponse>", good, b.String())
}

func TestPrefix(t *testing.T) {
	pool := "<DATASTORE_POOL><DATASTORE><TEMPLATE><IMAGE_PREFIX><![CDATA[one-1a]]></IMAGE_PREFIX></TEMPLATE></DATASTORE>" +
		"<DATASTORE><TEMPLATE><IMAGE_PREFIX><![CDATA[one-1a]]></IMAGE_PREFIX></TEMPLATE></DATASTORE><DATASTORE><TEMPLATE/></DATASTORE></DATASTORE_POOL>"
	front := map[string]string{onedFile: "# MAC_PREFIX = \"02:11\"\nMAC_PREFIX   = \"02:AA\"\nMAC_PREFIX = \"02:00\"\n", oneAuth: "oneadmin:p&w\n", "/usr/bin/oned": "ELF"}
	for name, tc := range map[string]struct {
		answer  string
		files   map[string]string
		verdict report.Verdict
		why     string
		unique  []string
	}{
		"neither":               {"", nil, report.Skip, "neither", nil},
		"neutron's controller":  {"", map[string]string{"/etc/keystone/keystone.conf": "", "/etc/neutron/neutron.conf": "[DEFAULT]\n#base_mac = fa:16:3e:00:00:00\nbase_mac=F6:01:02:03:00:00\n"}, report.Pass, "", []string{"base_mac f6:01:02:03:00:00"}},
		"a compute of neutron":  {"", map[string]string{"/etc/neutron/neutron.conf": "base_mac=f6:01:02:03:00:00\n"}, report.Skip, "neither", nil},
		"OpenNebula, never run": {"", map[string]string{onedFile: "MAC_PREFIX = \"02:aa\"\n"}, report.Pass, "", []string{"MAC_PREFIX 02:aa"}},
		"OpenNebula":            {answered(1, pool), front, report.Pass, "", []string{"MAC_PREFIX 02:aa", "IMAGE_PREFIX one-1a"}},
		"oned refuses":          {answered(0, "[one.datastorepool.info] User couldn't be authenticated"), front, report.Fail, "couldn't be authenticated", nil},
		"oned has a fault":      {"<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>-506</int></value></member><member><name>faultString</name><value><string>nope</string></value></member></struct></value></fault></methodResponse>", front, report.Fail, "fault -506: nope (XML-RPC)", nil},
		"oned says little":      {"<methodResponse/>", front, report.Fail, "0 values instead of one", nil},
		"oned says nothing":     {"", front, report.Fail, "the answer is empty", nil},
		"no session":            {"", map[string]string{onedFile: "", "/usr/bin/oned": ""}, report.Fail, "session", nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := prefix().Ask(t.Context(), target(t, oned(tc.answer), tc.files))
			if a.Verdict != tc.verdict || !strings.Contains(a.Why, tc.why) || strings.Contains(a.Why, "p&w") {
				t.Errorf("got %+v", a)
			}
			if diff := cmp.Diff(tc.unique, a.Unique); diff != "" {
				t.Error(diff)
			}
		})
	}
	silent := target(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }, front)
	if a := prefix().Ask(t.Context(), silent); a.Verdict != report.Fail || !strings.Contains(a.Why, "answers 503") {
		t.Errorf("got %+v", a)
	}
}

// Equal secrets give equal digests in one run and others in the next; no secret is to be seen.
func TestSecret(t *testing.T) {
	files := map[string]string{"/etc/keystone/keystone.conf": "", "/root/openrc": openrc, "/var/lib/rabbitmq/.erlang.cookie": "MONSTER", oneAuth: "oneadmin:p&w\n"}
	ask := func(salt string, files map[string]string, kept ...string) Answer {
		tg := target(t, nil, files)
		tg.Salt, tg.Kept = []byte(salt), kept
		return secret().Ask(t.Context(), tg)
	}
	a := ask("run 1", files)
	if a.Verdict != report.Pass || a.Show != "password, cookie, oneadmin" || len(a.Unique) != 3 {
		t.Fatalf("got %+v", a)
	}
	for _, s := range []string{"s3cret", "MONSTER", "p&w"} {
		if strings.Contains(fmt.Sprint(a), s) {
			t.Errorf("%s is shown: %+v", s, a)
		}
	}
	if !slices.Equal(a.Unique, ask("run 1", files).Unique) {
		t.Error("a secret that two clones share is not seen")
	}
	for _, u := range ask("run 2", files).Unique {
		if slices.Contains(a.Unique, u) {
			t.Errorf("%s is the same in two runs", u)
		}
	}
	changed := map[string]string{"/var/lib/rabbitmq/.erlang.cookie": "OTHER"}
	if u := ask("run 1", changed).Unique; len(u) != 1 || slices.Contains(a.Unique, u[0]) {
		t.Errorf("another cookie: %v", u)
	}
	for _, kept := range [][]string{{"rabbitmq/cookie"}, {"all"}} {
		if b := ask("run 1", changed, kept...); b.Verdict != report.Skip || !strings.Contains(b.Why, "as the image says") {
			t.Errorf("kept %v: %+v", kept, b)
		}
	}
	// A node of a cluster has the cluster's password.
	if b := ask("run 1", map[string]string{"/root/openrc": openrc}); b.Verdict != report.Skip {
		t.Errorf("got %+v", b)
	}
}
