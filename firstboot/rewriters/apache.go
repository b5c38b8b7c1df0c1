package rewriters

import (
	"context"
	"errors"
	"path"
	"strings"

	"goldsmith/firstboot/plan"
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
	horizon := strings.Contains(path.Base(file), "horizon") || strings.Contains(path.Base(file), "dashboard")
	for _, e := range list {
		if strings.HasSuffix(e.Key, ">") {
			continue
		}
		alias := horizon && strings.Contains(strings.ToLower(e.Key), "serveralias")
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
