package rewriters

import (
	"context"
	"errors"
	"net/netip"
	"path"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/apache"
)

// apacheVHosts owns what Apache calls itself. packstack gives Horizon's virtual host the address as a ServerAlias; asked
// for another one, Apache serves its default host.
func apacheVHosts() Rewriter {
	return Rewriter{
		Name: "apache", Short: "ServerName, ServerAlias and addresses of Apache's virtual hosts", Phase: Stack,
		Units:  []string{"apache2.service", "httpd.service"},
		Owns:   []Place{{Where: vhostFiles[0], Key: "any directive", Why: "virtual hosts on RHEL"}, {Where: vhostFiles[1], Key: "any directive", Why: "virtual hosts on Debian"}},
		Leaves: []Place{{Where: "ServerAlias *", Why: "answers to every name already"}},
		Plan:   planApache,
	}
}

// vhostFiles hold virtual hosts. Debian's sites-enabled holds links to these.
var vhostFiles = []string{"/etc/httpd/conf.d/*.conf", "/etc/apache2/sites-available/*.conf"}

func planApache(_ context.Context, s *Scene) error {
	var errs []error
	for _, pattern := range vhostFiles {
		paths, err := s.Host.Glob(pattern)
		errs = append(errs, err)
		for _, p := range paths {
			errs = append(errs, s.vhostFile(p))
		}
	}
	return errors.Join(errs...)
}

func (s *Scene) vhostFile(file string) error {
	list, err := s.List(apache.Codec, file)
	if err != nil {
		return err
	}
	// Horizon's host must answer to the clone's address. Where no alias was ever a public address, the loopback's becomes it.
	horizon := (strings.Contains(path.Base(file), "horizon") || strings.Contains(path.Base(file), "dashboard")) && !s.aliased(list)
	for _, e := range list {
		if strings.HasSuffix(e.Key, ">") {
			continue
		}
		alias := horizon && isAlias(e.Key)
		want := apache.MapWords(e.Value, func(word string) string {
			if alias {
				if a := s.address(word, true); a != word {
					return a
				}
			}
			return s.token(word)
		})
		s.Propose(plan.Change{Kind: plan.Kind(apache.Codec.Name), Where: file, Key: e.Key, Was: plan.Text(e.Value),
			Want: plan.Text(want), Why: "names the golden machine", Restart: s.by.Units})
	}
	return nil
}

// aliased tells whether one of a file's aliases is, or was, the machine's address.
func (s *Scene) aliased(list []text.Entry) bool {
	for _, e := range list {
		for _, word := range strings.Fields(e.Value) {
			if !isAlias(e.Key) {
				continue
			}
			if a, err := netip.ParseAddr(strings.Trim(word, `"`)); err == nil && (a == s.To.Address || s.wasOurs(a)) {
				return true
			}
		}
	}
	return false
}

func isAlias(key string) bool { return strings.Contains(strings.ToLower(key), "serveralias") }
