//go:build clones

package fleet_test

import (
	"strings"
	"testing"
	"time"

	"goldsmith/fleet"
	"goldsmith/fleet/driver"
)

// ownSecrets logs in to every server of a clone with the passwords that its administrator is told, and prints a token.
const ownSecrets = `
import json, time, urllib.request
told = json.load(open('/var/lib/goldsmith/secrets.json'))
def login(user, scope):
    who = {"name": user, "domain": {"id": "default"}, "password": told['keystone/' + user]}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}}
    if scope: body["auth"]["scope"] = {"project": {"name": scope, "domain": {"id": "default"}}}
    ask = urllib.request.Request('http://127.0.0.1:5000/v3/auth/tokens', json.dumps(body).encode(), {'Content-Type': 'application/json'})
    return urllib.request.urlopen(ask).headers['X-Subject-Token']
def all():
    login('glance', 'service')
    token = login('admin', 'admin')
    for url in 'http://127.0.0.1:9292/v2/images', 'http://127.0.0.1:8778/resource_providers':
        assert urllib.request.urlopen(urllib.request.Request(url, headers={'X-Auth-Token': token})).status == 200
    return token
for again in range(60): # the services start after firstboot
    try: print(all()); break
    except OSError as e: last = e; time.sleep(1)
else: raise last
`

// validate asks a clone's keystone what it thinks of a token, and prints the status.
const validate = `
import sys, urllib.error, urllib.request
token = sys.argv[1]
ask = urllib.request.Request('http://127.0.0.1:5000/v3/auth/tokens', headers={'X-Auth-Token': token, 'X-Subject-Token': token})
try: print(urllib.request.urlopen(ask).status)
except urllib.error.HTTPError as e: print(e.code)
`

// Two clones of one cloud: each has passwords of its own in keystone, MariaDB and RabbitMQ, under which its services work,
// and refuses the other's tokens.
func TestATokenOfOneCloneIsRefusedByTheOther(t *testing.T) {
	b := bench(t)
	s := spawn(t, b, fleet.Order{Name: "tokens", Image: cloud(t), Count: 2, Driver: driver.Nspawn{}, Lab: lab("tokens")})
	if _, err := b.Wait(t.Context(), "tokens", 5*time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	inside := func(i int, argv ...string) string {
		t.Helper()
		cmd, err := s.Command(t.Context(), s.Clones[i], argv...)
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", s.Clones[i].Name, err)
		}
		return strings.TrimSpace(string(out))
	}
	var told [2]string
	for i := range s.Clones {
		told[i] = inside(i, "cat", "/var/lib/goldsmith/secrets.json")
		token := inside(i, "python3", "-c", ownSecrets)
		for j := range s.Clones {
			want := "401"
			if i == j {
				want = "200"
			}
			if got := inside(j, "python3", "-c", validate, token); got != want {
				t.Errorf("a token of %s on %s: %s, not %s", s.Clones[i].Name, s.Clones[j].Name, got, want)
			}
		}
		bus := inside(i, "sh", "-c", `rabbitmqctl authenticate_user openstack "$(python3 -c "import json; print(json.load(open('/var/lib/goldsmith/secrets.json'))['rabbit/openstack'])")"`)
		if !strings.Contains(bus, "Success") {
			t.Errorf("the broker of %s does not know its clone's password: %s", s.Clones[i].Name, bus)
		}
	}
	for i, line := range strings.Split(told[0], "\n") {
		if strings.Contains(line, ":") && strings.Contains(told[1], strings.TrimSpace(line)) {
			t.Errorf("line %d of the secrets is the same on both clones", i+1)
		}
	}
}
