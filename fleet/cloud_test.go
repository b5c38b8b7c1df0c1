//go:build cloud

package fleet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/driver"
)

// baked returns an image of the bench that make proof bakes into.
func baked(t *testing.T, name string) driver.Image {
	t.Helper()
	home := os.Getenv("GOLDSMITH_HOME")
	if home == "" {
		home = "/var/lib/goldsmith"
	}
	im, err := fleet.Bench{Home: home}.Image(name)
	if err != nil || im.Root == "" {
		t.Fatalf("no image %s on this bench: %v\nhint: goldsmith bake %[1]s", name, err)
	}
	return im
}

// cloudPatience is how long all services of a clone may take on a machine that others use, too.
const cloudPatience = 20 * time.Minute

// A client is an administrator of one clone's cloud, who stands in its network.
type client struct {
	t     *testing.T
	http  http.Client
	host  string
	token string
}

// admin logs in with the password that the clone tells its administrator.
func admin(t *testing.T, s *fleet.State, n int) *client {
	t.Helper()
	told := secrets(t, s, n)
	list, err := s.Look(t.Context(), s.Clones[n:n+1])
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, host: list[0].Address.String(), http: http.Client{Transport: &http.Transport{DialContext: s.Network.Dial}, Timeout: 2 * time.Minute}}
	domain := map[string]any{"id": "default"}
	body := map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{
			"name": "admin", "domain": domain, "password": told["keystone/admin"]}}},
		"scope": map[string]any{"project": map[string]any{"name": "admin", "domain": domain}},
	}}
	until(t, s.Clones[n].Name+" gives its administrator a token", func() string {
		res, err := c.ask(http.MethodPost, 5000, "/v3/auth/tokens", body)
		if err != nil {
			return err.Error() // keystone starts
		}
		if c.token = res.Header.Get("X-Subject-Token"); c.token == "" {
			return res.Status
		}
		return ""
	})
	return c
}

// secrets reads what a clone tells its administrator.
func secrets(t *testing.T, s *fleet.State, n int) map[string]string {
	t.Helper()
	var told map[string]string
	if err := json.Unmarshal([]byte(inside(t, s, n, "cat", identity.SecretsFile)), &told); err != nil {
		t.Fatal(err)
	}
	return told
}

// ask sends a request; the body of the answer has been read, and stands in its place.
func (c *client) ask(method string, port int, path string, body any) (*http.Response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, fmt.Sprintf("http://%s:%d%s", c.host, port, path), bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Auth-Token", c.token)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(data))
	return res, err
}

// do asks, and expects an answer.
func (c *client) do(method string, port int, path string, body any) *http.Response {
	c.t.Helper()
	res, err := c.ask(method, port, path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// get reads a JSON answer.
func (c *client) get(port int, path string, into any) {
	c.t.Helper()
	res := c.do(http.MethodGet, port, path, nil)
	if err := json.NewDecoder(res.Body).Decode(into); err != nil || res.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
}

// computes lists the computes that nova says are up, as "openstack compute service list" does.
func (c *client) computes() []string {
	c.t.Helper()
	var answer struct {
		Services []struct{ Binary, Host, State string }
	}
	c.get(8774, "/v2.1/os-services?binary=nova-compute", &answer)
	var out []string
	for _, s := range answer.Services {
		out = append(out, s.Host+" "+s.State)
	}
	return slices.Sorted(slices.Values(out))
}

// notInClouds are probes that have nothing to ask in a cloud without libvirt, OVN and oVirt.
var notInClouds = []string{"node id", "engine", "engine ca"}

// prove waits for a fleet, and asks it everything; each clone must pass all questions but those that are not for it.
func prove(t *testing.T, b fleet.Bench, name string, absent ...string) {
	t.Helper()
	p, err := b.VerifyBy(t.Context(), name, fleet.Inquiry{Patience: cloudPatience, Deep: true, Tell: func(what string) { t.Log(what) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Clones {
		t.Logf("%s: itself after %s, of which firstboot took %s; %d MiB", c.Clone, c.Ready.Round(time.Second), c.Own.Round(time.Millisecond), c.Memory>>20)
		for _, a := range c.Answers {
			t.Logf("  %-15s %s", a.Probe, a.Show)
			if want := slices.Contains(notInClouds, a.Probe) || slices.Contains(absent, a.Probe); a.Verdict != report.Pass && !want {
				t.Errorf("%s: %+v", c.Clone, a)
			}
		}
	}
}

// Two clones of a whole cloud at once: each runs a server for its administrator, who came in from outside; every service and
// agent lives, and neither takes the other's token.
func TestCloudOfEachClone(t *testing.T) {
	b := bench(t)
	s := spawn(t, b, fleet.Order{Name: "clouds", Image: baked(t, "openstack-debian-cloud"), Count: 2, Driver: driver.Nspawn{}, Lab: lab("clouds")})
	if _, err := b.Wait(t.Context(), "clouds", cloudPatience, nil); err != nil {
		t.Fatal(err)
	}
	prove(t, b, "clouds")
	for i := range s.Clones {
		c, other := admin(t, s, i), admin(t, s, 1-i)
		if got := c.computes(); !slices.Equal(got, []string{identity.Controller + " up"}) {
			t.Errorf("%s: its computes are %v", s.Clones[i].Name, got)
		}
		c.host = other.host
		if res := c.do(http.MethodGet, 8774, "/v2.1/servers", nil); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s takes a token of %s: %s", s.Clones[1-i].Name, s.Clones[i].Name, res.Status)
		}
	}
}

// Two clusters on one VLAN, each a controller and two computes, all clones of two images: each controller knows its own two,
// and each node knows all of its cluster by name.
func TestCloudClusters(t *testing.T) {
	b := bench(t)
	o := fleet.Order{Name: "z-control", Image: baked(t, "openstack-controller"), Count: 2, Driver: driver.Nspawn{}, Lab: lab("clusters")}
	o.Found()
	ctl := spawn(t, b, o)
	var nodes [2]*fleet.State
	for i, name := range []string{"east", "west"} {
		join := fleet.Order{Name: name, Image: baked(t, "openstack-compute"), Count: 2, Driver: driver.Nspawn{}}
		if err := b.Join(t.Context(), &join, ctl.Clones[i].Name); err != nil {
			t.Fatal(err)
		}
		nodes[i] = spawn(t, b, join)
	}
	for _, name := range []string{"east", "west", "z-control"} {
		if _, err := b.Wait(t.Context(), name, cloudPatience, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range nodes {
		c := admin(t, ctl, i)
		want := []string{s.Clones[0].Name + " up", s.Clones[1].Name + " up"}
		until(t, "its computes are "+strings.Join(want, ", "), func() string {
			if got := c.computes(); !slices.Equal(got, want) {
				return fmt.Sprint(got)
			}
			return ""
		})
		until(t, "all nodes know each other", func() string { return strangersOf(t, ctl, i, s) })
		ownFaces(t, s)
		agree(t, ctl, i, s)
	}
	a, z := secrets(t, ctl, 0), secrets(t, ctl, 1)
	for name, v := range a {
		if z[name] == v {
			t.Errorf("%s is the same in both clusters", name)
		}
	}
	prove(t, b, "z-control")
}

// until waits for a condition, which says what is missing.
func until(t *testing.T, what string, missing func() string) {
	t.Helper()
	last := ""
	for ctx, cancel := context.WithTimeout(t.Context(), cloudPatience); ; time.Sleep(2 * time.Second) {
		if last = missing(); last == "" {
			cancel()
			return
		}
		if ctx.Err() != nil {
			cancel()
			t.Fatalf("not so: %s: %s", what, last)
		}
	}
}

// strangersOf names a node of a cluster that another node cannot resolve.
func strangersOf(t *testing.T, ctl *fleet.State, i int, s *fleet.State) string {
	t.Helper()
	at, err := s.Look(t.Context(), s.Clones)
	if err != nil {
		t.Fatal(err)
	}
	head, err := ctl.Look(t.Context(), ctl.Clones[i:i+1])
	if err != nil {
		t.Fatal(err)
	}
	knows := func(f *fleet.State, n int) string {
		hosts := strings.Fields(inside(t, f, n, "cat", "/etc/hosts"))
		for name, address := range map[string]string{identity.Controller: head[0].Address.String(), at[0].Clone: at[0].Address.String(), at[1].Clone: at[1].Address.String()} {
			if !slices.Contains(hosts, name) || !slices.Contains(hosts, address) {
				return f.Clones[n].Name + " does not know " + name
			}
		}
		return ""
	}
	return knows(ctl, i) + knows(s, 0) + knows(s, 1)
}

// ownFaces: what other nodes reach a compute by is its own address.
func ownFaces(t *testing.T, s *fleet.State) {
	t.Helper()
	at, err := s.Look(t.Context(), s.Clones)
	if err != nil {
		t.Fatal(err)
	}
	for n, st := range at {
		conf := inside(t, s, n, "cat", "/etc/nova/nova.conf", "/etc/neutron/plugins/ml2/openvswitch_agent.ini")
		for _, key := range []string{"my_ip", "server_proxyclient_address", "local_ip"} {
			if !strings.Contains(conf, "\n"+key+" = "+st.Address.String()+"\n") {
				t.Errorf("%s: %s is not %s", st.Clone, key, st.Address)
			}
		}
	}
}

// agree: the nodes of a cluster have common passwords.
func agree(t *testing.T, ctl *fleet.State, i int, s *fleet.State) {
	t.Helper()
	want := secrets(t, ctl, i)
	for n := range s.Clones {
		for name, v := range secrets(t, s, n) {
			if want[name] != v {
				t.Errorf("%s: its %s is not that of %s", s.Clones[n].Name, name, ctl.Clones[i].Name)
			}
		}
	}
}
