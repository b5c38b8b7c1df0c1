package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/discover"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/probe"
)

// A Proof is what the outside of a fleet says about its clones.
type Proof struct {
	Clones  []Proven `json:"clones"`
	Clashes []Clash  `json:"clashes"`
}

// A Proven is one clone with the answers to all probes, in the order of probe.All.
type Proven struct {
	Standing
	Answers []probe.Answer `json:"answers"`
}

// A Clash is a value that must be unique and that several clones have.
type Clash struct {
	Probe  string   `json:"probe"`
	Value  string   `json:"value"`
	Clones []string `json:"clones"`
}

// An Inquiry says how clones are asked.
type Inquiry struct {
	Patience time.Duration // how long services may take to answer
	Deep     bool          // also make things in each cloud, and remove them again
	Tell     func(string)  // hears what is waited for, from several goroutines; may be nil
	salt     []byte        // of this run: secrets are compared under it, and never leave it
}

// Verify asks without making anything; see VerifyBy.
func (b Bench) Verify(ctx context.Context, name string, patience time.Duration, tell func(string)) (*Proof, error) {
	return b.VerifyBy(ctx, name, Inquiry{Patience: patience, Tell: tell})
}

// VerifyBy asks every named clone from outside whether it is itself, and compares them. The error names each probe that
// failed and each clash, with the code report.Unverified; the proof is complete in that case too.
func (b Bench) VerifyBy(ctx context.Context, name string, by Inquiry) (*Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, by.Patience)
	defer cancel()
	s, clones, err := b.Find(name)
	if err != nil {
		return nil, err
	}
	d, err := s.driver()
	if err != nil {
		return nil, err
	}
	all, err := s.Look(ctx, s.Clones) // also those that are not asked: nobody may name them
	if err != nil {
		return nil, err
	}
	by.salt = make([]byte, 32)
	if _, err := rand.Read(by.salt); err != nil {
		return nil, err
	}
	p := &Proof{Clones: make([]Proven, len(clones)), Clashes: []Clash{}}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, c := range clones {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			p.Clones[i] = s.ask(ctx, d, c, all, by)
		})
	}
	wg.Wait()
	p.Clashes = clashes(p.Clones)
	return p, p.err()
}

// ask asks one clone everything. A clone without an address cannot be asked.
func (s *State) ask(ctx context.Context, d driver.Driver, c Clone, all []Standing, by Inquiry) Proven {
	i := slices.IndexFunc(all, func(st Standing) bool { return st.Clone == c.Name })
	out := Proven{Standing: all[i]}
	if !out.Address.IsValid() {
		return out
	}
	tell := by.Tell
	if tell == nil {
		tell = func(string) {}
	}
	imprint, _ := s.Imprint() // where it cannot be read, questions about stacks are not asked
	out.Answers = probe.Ask(ctx, probe.Target{
		Clone: c.Name, Address: out.Address, Reported: out.Claimed, MAC: c.MAC, ClientID: out.Client, Foreign: foreign(all[i], all, s.golden()),
		Stacks: imprint.Stacks, Kept: imprint.Policy.KeepSecrets, Salt: by.salt,
		Tell:     func(what string) { tell(c.Name + ": " + what) },
		Deep:     by.Deep,
		Settled:  out.State == Condition(report.Ready),
		Inside:   s.Network.Do,
		Connect:  s.Network.Dial,
		ReadFile: func(path string) ([]byte, error) { return d.ReadFile(c.Machine, path) },
		Away:     s.Network.Host != "",
		Resolve: func(ctx context.Context) (string, error) {
			w, err := discover.Open(s.Network, false)
			if err != nil {
				return "", err
			}
			defer w.Close()
			return w.Resolve(ctx, out.Address)
		},
	})
	return out
}

// golden returns who the image was baked as: the marker where its imprint cannot be read.
func (s *State) golden() identity.Identity {
	im, err := s.Imprint()
	if err != nil {
		return identity.Marker()
	}
	return im.Baked
}

// foreign lists what a clone must not name: the other clones, and the machine that the image was baked as. An adopted
// machine's address may be lent to a clone later, and is its own then.
func foreign(c Standing, all []Standing, golden identity.Identity) []string {
	out := []string{golden.Hostname, golden.FQDN()}
	if golden.Address.IsValid() && golden.Address != c.Address {
		out = append(out, golden.Address.String())
	}
	for _, st := range all {
		if st.Clone != c.Clone {
			out = append(out, st.Clone)
			if st.Address.IsValid() {
				out = append(out, st.Address.String())
			}
		}
	}
	return slices.DeleteFunc(out, func(name string) bool { return name == "" || name == c.Clone })
}

// clashes compares what must be unique, in the order of the probes.
func clashes(clones []Proven) []Clash {
	type key struct{ probe, value string }
	owners := map[key][]string{}
	var order []key
	for _, c := range clones {
		for _, a := range c.Answers {
			for _, v := range slices.Compact(slices.Sorted(slices.Values(a.Unique))) {
				k := key{a.Probe, v}
				if owners[k] == nil {
					order = append(order, k)
				}
				owners[k] = append(owners[k], c.Clone)
			}
		}
	}
	out := []Clash{}
	for _, k := range order {
		if len(owners[k]) > 1 {
			out = append(out, Clash{k.probe, k.value, owners[k]})
		}
	}
	return out
}

func (p *Proof) err() error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, report.Faultf(report.Unverified, format, args...))
	}
	for _, c := range p.Clones {
		if c.State != Condition(report.Ready) {
			add("%s is %s%s", c.Clone, c.State, prefixed(": ", c.Why))
		}
		if c.Answers == nil {
			add("%s: cannot be asked, it has no address", c.Clone)
		}
		for _, a := range c.Answers {
			if a.Verdict == report.Fail {
				add("%s: %s: %s", c.Clone, a.Probe, a.Why)
			}
		}
	}
	for _, k := range p.Clashes {
		add("%s share one %s: %s", strings.Join(k.Clones, " and "), k.Probe, k.Value)
	}
	return errors.Join(errs...)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprint(prefix, s)
}
