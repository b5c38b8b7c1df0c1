package probe

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// compute asks nova which of its services live. A row that nobody refreshes is a service of the golden machine, or of another
// clone.
func compute() Probe {
	return Probe{Name: "nova", Question: "are all services of its nova up, and its own?", Ask: askCompute}
}

// network asks neutron which of its agents live.
func network() Probe {
	return Probe{Name: "neutron", Question: "are all agents of its neutron alive, and its own?", Ask: askNetwork}
}

// A worker is a process without an API, as nova and neutron list it.
type worker struct {
	Binary, Host, State string // of nova: up or down
	Alive               bool   // of neutron
}

func askCompute(ctx context.Context, t Target) Answer {
	return t.askWorkers(ctx, "/etc/nova/nova.conf", "compute", "/os-services", func(w worker) bool { return w.State == "up" })
}

func askNetwork(ctx context.Context, t Target) Answer {
	return t.askWorkers(ctx, "/etc/neutron/neutron.conf", "network", "/v2.0/agents", func(w worker) bool { return w.Alive })
}

// askWorkers waits until all of them live: they report some time after their API answers.
func (t Target) askWorkers(ctx context.Context, conf, kind, path string, lives func(worker) bool) Answer {
	for _, file := range []string{conf, "/etc/keystone/keystone.conf"} {
		if _, err := t.ReadFile(file); err != nil {
			return skip("no " + file + " in this image")
		}
	}
	return t.again(ctx, func() Answer {
		s, err := t.enter(ctx)
		if err != nil {
			return fail("no token", "%v", err)
		}
		base := s.url(kind)
		if base == "" {
			return fail("no endpoint", "the catalogue has no public endpoint of type %s", kind)
		}
		var answer struct{ Services, Agents []worker }
		if err := s.call(ctx, http.MethodGet, base+path, nil, &answer); err != nil {
			return fail("silent", "%v", err)
		}
		return t.judge(slices.Concat(answer.Services, answer.Agents), lives)
	})
}

// judge fails for a worker that is dead, and for one that another machine's name stands at.
func (t Target) judge(list []worker, lives func(worker) bool) Answer {
	var dead, strange []string
	computes := 0
	for _, w := range list {
		name := w.Binary + " on " + w.Host
		if !lives(w) {
			dead = append(dead, name)
		}
		if slices.Contains(t.Foreign, w.Host) {
			strange = append(strange, name)
		}
		if w.Binary == "nova-compute" {
			computes++
		}
	}
	switch {
	case len(list) == 0:
		return fail("none", "it has none")
	case len(strange) > 0:
		return fail("strangers", "it has %s", strings.Join(strange, ", "))
	case len(dead) > 0:
		return fail(fmt.Sprintf("%d dead", len(dead)), "no sign of life from %s", strings.Join(dead, ", "))
	case computes > 0:
		return pass(fmt.Sprintf("%d up, %d compute", len(list), computes))
	}
	return pass(fmt.Sprintf("%d up", len(list)))
}
