package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/report"
)

// target is a clone at 192.0.2.7 whose every port leads to handler, and whose files are given.
func target(t *testing.T, handler http.HandlerFunc, files map[string]string) Target {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return Target{
		Clone: "t-1", Address: netip.MustParseAddr("192.0.2.7"), Foreign: []string{"192.0.2.8", "198.51.100.77", "goldsmith-marker"},
		Inside: func(f func() error) error { return f() },
		Connect: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		},
		ReadFile: func(path string) ([]byte, error) {
			if s, ok := files[path]; ok {
				return []byte(s), nil
			}
			return nil, os.ErrNotExist
		},
	}
}

const openrc = "export OS_USERNAME=admin\nexport OS_PASSWORD='s3cret'\nOS_PROJECT_NAME=\"admin\"\nunset X\nif x=y; then\n"

func TestKeystone(t *testing.T) {
	token := func(url, internal string) string {
		return fmt.Sprintf(`{"token":{"catalog":[{"type":"identity","endpoints":[{"interface":"public","url":%q},{"interface":"internal","url":%q}]}]}}`, url, internal)
	}
	tests := []struct {
		name, body string
		status     int
		verdict    report.Verdict
		why        string
	}{
		{"its own catalogue", token("http://192.0.2.7:5000/v3", "http://127.0.0.1:5000/v3"), 201, report.Pass, ""},
		{"another clone's address in public", token("http://192.0.2.8:5000/v3", "http://127.0.0.1:5000/v3"), 201, report.Fail, "192.0.2.8"},
		{"the baked address in internal", token("http://192.0.2.7:5000/v3", "http://198.51.100.77:5000/v3"), 201, report.Fail, "198.51.100.77"},
		{"an address of which its own is the beginning", token("http://192.0.2.77:5000/v3", "http://127.0.0.1:5000/v3"), 201, report.Fail, "192.0.2.77"},
		{"the loopback in public", token("http://127.0.0.1:5000/v3", "http://127.0.0.1:5000/v3"), 201, report.Fail, "127.0.0.1"},
		{"no such URL", token("http://[::1", "http://127.0.0.1:5000/v3"), 201, report.Fail, "[::1"},
		{"the wrong password", `{"error":{}}`, 401, report.Fail, "401"},
		{"an empty catalogue", `{"token":{}}`, 201, report.Fail, "empty"},
		{"no JSON", `<html>`, 201, report.Fail, "cannot read the token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked string
			tg := target(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				asked = r.Host + r.URL.Path + " " + string(b)
				w.Header().Set("X-Subject-Token", "gAAAA")
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}, map[string]string{"/etc/keystone/keystone.conf": "", "/root/openrc": openrc})
			a := askKeystone(t.Context(), tg)
			if a.Verdict != tt.verdict || !strings.Contains(a.Why, tt.why) || strings.Contains(a.Why, "s3cret") {
				t.Errorf("got %+v", a)
			}
			if !strings.HasPrefix(asked, "192.0.2.7:5000/v3/auth/tokens ") || !strings.Contains(asked, `"password":"s3cret"`) {
				t.Errorf("asked %s", asked)
			}
		})
	}
}

func TestKeystoneWithoutALoginFails(t *testing.T) {
	tg := target(t, nil, map[string]string{"/etc/keystone/keystone.conf": ""})
	if a := askKeystone(t.Context(), tg); a.Verdict != report.Fail {
		t.Errorf("got %+v", a)
	}
}

// django answers as Horizon does below a root: a form with a token that belongs to a cookie, and after a good login a session
// and the way to where it ends.
func django(root, password, end string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		cookie, _ := r.Cookie("csrftoken")
		session, _ := r.Cookie("sessionid")
		switch {
		case r.Host != "192.0.2.7":
			http.Error(w, "Bad Request", http.StatusBadRequest)
		case r.URL.Path == root+"/auth/login/" && r.Method == http.MethodPost:
			good := cookie != nil && cookie.Value == "c1" && r.FormValue("csrfmiddlewaretoken") == "x&y" && r.FormValue("region") == "default"
			switch {
			case !good:
				http.Error(w, "CSRF verification failed", http.StatusForbidden)
			case r.FormValue("username") != "admin" || r.FormValue("password") != password:
				io.WriteString(w, "Invalid credentials")
			default:
				http.SetCookie(w, &http.Cookie{Name: "sessionid", Value: "s1", Path: "/"})
				http.Redirect(w, r, end, http.StatusFound)
			}
		case r.URL.Path == root+"/auth/login/":
			http.SetCookie(w, &http.Cookie{Name: "csrftoken", Value: "c1", Path: "/"})
			io.WriteString(w, `<form><input type="hidden" name="csrfmiddlewaretoken" value="x&amp;y"><input name="region" value="default" type="hidden" id="r"></form>`)
		case r.URL.Path == end && session != nil && session.Value == "s1" && strings.HasPrefix(end, "/forbidden"):
			http.Error(w, "You are not authorized to access this page", http.StatusForbidden)
		case r.URL.Path == end && session != nil && session.Value == "s1":
			io.WriteString(w, "Overview")
		case r.URL.Path == end:
			http.Redirect(w, r, root+"/auth/login/", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}
}

// deaf forgets the visitor's cookies.
func deaf(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Cookie")
		h(w, r)
	}
}

func TestHorizon(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		verdict report.Verdict
		why     string
	}{
		{"at the root", django("", "s3cret", "/project/"), report.Pass, ""},
		{"below /horizon", django("/horizon", "s3cret", "/horizon/project/"), report.Pass, ""},
		{"no nova, so no first page", django("", "s3cret", "/forbidden"), report.Pass, ""},
		{"a form that is not believed", deaf(django("", "s3cret", "/project/")), report.Fail, "403"},
		{"the golden password", django("", "golden", "/project/"), report.Fail, "does not let admin in"},
		{"sent to the golden machine after the login", django("", "s3cret", "http://198.51.100.77/project/"), report.Fail, "198.51.100.77"},
		{"Django does not know the name", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadRequest) }, report.Fail, "400"},
		{"Apache's own page", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "It works!") }, report.Fail, "no login page"},
		{"sent to the golden machine", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://198.51.100.77/auth/login/", http.StatusFound)
		}, report.Fail, "198.51.100.77"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := askHorizon(t.Context(), target(t, tt.handler, map[string]string{"/etc/openstack-dashboard/local_settings.py": "", "/root/openrc": openrc}))
			if a.Verdict != tt.verdict || !strings.Contains(a.Why, tt.why) || strings.Contains(a.Why, "s3cret") {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func TestStacksThatAreNotThereAreSkipped(t *testing.T) {
	tg := target(t, nil, nil)
	for _, p := range []Probe{nodeID(), prefix(), secret(), keystone(), horizon(), keystoneKeys(), hostKey(), compute(), network(), server()} {
		if a := p.Ask(t.Context(), tg); a.Verdict != report.Skip || a.Why == "" {
			t.Errorf("%s: got %+v", p.Name, a)
		}
	}
}

func TestFacesOfAClone(t *testing.T) {
	tg := target(t, nil, map[string]string{"/etc/machine-id": "uninitialized\n", "/run/systemd/netif/leases/3": "A=1\nCLIENTID=01aa\n"})
	tg.MAC, tg.Reported = "52:54:00:00:00:01", netip.MustParseAddr("192.0.2.9")
	tg.Resolve = func(context.Context) (string, error) { return "52:54:00:00:00:02", nil }
	for name, want := range map[string]report.Verdict{"mac": report.Fail, "address": report.Fail, "machine-id": report.Fail, "dhcp client id": report.Pass} {
		for _, p := range All() {
			if a := p.Ask; p.Name == name && a(t.Context(), tg).Verdict != want {
				t.Errorf("%s: got %+v, want %s", name, a(t.Context(), tg), want)
			}
		}
	}
}

func TestOpenrc(t *testing.T) {
	want := map[string]string{"OS_USERNAME": "admin", "OS_PASSWORD": "s3cret", "OS_PROJECT_NAME": "admin"}
	if diff := cmp.Diff(want, parseOpenrc([]byte(openrc))); diff != "" {
		t.Error(diff)
	}
}

func FuzzOpenrc(f *testing.F) {
	f.Add([]byte(openrc))
	f.Add([]byte(`export OS_X="`))
	f.Fuzz(func(t *testing.T, b []byte) { parseOpenrc(b) })
}

func FuzzFingerprints(f *testing.F) {
	f.Add([]byte("10.0.9.7 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ\n# comment line\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, k := range fingerprints(b) {
			if len(k) != 50 {
				t.Errorf("fingerprint %q", k)
			}
		}
	})
}

func FuzzCatalogue(f *testing.F) {
	f.Add(`{"token":{"catalog":[{"type":"identity","endpoints":[{"interface":"public","url":"http://192.0.2.8"}]}]}}`)
	f.Fuzz(func(t *testing.T, s string) {
		if list, err := decodeCatalogue(strings.NewReader(s)); err == nil {
			Target{}.strangers(list)
		}
	})
}
