package rewriters

import (
	"context"
	"errors"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/authority"
	"goldsmith/firstboot/text/ini"
)

// A rowSet is a table of which some columns follow the identity.
type rowSet struct {
	schema, table string
	key           []string // all of the primary key
	columns       []string
	rule          Rule
	// optional tables are not in every release.
	optional bool
	why      string
}

// followRows proposes every column of every row that names an earlier identity.
func (s *Scene) followRows(ctx context.Context, sets ...rowSet) error {
	var errs []error
	for _, set := range sets {
		errs = append(errs, s.followTable(ctx, set))
	}
	return errors.Join(errs...)
}

func (s *Scene) followTable(ctx context.Context, set rowSet) error {
	names := append([]string{}, set.key...)
	for _, c := range set.columns {
		if !has(names, c) {
			names = append(names, c)
		}
	}
	rows, err := s.Host.Rows(ctx, set.schema, set.table, names...)
	if set.optional && errors.Is(err, host.ErrNoTable) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, r := range rows {
		for _, c := range set.columns {
			if err := s.followColumn(set, r, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Scene) followColumn(set rowSet, r host.Row, column string) error {
	was, ok := r[column]
	if !ok {
		return nil
	}
	want, err := set.rule(s, was)
	if err != nil {
		return err
	}
	s.Propose(plan.Change{Kind: plan.Row, Was: plan.Text(was), Want: plan.Text(want), Row: target(set, r, column), Why: set.why,
		Restart: s.by.Units, Secret: strings.Contains(was, "@") && strings.Contains(was, "://")})
	return nil
}

// removeRows proposes that rows go of which a column names an earlier identity: their owner writes them anew.
func (s *Scene) removeRows(ctx context.Context, set rowSet) error {
	rows, err := s.Host.Rows(ctx, set.schema, set.table, append(append([]string{}, set.key...), set.columns...)...)
	if set.optional && errors.Is(err, host.ErrNoTable) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, r := range rows {
		for _, c := range set.columns {
			want, err := set.rule(s, r[c])
			if err != nil {
				return err
			}
			if want != r[c] {
				s.Propose(plan.Change{Kind: plan.Row, Want: plan.Gone, Row: target(set, r, ""), Why: set.why, Restart: s.by.Units})
				break
			}
		}
	}
	return nil
}

func target(set rowSet, r host.Row, column string) *plan.Target {
	match := map[string]string{}
	for _, k := range set.key {
		match[k] = r[k]
	}
	return &plan.Target{Schema: set.schema, Table: set.table, Match: match, Column: column}
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// JSONText follows every string of a JSON text that is an address, a name, host:port or a URL; all other bytes stay.
func JSONText(s *Scene, was string) (string, error) {
	var out strings.Builder
	for i, part := range strings.Split(was, `"`) {
		if i > 0 {
			out.WriteByte('"')
		}
		if i%2 == 1 && !strings.Contains(was, `\`) { // an escape: a text in which quotes do not pair up
			part = s.token(part)
		}
		out.WriteString(part)
	}
	return out.String(), nil
}

// HostAt follows the host of cinder's host@backend#pool.
func HostAt(s *Scene, was string) (string, error) {
	h, rest, found := strings.Cut(was, "@")
	if !found {
		return s.name(was), nil
	}
	return s.name(h) + "@" + rest, nil
}

// keepsDatabase tells whether a service's connection string names a server on this machine. Such a service needs its
// database; one without the string, or with another machine's, has none here.
func (s *Scene) keepsDatabase(file, key string) (bool, error) {
	url, ok, err := s.Get(ini.Codec, file, key)
	if err != nil || !ok {
		return false, err
	}
	hosts := authority.Hosts(url)
	return strings.HasPrefix(url, "mysql") && len(hosts) == 1 && s.here(hosts[0]), nil
}

// here tells whether a host is this machine, as it was or as it shall be.
func (s *Scene) here(h string) bool {
	return s.ours(h, true) || h == s.To.Address.String() || h == s.To.Address6.String() || h != "" && (h == s.To.Hostname || h == s.To.FQDN())
}

// nameMoved tells whether the machine's name is another than one of its earlier ones: then, and only then, every row that is
// named after it follows, in one pass.
func (s *Scene) nameMoved() bool {
	for _, id := range s.Old {
		if id.Hostname != "" && s.To.Hostname != "" && (id.Hostname != s.To.Hostname || id.Domain != s.To.Domain) {
			return true
		}
	}
	return false
}
