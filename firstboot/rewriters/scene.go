package rewriters

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text"
)

// A Scene is what a rewriter sees: who the machine was, who it shall be, and the machine itself, read-only.
type Scene struct {
	Phase  Phase
	Old    Old               // every identity that this disk ever had
	From   identity.Identity // the last one that it became, or the baked one
	To     identity.Identity
	Policy identity.Policy
	Host   host.Reader
	// Rekey is true until this clone has converged once under its own seed: only then do secrets change. Later rotations and
	// passwords set by the administrator stay.
	Rekey bool
	// Begun are the seeds of earlier lives of this disk that were cut before they converged: some places may hold what came
	// from them.
	Begun []Seed
	// Cluster makes the passwords that all nodes of a cluster share; nil where the clone was told no such secret.
	Cluster Seed
	// Born is when this clone decided who it is; certificates start then.
	Born time.Time

	by       *Rewriter
	list     []Rewriter // who else is asked
	seed     Seed
	plan     *plan.Plan
	accounts map[string]*account
	told     map[string]string
}

// NewScene returns a scene for one phase. The seed makes the clone's secrets.
func NewScene(phase Phase, old Old, from, to identity.Identity, pol identity.Policy, h host.Reader, seed Seed) *Scene {
	return &Scene{Phase: phase, Old: old, From: from, To: to, Policy: pol, Host: h, seed: seed,
		plan: &plan.Plan{}}
}

// Run asks every given rewriter of the scene's phase and returns the plan. All errors come at once.
func Run(ctx context.Context, s *Scene, list []Rewriter) (*plan.Plan, error) {
	var errs []error
	s.list = list
	if err := s.decideAccounts(ctx); err != nil {
		return s.plan, fmt.Errorf("cannot decide about passwords: %w", err)
	}
	for i := range list {
		r := &list[i]
		if r.Phase != s.Phase {
			continue
		}
		s.by = r
		if err := r.propose(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("cannot plan %s: %w", r.Name, err))
		}
	}
	errs = append(errs, s.writeTold(), s.plan.Check())
	return s.plan, errors.Join(errs...)
}

func (r *Rewriter) propose(ctx context.Context, s *Scene) error {
	var errs []error
	for _, set := range r.Settings {
		errs = append(errs, s.Follow(set))
	}
	for _, sw := range r.Sweeps {
		errs = append(errs, s.sweep(r, sw))
	}
	if r.Plan != nil {
		errs = append(errs, r.Plan(ctx, s))
	}
	return errors.Join(errs...)
}

// Follow proposes what a setting's rule wants in every file that the setting names.
func (s *Scene) Follow(set Setting) error {
	paths := []string{set.File}
	if strings.ContainsAny(set.File, "*?[") {
		var err error
		if paths, err = s.Host.Glob(set.File); err != nil {
			return err
		}
	}
	if len(paths) == 0 && set.Required && !s.optional(set) {
		return fmt.Errorf("no file matches %s", set.File)
	}
	for _, path := range paths {
		set.File = path
		if err := s.follow(set); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scene) follow(set Setting) error {
	was, ok, err := s.Get(set.Codec, set.File, set.Key)
	if err != nil {
		return err
	}
	if !ok {
		if set.Required && !s.optional(set) {
			return fmt.Errorf("%s has no %s", set.File, set.Key)
		}
		return nil
	}
	want, err := set.Rule(s, was)
	if err != nil {
		return fmt.Errorf("%s %s: %w", set.File, set.Key, err)
	}
	if want == was {
		return nil
	}
	restart := s.by.Units
	if set.Restart != nil {
		restart = set.Restart
	}
	s.Propose(plan.Change{Kind: plan.Kind(set.Codec.Name), Where: set.File, Key: set.Key, Was: plan.Text(was),
		Want: plan.Text(want), Why: set.Why, Restart: restart, Secret: set.Secret})
	return nil
}

// optional tells whether the imprint excuses a setting from being there.
func (s *Scene) optional(set Setting) bool {
	id := set.Codec.Name + ":" + set.File + " " + set.Key
	for _, o := range s.Policy.Optional {
		if o == id {
			return true
		}
	}
	return false
}

// Get reads one key of one file. A missing file is a missing key.
func (s *Scene) Get(codec text.Codec, path, key string) (string, bool, error) {
	data, err := s.Host.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("cannot read %s: %w", path, err)
	}
	v, ok, err := codec.Get(data, key)
	if err != nil {
		return "", false, fmt.Errorf("cannot read %s %s: %w", path, key, err)
	}
	return v, ok, nil
}

// List reads all keys of one file. A missing file has none.
func (s *Scene) List(codec text.Codec, path string) ([]text.Entry, error) {
	data, err := s.Host.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	list, err := codec.List(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return list, nil
}

// Set proposes that a key hold want, whatever stands there now; a missing key is added by the format's rule.
func (s *Scene) Set(codec text.Codec, path, key, want, why string) error {
	was, ok, err := s.Get(codec, path, key)
	if err != nil || (ok && was == want) {
		return err
	}
	c := plan.Change{Kind: plan.Kind(codec.Name), Where: path, Key: key, Was: plan.Text(was), Want: plan.Text(want),
		Why: why, Restart: s.by.Units}
	if !ok {
		c.Was = plan.Gone
	}
	s.Propose(c)
	return nil
}

// File proposes the whole content of a file. Content nil removes it. A file that is so already is no change.
func (s *Scene) File(path string, content []byte, meta plan.Meta, why string) error {
	return s.file(path, content, meta, why, false)
}

// SecretFile is File for content that nobody may see in a plan.
func (s *Scene) SecretFile(path string, content []byte, meta plan.Meta, why string) error {
	return s.file(path, content, meta, why, true)
}

func (s *Scene) file(path string, content []byte, meta plan.Meta, why string, secret bool) error {
	was := plan.Gone
	data, err := s.Host.ReadFile(path)
	switch {
	case err == nil:
		was = plan.Text(string(data))
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	want := plan.Gone
	if content != nil {
		want = plan.Text(string(content))
	}
	if was == want || s.wanted(path, want) {
		return nil
	}
	s.Propose(plan.Change{Kind: plan.File, Where: path, Was: was, Want: want, Meta: &meta, Why: why, Restart: s.by.Units,
		Secret: secret})
	return nil
}

// wanted tells whether the plan has a file with this content already. A run that was cut while it renamed a file leaves it
// under two names, and both become the same.
func (s *Scene) wanted(path string, want plan.Value) bool {
	for _, c := range s.plan.Changes {
		if c.Kind == plan.File && c.Where == path && c.Want == want {
			return true
		}
	}
	return false
}

// Remove proposes that a file be gone. A file that is not there is no change.
func (s *Scene) Remove(path, why string) error { return s.File(path, nil, plan.Meta{}, why) }

// Propose adds a change in the name of the running rewriter. A change that wants what is there is dropped.
func (s *Scene) Propose(c plan.Change) {
	if c.Was == c.Want {
		return
	}
	c.By = s.by.Name
	if c.Row != nil {
		c.Where, c.Key = c.Row.Schema+"."+c.Row.Table, c.Row.Key()
	}
	s.plan.Changes = append(s.plan.Changes, c)
}

// Note records something that the rewriter leaves to a person.
func (s *Scene) Note(what, why string) {
	s.plan.Notes = append(s.plan.Notes, plan.Note{By: s.by.Name, What: what, Why: why})
}

// Danger records something that makes the clone unsafe on its VLAN; the plan is refused.
func (s *Scene) Danger(what, why string) {
	s.plan.Notes = append(s.plan.Notes, plan.Note{By: s.by.Name, What: what, Why: why, Bad: true})
}

// Secret returns the clone's own secret of that name: n characters of [A-Za-z0-9], the same at every call. The alphabet is
// the one that survives URLs, shell, hiera and oslo.config unescaped.
func (s *Scene) Secret(name string, n int) string { return s.seed.Password(name, n) }

// accountSecret is the password of an account: its nodes' common one in a cluster, else the clone's own.
func (s *Scene) accountSecret(name string, n int) string {
	if s.Cluster != nil {
		return s.Cluster.Password(name, n)
	}
	return s.Secret(name, n)
}

// begunSecrets returns what the secret of that name would have been in lives that were cut.
func (s *Scene) begunSecrets(name string, n int) []string {
	var out []string
	for _, seed := range s.Begun {
		out = append(out, seed.Password(name, n))
	}
	return out
}

// SecretBytes returns n bytes of the clone's own secret of that name.
func (s *Scene) SecretBytes(name string, n int) []byte { return s.seed.Bytes(name, n) }

// Keeps tells whether the recipe keeps the baked secret of that name.
func (s *Scene) Keeps(name string) bool {
	for _, k := range s.Policy.KeepSecrets {
		if k == "all" || k == name || strings.HasPrefix(name, k+"/") {
			return true
		}
	}
	return false
}

// Rekeys tells whether the secret of that name shall become the clone's own now.
func (s *Scene) Rekeys(name string) bool { return s.Rekey && !s.Keeps(name) }
