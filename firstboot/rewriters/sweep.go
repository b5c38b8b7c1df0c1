package rewriters

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"goldsmith/firstboot/plan"
)

// sweep proposes the identity, and the clone's own passwords, for every value of the named files that holds earlier ones.
func (s *Scene) sweep(r *Rewriter, sw Sweep) error {
	paths, err := s.Host.Glob(sw.File)
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		errs = append(errs, s.sweepFile(r, sw, path))
	}
	return errors.Join(errs...)
}

func (s *Scene) sweepFile(r *Rewriter, sw Sweep, path string) error {
	list, err := s.List(sw.Codec, path)
	if err != nil {
		return err
	}
	passwords := credentials(path, list)
	seen := map[string]bool{}
	for _, e := range list {
		if seen[e.Key] || slices.Contains(sw.Except, e.Key) || r.sets(path, e.Key) {
			continue
		}
		seen[e.Key] = true
		was, ok, err := s.Get(sw.Codec, path, e.Key)
		if err != nil || !ok {
			return errors.Join(err, fmt.Errorf("%s lists %s but does not have it", path, e.Key))
		}
		c, secret := passwords[e.Key]
		want, err := s.swept(c, secret, was)
		if err != nil {
			return err
		}
		s.Propose(plan.Change{Kind: plan.Kind(sw.Codec.Name), Where: path, Key: e.Key, Was: plan.Text(was), Want: plan.Text(want),
			Why: "names the golden machine, or its password", Restart: r.Units, Secret: sw.Secret || secret || strings.Contains(was, "@")})
	}
	return nil
}

// swept follows one value. A password that stands alone is no name, even where it looks like the host's.
func (s *Scene) swept(c credential, secret bool, was string) (string, error) {
	want := was
	if secret {
		want = s.withPassword(c, was)
	}
	if secret && !c.url {
		return want, nil
	}
	return Any(s, want)
}

// sets tells whether the rewriter's table has a rule of its own for a key.
func (r *Rewriter) sets(file, key string) bool {
	return slices.ContainsFunc(r.Settings, func(t Setting) bool {
		same, err := path.Match(t.File, file)
		return err == nil && same && t.Key == key
	})
}

// Any follows a value whatever it is: an address, a name, host:port, address/prefix, a URL, or a list of those with commas
// or blanks between them. Everything that is none of these stays byte for byte. In a text of several words a short host
// name may be just a word ("the controller is down") and stays.
func Any(s *Scene, was string) (string, error) {
	prose := strings.ContainsAny(strings.TrimSpace(was), " \t\n")
	var out strings.Builder
	rest := was
	for rest != "" {
		i := strings.IndexAny(rest, ", \t\n\"'")
		if i < 0 {
			i = len(rest)
		}
		if t := rest[:i]; prose && !strings.ContainsAny(t, ".:") {
			out.WriteString(t)
		} else {
			out.WriteString(s.token(t))
		}
		if i < len(rest) {
			out.WriteByte(rest[i])
			i++
		}
		rest = rest[i:]
	}
	return out.String(), nil
}

// token follows one word.
func (s *Scene) token(t string) string {
	if strings.Contains(t, "://") {
		return s.url(t, false)
	}
	if want := s.host(t); want != t {
		return want
	}
	if h, port, ok := cutLast(t, ":"); ok && digits(port) {
		if proto, inner, found := strings.Cut(h, ":"); found && !strings.Contains(inner, ":") {
			return proto + ":" + bracket(s.host(inner)) + ":" + port // tcp:10.0.0.1:6641, as OVN writes it
		}
		if want := s.host(h); want != h { // else it may be anything: a MAC ends in digits, too
			return bracket(want) + ":" + port
		}
	}
	if h, bits, ok := cutLast(t, "/"); ok && digits(bits) {
		return s.address(h, false) + "/" + bits
	}
	return t
}

func (s *Scene) host(h string) string {
	if _, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil {
		return s.address(h, false)
	}
	return s.name(h)
}

// bracket writes a host as it stands before a port.
func bracket(h string) string {
	if strings.Contains(h, ":") && !strings.HasPrefix(h, "[") {
		return "[" + h + "]"
	}
	return h
}

func cutLast(t, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(t, sep)
	if i <= 0 {
		return t, "", false
	}
	return t[:i], t[i+len(sep):], true
}

func digits(t string) bool {
	return t != "" && strings.Trim(t, "0123456789") == ""
}
