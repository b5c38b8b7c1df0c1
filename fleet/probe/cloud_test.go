package probe

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"goldsmith/firstboot/report"
)

// A stub answers as keystone, glance, neutron and nova do, all below one address, and remembers what there is.
type stub struct {
	workers string // JSON of both lists
	status  string // of servers
	things  map[string]bool
	made    int
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case path == "/v3/auth/tokens":
		w.Header().Set("X-Subject-Token", "gAAAA")
		w.WriteHeader(http.StatusCreated)
		var list []string
		for _, kind := range []string{"compute", "network", "image"} {
			list = append(list, fmt.Sprintf(`{"type":%q,"endpoints":[{"interface":"public","url":"http://192.0.2.7:1/%[1]s"}]}`, kind))
		}
		fmt.Fprintf(w, `{"token":{"catalog":[%s]}}`, strings.Join(list, ","))
	case r.Header.Get("X-Auth-Token") != "gAAAA":
		w.WriteHeader(http.StatusUnauthorized)
	case path == "/compute/os-services" || path == "/network/v2.0/agents":
		io.WriteString(w, s.workers)
	case r.Method == http.MethodPost:
		s.create(w, r)
	case r.Method == http.MethodPut && strings.HasSuffix(path, "/file"):
		_, _ = io.Copy(io.Discard, r.Body) // what it holds does not matter
		w.WriteHeader(http.StatusNoContent)
	case !s.things[path]:
		http.NotFound(w, r)
	case r.Method == http.MethodDelete && strings.Contains(path, "/networks/") && len(s.things) > 2:
		w.WriteHeader(http.StatusConflict) // the server has a port there
	case r.Method == http.MethodDelete:
		delete(s.things, path)
		w.WriteHeader(http.StatusNoContent)
	default:
		fmt.Fprintf(w, `{"server":{"status":%q,"fault":{"message":"no valid host"}}}`, s.status)
	}
}

func (s *stub) create(w http.ResponseWriter, r *http.Request) {
	var body map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.made++
	id := fmt.Sprintf("id%d", s.made)
	s.things[r.URL.Path+"/"+id] = true
	w.WriteHeader(http.StatusCreated)
	if len(body) != 1 {
		fmt.Fprintf(w, `{"id":%q}`, id)
		return
	}
	for kind := range body {
		fmt.Fprintf(w, `{%q:{"id":%q}}`, kind, id)
	}
}

var cloudFiles = map[string]string{"/etc/keystone/keystone.conf": "", "/etc/nova/nova.conf": "", "/etc/neutron/neutron.conf": "", "/root/openrc": openrc}

func TestWorkers(t *testing.T) {
	const up = `{"binary":"nova-compute","host":"controller","state":"up"}`
	for _, c := range []struct {
		name, workers string
		ask           func(*testing.T, Target) Answer
		verdict       report.Verdict
		show, why     string
	}{
		{"up", `{"services":[` + up + `,{"binary":"nova-conductor","host":"controller","state":"up"}]}`, nova, report.Pass, "2 up, 1 compute", ""},
		{"one down", `{"services":[` + up + `,{"binary":"nova-conductor","host":"x","state":"down"}]}`, nova, report.Fail, "1 dead", "nova-conductor on x"},
		{"up, but the golden machine's", `{"services":[{"binary":"nova-compute","host":"goldsmith-marker","state":"up"}]}`, nova, report.Fail, "strangers", "goldsmith-marker"},
		{"none", `{"services":[]}`, nova, report.Fail, "none", "none"},
		{"no JSON", `<html>`, nova, report.Fail, "silent", "cannot read"},
		{"alive", `{"agents":[{"binary":"neutron-l3-agent","host":"controller","alive":true}]}`, neutron, report.Pass, "1 up", ""},
		{"dead", `{"agents":[{"binary":"neutron-l3-agent","host":"controller","alive":false}]}`, neutron, report.Fail, "1 dead", "neutron-l3-agent on controller"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.ask(t, target(t, (&stub{workers: c.workers}).ServeHTTP, cloudFiles))
			if a.Verdict != c.verdict || a.Show != c.show || !strings.Contains(a.Why, c.why) {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func nova(t *testing.T, tg Target) Answer    { return askCompute(t.Context(), tg) }
func neutron(t *testing.T, tg Target) Answer { return askNetwork(t.Context(), tg) }

// Whatever becomes of the server, nothing of the trial stays.
func TestServerLeavesNothing(t *testing.T) {
	for status, want := range map[string]report.Verdict{"ACTIVE": report.Pass, "ERROR": report.Fail} {
		s := &stub{status: status, things: map[string]bool{}}
		tg := target(t, s.ServeHTTP, cloudFiles)
		tg.Deep = true
		a := askServer(t.Context(), tg)
		if a.Verdict != want || want == report.Fail && !strings.Contains(a.Why, "no valid host") {
			t.Errorf("%s: got %+v", status, a)
		}
		if s.made != 5 || len(s.things) != 0 {
			t.Errorf("%s: %d things were made, and %v stay", status, s.made, s.things)
		}
	}
	if a := askServer(t.Context(), target(t, nil, cloudFiles)); a.Verdict != report.Skip {
		t.Errorf("without --deep: got %+v", a)
	}
}
