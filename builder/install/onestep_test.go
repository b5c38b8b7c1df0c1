package install

import (
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/oneapi"
	"goldsmith/builder/recipe"
)

func TestOpenNebulaStep(t *testing.T) {
	root := plugged(t)
	stock := "../../firstboot/text/oned/testdata/6.10.5/"
	put(t, root, onedConf, read(t, stock+"oned.conf"), 0o640)
	put(t, root, kvmConf, read(t, stock+"vmm_exec_kvm.conf"), 0o644)
	put(t, root, execRC, read(t, "testdata/one-6.10.5/vmm_execrc"), 0o644)
	put(t, root, downloader, read(t, "testdata/one-6.10.5/downloader.sh"), 0o755)
	put(t, root, pluginDiff, diff, 0o644)
	step := recipe.OpenNebula{Tuning: true, Vitastor: &recipe.Vitastor{SaveRestore: true}, Lockdown: &recipe.Lockdown{Bridge: "onebr0",
		Guests: []netip.Prefix{netip.MustParsePrefix("10.0.3.0/24")}, Storage: []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24")}}}
	var log strings.Builder
	units, err := adjustOpenNebula(root, step, "s3cret", &log)
	if d := cmp.Diff([]string{"storage-lockdown.service"}, units); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	for _, say := range []string{"changed       TM_MAD -d", "changed       KVM default DISK/IO", "not needed    AppArmor", "changed       storage lock-down: rules"} {
		if !strings.Contains(log.String(), say) {
			t.Errorf("the log lacks %q:\n%s", say, log.String())
		}
	}
	rm(t, root, remotes+"/tm/vitastor/mvds")
	if _, err := adjustOpenNebula(root, step, "s3cret", &log); err == nil || !strings.Contains(err.Error(), "mvds") {
		t.Errorf("a broken plugin: %v", err)
	}
	rm(t, root, pluginDiff)
	if _, err := adjustOpenNebula(root, step, "s3cret", &log); err == nil || !strings.Contains(err.Error(), "hint: install") {
		t.Errorf("no plugin: %v", err)
	}
}

// front is a whole step of an all-in-one.
func front() recipe.OpenNebula {
	return recipe.OpenNebula{Release: "6.10", Role: recipe.RoleAIO, Database: "mariadb", Hosts: []string{"localhost"}, Autostart: true, Tuning: true,
		Datastores: []recipe.Datastore{{Name: "images", Type: "image", DSMad: "fs", TMMad: "shared"}, {Name: "disks", Type: "system", TMMad: "shared"}},
		Networks: []recipe.VirtualNetwork{{Name: "guests", Driver: "fw", Bridge: "br0", Filter: true, First: netip.MustParseAddr("10.0.3.10"),
			Network: netip.MustParsePrefix("10.0.3.0/24")}},
		Mounts:  []recipe.StoreMount{{Datastore: 100, Source: "nas:/one/100", Type: "nfs"}},
		Volumes: []recipe.Volume{{Datastore: 0, Disks: []string{"/dev/vdb", "/dev/vdc"}}},
		Bridges: []recipe.HostBridge{{Name: "br0", Port: "host0", Manager: "networkd", DHCP: true}}}
}

func TestWholeStep(t *testing.T) {
	root := opened(t)
	stock := "../../firstboot/text/oned/testdata/6.10.5/"
	put(t, root, onedConf, read(t, stock+"oned.conf"), 0o640)
	put(t, root, kvmConf, read(t, stock+"vmm_exec_kvm.conf"), 0o644)
	var log strings.Builder
	units, err := adjustOpenNebula(root, front(), "s3cretOfMine", &log)
	want := []string{"one-datastore-volume@0.service", "var-lib-one-datastores-100.mount", "var-lib-one-datastores-0.mount"}
	if d := cmp.Diff(want, units); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if got := readAll(t, content(t, root, onedConf)); got["DB/BACKEND"] != "mysql" || got["DB/PASSWD"] != "s3cretOfMine" {
		t.Errorf("%v", got["DB/BACKEND"])
	}
	for _, say := range []string{"+DB = [ BACKEND = \"mysql\",", "PASSWD", "********", "+++ b/etc/one/vmm_exec/vmm_exec_kvm.conf"} {
		if !strings.Contains(log.String(), say) {
			t.Errorf("the log lacks %q:\n%s", say, log.String())
		}
	}
	if strings.Contains(log.String(), "s3cretOfMine") {
		t.Error("the log holds the password")
	}
	if got := content(t, root, "/etc/systemd/system/libvirtd.service.d/datastores.conf"); !strings.Contains(got, "datastores/100 /var/lib/one/datastores/0\n") {
		t.Error(got)
	}
	if got := content(t, root, "/etc/systemd/network/11-br0.network"); !strings.Contains(got, "ClientIdentifier=mac") {
		t.Error(got)
	}
	if got := content(t, root, "/etc/one-datastore-volume/0"); got != "GROUP=one\nVOLUME=ds0\nDISKS=\"/dev/vdb /dev/vdc\"\n" {
		t.Error(got)
	}
	log.Reset()
	if _, err := adjustOpenNebula(root, front(), "s3cretOfMine", &log); err != nil || strings.Contains(log.String(), "changed ") || strings.Contains(log.String(), "@@") {
		t.Errorf("again: %v\n%s", err, log.String())
	}
}

// fill against an oned that has nothing yet, and again against one that has it all.
func TestFill(t *testing.T) {
	for _, there := range []bool{false, true} {
		var calls []string
		c := oneStub(t, there, &calls)
		stores, err := datastoresOf(front())
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		if err := fill(t.Context(), c, front(), stores, &log); err != nil {
			t.Fatal(err)
		}
		want := "made          host localhost (id 0)\nmade          datastore images (id 100)\nmade          datastore disks (id 101)\n" +
			"made          network guests (id 0)\nmade          autostart hook 1 (id 0)\nmade          autostart hook 2 (id 1)\n"
		if there {
			want = strings.ReplaceAll(want, "made         ", "there already")
		}
		if d := cmp.Diff(want, log.String()); d != "" {
			t.Errorf("there %v: %s", there, d)
		}
		if there != (len(calls) == 0) {
			t.Errorf("there %v, calls %v", there, calls)
		}
	}
}

func TestIDsThatMountsTakeForOthers(t *testing.T) {
	c := oneStub(t, false, &[]string{"datastore", "datastore"}) // somebody made two before
	stores, _ := datastoresOf(front())
	if err := fill(t.Context(), c, front(), stores, &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "images has id 102, but mounts and volumes take it for 100") {
		t.Errorf("%v", err)
	}
}

func TestWholeStepLacks(t *testing.T) {
	r := &recipe.Recipe{Boot: recipe.Boot{Target: "basic.target"}, Packages: []string{"opennebula", "opennebula-gate", "opennebula-flow", "opennebula-sunstone",
		"opennebula-fireedge", "opennebula-node-kvm", "mariadb-server", "lvm2", "xfsprogs", "nfs-common"}}
	if got := Lacks(r, recipe.Step{OpenNebula: new(front())}); got != nil {
		t.Errorf("lacks %q", got)
	}
	inVM := *r
	inVM.VM, inVM.Boot.Target = &recipe.VM{}, "multi-user.target" // a machine of its own; oned is started anew
	if got := Lacks(&inVM, recipe.Step{OpenNebula: new(front())}); got != nil {
		t.Errorf("in a virtual machine, lacks %q", got)
	}
	r.Packages, r.Boot.Target = r.Packages[2:], "multi-user.target"
	o := front()
	o.Release, o.Bridges[0].Gateway = "6.0", netip.MustParseAddr("10.0.0.1")
	o.Mounts = append(o.Mounts, recipe.StoreMount{Datastore: 0, Source: "/dev/sdb1", Type: "xfs"})
	o.Networks[0].Driver = "bridge"
	got := strings.Join(Lacks(r, recipe.Step{OpenNebula: &o}), "\n")
	for _, say := range []string{"boot.target must be basic.target", "role aio needs the package opennebula", "role aio needs the package opennebula-gate",
		"cannot make autostart hooks", "with DHCP it has no address", "datastore 0 has two mounts", "driver bridge filters nothing"} {
		if !strings.Contains(got, say) {
			t.Errorf("%q is not in\n%s", say, got)
		}
	}
}

func TestOpenNebulaStepLacks(t *testing.T) {
	r := &recipe.Recipe{}
	got := Lacks(r, recipe.Step{OpenNebula: &recipe.OpenNebula{Vitastor: &recipe.Vitastor{}, Lockdown: &recipe.Lockdown{Bridge: "a b"}}})
	want := []string{`"a b" is no name of a bridge`, "the guests' and the storage's networks must be named",
		"lockdown needs the package nftables", "vitastor needs the package vitastor-opennebula"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	r.Packages = []string{"vitastor-opennebula"}
	if got := Lacks(r, recipe.Step{OpenNebula: &recipe.OpenNebula{Vitastor: &recipe.Vitastor{}}}); got != nil {
		t.Errorf("lacks %v", got)
	}
}

// oneStub is an oned with empty pools, or with what front asks for; calls gets what it was told to make.
func oneStub(t *testing.T, there bool, calls *[]string) *oneapi.Client {
	t.Helper()
	pools := map[string]string{"hostpool": "<HOST><ID>0</ID><NAME>localhost</NAME></HOST>",
		"datastorepool": "<DATASTORE><ID>100</ID><NAME>images</NAME><TEMPLATE><DS_MAD>fs</DS_MAD><TM_MAD>shared</TM_MAD></TEMPLATE></DATASTORE>" +
			"<DATASTORE><ID>101</ID><NAME>disks</NAME><TEMPLATE><TM_MAD>shared</TM_MAD></TEMPLATE></DATASTORE>",
		"vnpool": "<VNET><ID>0</ID><NAME>guests</NAME><TEMPLATE><VN_MAD>fw</VN_MAD><BRIDGE>br0</BRIDGE><FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>" +
			"<FILTER_MAC_SPOOFING>YES</FILTER_MAC_SPOOFING><SECURITY_GROUPS>0</SECURITY_GROUPS><NETWORK_ADDRESS>10.0.3.0</NETWORK_ADDRESS>" +
			"<NETWORK_MASK>255.255.255.0</NETWORK_MASK></TEMPLATE></VNET>",
		"hookpool": hookXML(t, 0) + hookXML(t, 1)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		m := regexp.MustCompile(`<methodName>one\.(\w+)\.(\w+)<`).FindStringSubmatch(string(body))
		value := ""
		switch m[2] {
		case "info":
			if there {
				value = pools[m[1]]
			}
			value = "<string>&lt;POOL&gt;" + html.EscapeString(value) + "&lt;/POOL&gt;</string>"
		default:
			id := 0
			for _, c := range *calls {
				if c == m[1] {
					id++
				}
			}
			*calls = append(*calls, m[1])
			if m[1] == "datastore" {
				id += 100
			}
			value = fmt.Sprintf("<i4>%d</i4>", id)
		}
		fmt.Fprintf(w, "<methodResponse><params><param><value><array><data><value><boolean>1</boolean></value><value>%s</value></data></array></value></param></params></methodResponse>", value)
	}))
	t.Cleanup(s.Close)
	return &oneapi.Client{URL: s.URL, Session: "oneadmin:x"}
}

// hookXML is an autostart hook as oned lists it.
func hookXML(t *testing.T, i int) string {
	t.Helper()
	hooks, err := AutostartHooks(Release{6, 10})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	all := readAll(t, hooks[i])
	for _, k := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "<%s>%s</%[1]s>", k, all[k])
	}
	return fmt.Sprintf("<HOOK><ID>%d</ID><NAME>%s</NAME><TEMPLATE>%s</TEMPLATE></HOOK>", i, all["NAME"], b.String())
}

// A virtual machine shows the step OneFiles, so they must hold all that it edits.
func TestOneFilesHoldEveryEdit(t *testing.T) {
	root := plugged(t)
	put(t, root, pluginDiff, diff, 0o644)
	o := front()
	o.Vitastor = &recipe.Vitastor{SaveRestore: true, Pool: "p", StagingRoom: 1}
	o.Lockdown = &recipe.Lockdown{Guests: []netip.Prefix{netip.MustParsePrefix("10.0.3.0/24")}, Storage: []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24")}}
	for _, m := range []string{"netplan", "ifupdown"} {
		o.Bridges = append(o.Bridges, recipe.HostBridge{Name: "br-" + m, Port: "eth0", Manager: m})
	}
	edits, _, err := oneEdits(root, o, "x")
	if err != nil {
		t.Fatal(err)
	}
	inside := func(name string) bool {
		return slices.ContainsFunc(OneFiles(), func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
	}
	for _, e := range edits {
		if !inside(e.Path) || e.When != "" && !inside(e.When) {
			t.Errorf("%s is outside: %s %s", e.Name, e.Path, e.When)
		}
	}
	for _, s := range []string{remotes + "/" + VitastorScripts()[0], pluginDiff, oneAuthFile, "/etc/sudoers.d/opennebula-vitastor"} {
		if !inside(s) {
			t.Errorf("%s is outside", s)
		}
	}
	if got := OneFolders(o); !slices.Equal(got, []string{"/var/tmp"}) || OneFolders(front()) != nil {
		t.Errorf("folders %v", got)
	}
}

func TestAnOnedThatHasRunKeepsItsDatabase(t *testing.T) {
	for _, tc := range []struct {
		conf, want, database string
		ran                  bool
	}{
		{"DB = [ BACKEND = \"sqlite\" ]\n", "hint: disable opennebula.service", "mariadb", true},
		{"DB = [ BACKEND = \"sqlite\" ]\n", "", "mariadb", false},
		{"DB = [ BACKEND = \"sqlite\" ]\n", "", "sqlite", true},
		{"DB = [ BACKEND = \"mysql\" ]\n", "", "mariadb", true},
	} {
		root := opened(t)
		put(t, root, onedConf, tc.conf, 0o640)
		if tc.ran {
			put(t, root, oneHome+"/.one/sunstone_auth", "serveradmin:x\n", 0o600)
		}
		err := checkUnborn(root, recipe.OpenNebula{Database: tc.database})
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}
