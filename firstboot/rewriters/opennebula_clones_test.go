package rewriters_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/rewriters"
	"goldsmith/firstboot/rewriters/rewritertest"
)

func openNebulaFixture(t *testing.T) *rewritertest.Fixture {
	t.Helper()
	return rewritertest.Named(t, "testdata", "opennebula-mariadb")
}

// Two clones of one front-end, with seeds and NICs of their own.
var twins = []struct {
	seed rewriters.Seed
	to   identity.Identity
}{
	{rewriters.Seed("first clone"), twin("one-a", 81)}, {rewriters.Seed("second clone"), twin("one-b", 82)},
}

func twin(name string, n byte) identity.Identity {
	return identity.Identity{Hostname: name, Interface: "ens3", Address: netip.AddrFrom4([4]byte{192, 0, 2, n}), PrefixLen: 24,
		NICs: []identity.NIC{{Name: "ens3", MAC: fmt.Sprintf("56:6f:00:00:00:%02x", n)}}}
}

func TestTwoFrontEndsShareNothing(t *testing.T) {
	var facts [2]map[string][]string
	for i, c := range twins {
		m := newMachine(t, openNebulaFixture(t))
		m.seed = c.seed
		m.become(t, c.to, true)
		facts[i] = oneFacts(t, m.files(t), m, "opennebula")
	}
	disjoint(t, facts)
}

// tables are what holds an identity.
var oneTables = []string{"network_pool", "vm_pool", "template_pool", "vn_template_pool", "host_pool", "datastore_pool", "user_pool",
	"history", "zone_pool"}

// oneFacts collects what must differ between two clones: from the database, and the secrets in files.
func oneFacts(t *testing.T, files map[string]string, db host.Reader, schema string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	add := func(kind, v string) {
		if !slices.Contains(out[kind], v) {
			out[kind] = append(out[kind], v)
		}
	}
	value := regexp.MustCompile(`<(IMAGE_PREFIX|ENDPOINT|PASSWORD|TOKEN_PASSWORD|SSH_PUBLIC_KEY)><!\[CDATA\[(.*?)\]\]>`)
	mac := regexp.MustCompile(`[0-9a-f]{2}(:[0-9a-f]{2}){5}`)
	for _, table := range oneTables {
		rows, err := db.Rows(context.Background(), schema, table)
		check(t, err)
		for _, r := range rows {
			for _, v := range r {
				for _, m := range mac.FindAllString(v, -1) {
					add("MAC", m)
				}
				for _, m := range value.FindAllStringSubmatch(v, -1) {
					add(m[1], m[2])
				}
			}
			if table == "host_pool" {
				add("host", r["name"])
			}
		}
	}
	for name, data := range files {
		if strings.HasPrefix(name, "/var/lib/one/.one/") || strings.HasSuffix(name, "/id_ed25519") {
			add(name, data)
		}
	}
	add("MAC_PREFIX", regexp.MustCompile(`MAC_PREFIX.*`).FindString(files["/etc/one/oned.conf"]))
	return out
}

func disjoint(t *testing.T, facts [2]map[string][]string) {
	t.Helper()
	for _, must := range []string{"MAC", "MAC_PREFIX", "host", "IMAGE_PREFIX", "ENDPOINT", "PASSWORD", "TOKEN_PASSWORD", "SSH_PUBLIC_KEY",
		"/var/lib/one/.one/one_auth", "/var/lib/one/.one/sunstone_auth", "/var/lib/one/.ssh/id_ed25519"} {
		if len(facts[0][must]) == 0 {
			t.Errorf("the first clone has no %s", must)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(facts[0])) {
		for _, v := range facts[0][kind] {
			if slices.Contains(facts[1][kind], v) {
				t.Errorf("both clones have %s %q", kind, v)
			}
		}
	}
}

// A front-end and a node, clones of two images, come to one key when they were told one secret, and let each other's oneadmin in;
// without one each has its own.
func TestNodesOfOneClusterHaveOneKey(t *testing.T) {
	key := func(cluster, seed string, node bool, to identity.Identity) (private, authorized string) {
		f := openNebulaFixture(t)
		if node {
			delete(f.Files, "/etc/one/oned.conf")
			maps.DeleteFunc(f.Files, func(p, _ string) bool { return strings.HasPrefix(p, "/var/lib/one/.one/") })
		}
		m := newMachine(t, f)
		m.seed, m.cluster = rewriters.Seed(seed), rewriters.ClusterSeed(cluster)
		m.become(t, to, true)
		if again := m.become(t, to, true); len(again) > 0 {
			t.Errorf("a second plan is not empty: %v", again)
		}
		files := m.files(t)
		public := strings.Fields(files["/var/lib/one/.ssh/id_ed25519.pub"])
		if len(public) < 2 || !strings.Contains(files["/var/lib/one/.ssh/authorized_keys"], public[1]) {
			t.Errorf("the clone does not let its own key in: %q", public)
		}
		return files["/var/lib/one/.ssh/id_ed25519"], files["/var/lib/one/.ssh/authorized_keys"]
	}
	front, lets := key("one secret", "first", false, twins[0].to)
	node, letsToo := key("one secret", "second", true, twins[1].to)
	if front == "" || front != node || strings.Split(lets, "\n")[0] != strings.Split(letsToo, "\n")[0] {
		t.Error("front-end and node have different keys")
	}
	if other, _ := key("another secret", "first", false, twins[0].to); other == front {
		t.Error("clusters share a key")
	}
	alone, _ := key("", "first", false, twins[0].to)
	if lone, _ := key("", "second", true, twins[1].to); lone == alone {
		t.Error("clones that were told nothing share a key")
	}
}
