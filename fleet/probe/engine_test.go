package probe

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/report"
)

// anEngine answers as oVirt's engine does behind Apache: health as plain text, the authority as PEM, everything else by a
// redirect to its own name.
func anEngine(health, ca string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case health == "":
			http.Error(w, "Service Unavailable", http.StatusServiceUnavailable) // Apache, before the engine runs
		case r.URL.Path == "/ovirt-engine/services/health":
			if health != healthy {
				w.WriteHeader(http.StatusInternalServerError) // the servlet, when its database is down
			}
			io.WriteString(w, health)
		case r.URL.Path == "/ovirt-engine/services/pki-resource" && r.URL.Query().Get("resource") == "ca-certificate":
			io.WriteString(w, ca)
		default:
			http.Redirect(w, r, "https://gold.example.net/ovirt-engine/", http.StatusFound)
		}
	}
}

const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

func TestEngineHealth(t *testing.T) {
	for name, c := range map[string]struct {
		stacks  []string
		health  string
		files   map[string]string
		verdict report.Verdict
		why     string
	}{
		"healthy":              {stacks: []string{"apache", "ovirt"}, health: healthy, verdict: report.Pass},
		"no engine":            {stacks: []string{"apache"}, verdict: report.Skip, why: "no oVirt engine"},
		"its database is down": {stacks: []string{"ovirt"}, health: "Error connecting to DB", verdict: report.Fail, why: "500"},
		"it does not run":      {stacks: []string{"ovirt"}, verdict: report.Fail, why: "503"},
		"it is being set up":   {stacks: []string{"ovirt"}, files: map[string]string{"/etc/goldsmith/engine-answers.conf": ""}, verdict: report.Fail, why: "engine-setup has not ended"},
	} {
		tg := target(t, anEngine(c.health, pem), c.files)
		tg.Stacks = c.stacks
		if a := engine().Ask(t.Context(), tg); a.Verdict != c.verdict || !strings.Contains(a.Why, c.why) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	other := target(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "It works!") }, nil)
	other.Stacks = []string{"ovirt"}
	if a := engine().Ask(t.Context(), other); a.Verdict != report.Fail || !strings.Contains(a.Why, "It works!") {
		t.Errorf("a page of somebody else: %+v", a)
	}
	golden := target(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://gold.example.net/", http.StatusFound)
	}, nil)
	golden.Stacks = []string{"ovirt"}
	if a := engine().Ask(t.Context(), golden); a.Verdict != report.Fail || !strings.Contains(a.Why, "gold.example.net") {
		t.Errorf("an engine that sends visitors to the golden one: %+v", a)
	}
}

// TestEngineIsGivenItsTime: a clone that has settled is asked again until its engine is up.
func TestEngineIsGivenItsTime(t *testing.T) {
	asked := 0
	tg := target(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 3 {
			anEngine("", "")(w, r)
			return
		}
		anEngine(healthy, pem)(w, r)
	}, nil)
	tg.Stacks, tg.Settled = []string{"ovirt"}, true
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if a := engine().Ask(ctx, tg); a.Verdict != report.Pass || asked != 3 {
		t.Errorf("after %d questions: %+v", asked, a)
	}
}

func TestEngineAuthority(t *testing.T) {
	ask := func(ca string, kept ...string) Answer {
		tg := target(t, anEngine(healthy, ca), nil)
		tg.Stacks, tg.Kept = []string{"ovirt"}, kept
		return engineAuthority().Ask(t.Context(), tg)
	}
	one, again, two := ask(pem), ask(pem+"\n"), ask(strings.Replace(pem, "MIIB", "MIIC", 1))
	if one.Verdict != report.Pass || len(one.Unique) != 1 || one.Unique[0] != again.Unique[0] || one.Unique[0] == two.Unique[0] {
		t.Errorf("%+v %+v %+v", one, again, two)
	}
	if a := ask(pem, "ovirt/ca"); a.Verdict != report.Skip {
		t.Errorf("a shared authority that the image allows: %+v", a)
	}
	if a := ask("<html>"); a.Verdict != report.Fail {
		t.Errorf("no certificate: %+v", a)
	}
}
