package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// keystone logs in at the clone's own address with the clone's own password, and reads the catalogue that comes with the
// token: it may name nobody but this clone.
func keystone() Probe {
	return Probe{Name: "keystone", Question: "does its keystone issue a token, with a catalogue that names only itself?", Ask: askKeystone}
}

// openrcFiles are where distributions and installers keep the administrator's login.
var openrcFiles = []string{"/root/openrc", "/root/admin-openrc", "/root/admin-openrc.sh", "/root/keystonerc_admin", "/etc/kolla/admin-openrc.sh"}

func askKeystone(ctx context.Context, t Target) Answer {
	if _, err := t.ReadFile("/etc/keystone/keystone.conf"); err != nil {
		return skip("no keystone in this image")
	}
	rc, err := readOpenrc(t)
	if err != nil {
		return fail("no login", "%v", err)
	}
	var s session
	a := t.again(ctx, func() Answer {
		if s, err = login(ctx, t, rc); err != nil {
			return fail("no token", "%v", err)
		}
		return pass("token ok 5000/v3")
	})
	if wrong := t.strangers(s.catalogue); len(wrong) > 0 {
		return fail("wrong names", "the catalogue names %s", strings.Join(wrong, ", "))
	}
	return a
}

// readOpenrc returns the variables of the first login file that the clone has.
func readOpenrc(t Target) (map[string]string, error) {
	for _, path := range openrcFiles {
		if b, err := t.ReadFile(path); err == nil {
			return parseOpenrc(b), nil
		}
	}
	return nil, fmt.Errorf("cannot find the administrator's login: none of %s", strings.Join(openrcFiles, ", "))
}

// parseOpenrc reads lines "export NAME=value", with or without quotes. Other lines of shell are passed over.
func parseOpenrc(b []byte) map[string]string {
	out := map[string]string{}
	for line := range bytes.Lines(b) {
		text := strings.TrimPrefix(strings.TrimSpace(string(line)), "export ")
		name, value, ok := strings.Cut(text, "=")
		if !ok || !strings.HasPrefix(name, "OS_") {
			continue
		}
		for _, q := range []string{`"`, "'"} {
			if len(value) >= 2 && strings.HasPrefix(value, q) && strings.HasSuffix(value, q) {
				value = value[1 : len(value)-1]
			}
		}
		out[name] = value
	}
	return out
}

// A catalogue is the part of a token that says where services are.
type catalogue []struct {
	Type      string     `json:"type"`
	Endpoints []endpoint `json:"endpoints"`
}

type endpoint struct {
	Interface string `json:"interface"` // public, internal, admin
	URL       string `json:"url"`
}

// login is POST /v3/auth/tokens, scoped to the project (OpenStack Identity API v3). No error holds the password.
func login(ctx context.Context, t Target, rc map[string]string) (session, error) {
	domain := func(key string) object {
		if v := rc[key]; v != "" {
			return object{"name": v}
		}
		return object{"id": "default"}
	}
	s := session{target: t}
	where := t.url(5000, "/v3/auth/tokens")
	res, err := s.send(ctx, http.MethodPost, where, object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{
			"name": rc["OS_USERNAME"], "password": rc["OS_PASSWORD"], "domain": domain("OS_USER_DOMAIN_NAME"),
		}}},
		"scope": object{"project": object{"name": rc["OS_PROJECT_NAME"], "domain": domain("OS_PROJECT_DOMAIN_NAME")}},
	}})
	if err != nil {
		return s, err
	}
	defer res.Body.Close()
	s.token = res.Header.Get("X-Subject-Token")
	if res.StatusCode != http.StatusCreated || s.token == "" {
		return s, fmt.Errorf("%s answers %s and no token", where, res.Status)
	}
	s.catalogue, err = decodeCatalogue(res.Body)
	return s, err
}

func decodeCatalogue(r io.Reader) (catalogue, error) {
	var answer struct {
		Token struct {
			Catalog catalogue `json:"catalog"`
		} `json:"token"`
	}
	if err := json.NewDecoder(io.LimitReader(r, 8<<20)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("cannot read the token: %w", err)
	}
	if len(answer.Token.Catalog) == 0 {
		return nil, errors.New("the token's catalogue is empty")
	}
	return answer.Token.Catalog, nil
}

// strangers lists what in the catalogue is not this clone. A public endpoint must be at the clone's own address; an
// internal one may stay on the loopback or on a fixed anchor address, but must not be another machine's.
func (t Target) strangers(list catalogue) []string {
	var out []string
	for _, service := range list {
		for _, e := range service.Endpoints {
			u, err := url.Parse(e.URL)
			own := err == nil && u.Hostname() == t.Address.String()
			foreign := err != nil || slices.Contains(t.Foreign, u.Hostname())
			if e.Interface == "public" && !own || foreign {
				out = append(out, fmt.Sprintf("%s as the %s %s", e.URL, e.Interface, service.Type))
			}
		}
	}
	return out
}

// keystoneKeys: tokens of one clone must mean nothing to another.
func keystoneKeys() Probe {
	return Probe{Name: "keystone keys", Question: "are the keys that sign its tokens its own?", Ask: func(_ context.Context, t Target) Answer {
		var sums []string
		for _, kind := range []string{"fernet-keys", "credential-keys"} {
			for _, n := range []string{"0", "1"} {
				if b, err := t.ReadFile("/etc/keystone/" + kind + "/" + n); err == nil {
					sum := sha256.Sum256(b)
					sums = append(sums, hex.EncodeToString(sum[:8])) // never the key itself
				}
			}
		}
		if len(sums) == 0 {
			return skip("no keystone in this image")
		}
		return pass("own", sums...)
	}}
}
