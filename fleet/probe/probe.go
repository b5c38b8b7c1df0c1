// Package probe asks a clone from outside whether it is itself. Each file is one question. Nothing here looks at what
// firstboot planned or reported: a probe sees the wire, and for passwords and identities the clone's own files.
package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"goldsmith/firstboot/report"
)

// A Target is one clone as probes see it.
type Target struct {
	Clone    string
	Address  netip.Addr        // as leased
	Reported netip.Addr        // as the clone says
	MAC      string            // as the fleet gave it
	ClientID string            // as the DHCP server saw it; empty where the server is not ours
	Settled  bool              // firstboot reported success: services may still be starting, and are given time to answer
	Deep     bool              // also make things in it, and remove them again
	Stacks   []string          // of the image's imprint
	Kept     []string          // secrets that the imprint says all clones share
	Salt     []byte            // of this run of verify, the same for all clones; secrets are compared under it
	Foreign  []string          // addresses and names of other machines: the other clones, and who the image was baked as
	Tell     func(what string) // told what a probe waits for; nil: nobody listens
	// Inside calls f in the network that the clones stand in.
	Inside func(f func() error) error
	// Connect opens a connection from there, to an address and never to a name: no resolver is asked.
	Connect  func(ctx context.Context, network, addr string) (net.Conn, error)
	ReadFile func(path string) ([]byte, error) // of the clone
	Away     bool                              // the wire is another host's, and nobody here hears ARP on it
	// Resolve asks the wire for the MAC that answers at the clone's address.
	Resolve func(ctx context.Context) (mac string, err error)
}

// An Answer is what a probe found.
type Answer struct {
	Probe   string         `json:"probe"`
	Verdict report.Verdict `json:"verdict"`
	Show    string         `json:"show"`             // one cell of a table
	Unique  []string       `json:"unique,omitempty"` // values that no other clone may have
	Why     string         `json:"why,omitempty"`    // of a verdict that is not pass
}

// A Probe is one question.
type Probe struct {
	Name     string
	Question string
	Ask      func(ctx context.Context, t Target) Answer
}

// All lists the probes in the order of the table.
func All() []Probe {
	return []Probe{mac(), address(), machineID(), clientID(), hostKey(), nodeID(), prefix(), secret(), keystone(), horizon(), keystoneKeys(),
		compute(), network(), server(), engine(), engineAuthority()}
}

// Ask asks one clone everything, and names the answers. Questions that are not answered yet are asked again until ctx ends.
func Ask(ctx context.Context, t Target) []Answer {
	var out []Answer
	for _, p := range All() {
		a := p.Ask(ctx, t)
		a.Probe = p.Name
		out = append(out, a)
	}
	return out
}

func pass(show string, unique ...string) Answer {
	return Answer{Verdict: report.Pass, Show: show, Unique: unique}
}

func skip(why string) Answer { return Answer{Verdict: report.Skip, Show: "-", Why: why} }

// fail says what is wrong; show is the short form for the table.
func fail(show, format string, args ...any) Answer {
	return Answer{Verdict: report.Fail, Show: show, Why: fmt.Sprintf(format, args...)}
}

// client is an HTTP client that stands in the clone's network and stays with the clone: a redirect to another host is an
// answer, not a way.
func (t Target) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DialContext: t.Connect, DisableKeepAlives: true},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.URL.Hostname() != t.Address.String() || len(via) > 5 {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// again asks until the answer is a pass, the clone had its time, or ctx ends; a clone that has not settled is asked once.
// firstboot reports before the services start that it configured, so the first knock may find the door shut.
func (t Target) again(ctx context.Context, ask func() Answer) Answer {
	for told := ""; ; {
		a := ask()
		if t.Settled && a.Verdict == report.Fail && a.Why != told && t.Tell != nil {
			told = a.Why
			t.Tell(told)
		}
		if a.Verdict != report.Fail || !t.Settled || !sleep(ctx, time.Second) {
			return a
		}
	}
}

// sleep says false where ctx ends within d.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < 2*d {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// url is where a service of the clone answers.
func (t Target) url(port int, path string) string {
	host := t.Address.String()
	if port != 80 {
		host = net.JoinHostPort(host, fmt.Sprint(port))
	}
	return "http://" + host + path
}
