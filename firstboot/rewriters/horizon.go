package rewriters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/pysettings"
)

// horizonFiles are Django's settings: RHEL's has no ending, Debian's has.
var horizonFiles = []string{"/etc/openstack-dashboard/local_settings", "/etc/openstack-dashboard/local_settings.py",
	"/etc/openstack-dashboard/local_settings.d/*.py"}

// horizonStore is where Debian's settings keep SECRET_KEY (horizon.utils.secret_key).
const horizonStore = "/var/lib/openstack-dashboard/secret-key/.secret_key_store"

// horizon owns the names that Horizon answers to and the key that signs its cookies. With one key for all clones, a session
// of one is a session of every other.
func horizon() Rewriter {
	return Rewriter{
		Name: "horizon", Short: "Horizon's host names, addresses and cookie key", Phase: Stack,
		Units: []string{"apache2.service", "httpd.service", "memcached.service"},
		Owns: []Place{
			{Where: "/etc/openstack-dashboard/local_settings*", Key: "any string", Why: "names the golden machine"},
			{Where: "/etc/openstack-dashboard/local_settings*", Key: "ALLOWED_HOSTS", Why: "Django answers 400 to any other name"},
			{Where: "/etc/openstack-dashboard/local_settings*", Key: "SECRET_KEY", Why: "signs cookies"},
			{Where: horizonStore, Why: "signs cookies (Debian)"},
		},
		Leaves: []Place{{Where: "/etc/openstack-dashboard/local_settings*", Key: "OPENSTACK_HOST = 127.0.0.1",
			Why: "Horizon talks to its own keystone; loopback is right on every clone"}},
		Plan: planHorizon,
	}
}

func planHorizon(_ context.Context, s *Scene) error {
	var errs []error
	for _, pattern := range horizonFiles {
		paths, err := s.Host.Glob(pattern)
		errs = append(errs, err)
		for _, p := range paths {
			errs = append(errs, s.djangoFile(p))
		}
	}
	if _, err := s.Host.Stat(horizonStore); err == nil && s.Rekeys("horizon/secret-key") {
		meta := plan.Meta{Mode: 0o600, Owner: "horizon", Group: "horizon"}
		errs = append(errs, s.SecretFile(horizonStore, []byte(s.Secret("horizon/secret-key", 64)), meta, "signs cookies"))
	}
	return errors.Join(errs...)
}

// djangoFile compares the file's settings with those of a copy in which every string follows the identity.
func (s *Scene) djangoFile(path string) error {
	data, err := s.Host.ReadFile(path)
	if err != nil {
		return err
	}
	want, err := s.followDjango(data)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	before, err := pysettings.Codec.List(data)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	for _, e := range before {
		now, ok, err := pysettings.Codec.Get(data, e.Key)
		then, ok2, err2 := pysettings.Codec.Get(want, e.Key)
		if err := errors.Join(err, err2); err != nil || !ok || !ok2 {
			return fmt.Errorf("cannot read %s of %s: %w", e.Key, path, err)
		}
		if s.planned(path, e.Key) {
			continue
		}
		s.Propose(plan.Change{Kind: plan.Kind(pysettings.Codec.Name), Where: path, Key: e.Key, Was: plan.Text(now),
			Want: plan.Text(then), Why: "names the golden machine, or signs its cookies", Restart: s.by.Units,
			Secret: e.Key == "SECRET_KEY" || holdsPassword(now)})
	}
	return nil
}

// holdsPassword tells whether a value is one like DATABASES, with a password beside the host that follows.
func holdsPassword(value string) bool { return strings.Contains(strings.ToUpper(value), "PASSWORD") }

// planned tells whether a key of a file is in the plan already: a setting that is assigned twice is listed twice.
func (s *Scene) planned(path, key string) bool {
	return slices.ContainsFunc(s.plan.Changes, func(c plan.Change) bool { return c.Where == path && c.Key == key })
}

func (s *Scene) followDjango(data []byte) ([]byte, error) {
	out, err := pysettings.MapStrings(data, func(l pysettings.Literal) string {
		want, err := Any(s, l.Value)
		if err != nil {
			return l.Value
		}
		return want
	})
	if err != nil {
		return nil, err
	}
	if out, err = s.allowHost(out); err != nil {
		return nil, err
	}
	_, literal, err := pysettings.GetString(out, "SECRET_KEY")
	if err != nil || !literal || !s.Rekeys("horizon/secret-key") {
		return out, nil // Debian's calls a function
	}
	return pysettings.SetString(out, "SECRET_KEY", s.Secret("horizon/secret-key", 64))
}

// allowHost makes Django answer to the clone's address.
func (s *Scene) allowHost(data []byte) ([]byte, error) {
	list, ok, err := pysettings.GetStrings(data, "ALLOWED_HOSTS")
	if err != nil || !ok || !s.To.Address.IsValid() {
		return data, nil // computed by code; Horizon answers, or its check says why not
	}
	var kept []string
	for _, h := range list {
		if !slices.Contains(kept, h) {
			kept = append(kept, h)
		}
	}
	if !slices.Contains(kept, "*") && !slices.Contains(kept, s.To.Address.String()) {
		kept = append(kept, s.To.Address.String())
	}
	if slices.Equal(kept, list) {
		return data, nil
	}
	return pysettings.SetStrings(data, "ALLOWED_HOSTS", kept)
}
