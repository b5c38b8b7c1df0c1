package fleet

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/phonehome"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/vlan"
)

// phoning is a fleet of two that was told to phone home to the loopback.
func phoning(t *testing.T) *State {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	s := &State{Name: "p", Driver: "nspawn", Phone: at}
	for _, token := range []string{"one", "two"} {
		s.Clones = append(s.Clones, Clone{Machine: driver.Machine{Name: "p-" + token, Dir: t.TempDir(),
			Claim: identity.Claim{PhoneHome: "http://" + at.String() + "/" + token}}})
	}
	return s
}

func TestClonesPhoneHome(t *testing.T) {
	s, b := phoning(t), Bench{Home: t.TempDir()}
	stop, err := b.answerPhone(s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.answerPhone(s) // another goldsmith waits as well
	if err != nil {
		t.Fatal(err)
	}
	again()
	home := "http://" + s.Phone.String() + "/"
	// what firstboot itself uses
	if err := phonehome.Post(t.Context(), s.Clones[0].Claim.PhoneHome, []byte(`{"state":"failed","error":"no lease"}`)); err != nil {
		t.Fatal(err)
	}
	if r, err := readPhoned(s.Clones[0]); err != nil || r.State != report.Failed || r.Error != "no lease" {
		t.Errorf("got %+v, %v", r, err)
	}
	for what, tt := range map[string]struct{ url, body, want string }{
		"a stranger":         {home + "three", `{"state":"ready"}`, "404"},
		"no token":           {home, `{"state":"ready"}`, "404"},
		"no report":          {home + "two", `{}`, "400"},
		"no JSON":            {home + "two", `hello`, "400"},
		"more than a report": {home + "two", strings.Repeat("x", maxPhoned+1), "413"},
	} {
		if err := phonehome.Post(t.Context(), tt.url, []byte(tt.body)); err == nil || !strings.Contains(err.Error(), tt.want) && tt.want != "413" {
			t.Errorf("%s: got %v, want %s", what, err, tt.want)
		}
	}
	if res, err := http.Get(home + "two"); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v, %v", res, err)
	} else {
		res.Body.Close()
	}
	if _, err := os.Stat(phoned(s.Clones[1])); !os.IsNotExist(err) {
		t.Errorf("something was kept of what was refused: %v", err)
	}
	stop()
	if err := phonehome.Post(t.Context(), home+"one", nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("after the wait: %v", err)
	}
}

func TestEachCloneHasAPhoneOfItsOwn(t *testing.T) {
	b := Bench{Home: t.TempDir()}
	lab := vlan.NewLab("p", netip.MustParsePrefix("10.0.9.0/24"), "")
	o := Order{Name: "p", Count: 2, Driver: driver.Nspawn{}, Lab: lab, Phone: true}
	s, err := b.plan(o, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, two := s.Clones[0].Claim.PhoneHome, s.Clones[1].Claim.PhoneHome
	if one == two || filepath.Dir(one) != filepath.Dir(two) || s.Phone.Addr().String() != "10.0.9.1" || !strings.Contains(one, s.Phone.String()+"/") {
		t.Errorf("they phone to %s and %s, at %s", one, two, s.Phone)
	}
	o.Claims = []identity.Claim{{PhoneHome: "http://elsewhere/"}, {}}
	if _, err := b.plan(o, nil, nil); report.CodeOf(err) != report.Usage {
		t.Errorf("told twice: %v", err)
	}
}
