package check

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

// residue searches /etc for an earlier identity: what no rewriter owns is found here. A trace of the marker identity is a
// failure, because nothing else in the world has that name; a trace of another identity may be a coincidence (10.0.0.1 in a
// comment) and is a warning.
func residue() Check {
	return Check{Name: "residue", Asks: "nothing in /etc names an earlier identity", Phase: rewriters.Stack, Ask: askResidue}
}

// maxListed bounds the places that a report names.
const maxListed = 12

func askResidue(ctx context.Context, s *rewriters.Scene) (report.Verdict, string) {
	var found []string
	verdict := report.Pass
	marker := needles(identity.Marker(), s.To)
	var all []string
	for _, id := range s.Old {
		all = append(all, needles(id, s.To)...)
	}
	walk(s, "/etc", 0, func(name string, data []byte) {
		if name == host.OVSFile {
			data = records(ctx, s)
		}
		data = append(data, rewriters.CertificateNames(data)...)
		for _, n := range all {
			if !contains(data, n) {
				continue
			}
			found = append(found, fmt.Sprintf("%s (%s)", name, n))
			if verdict == report.Pass {
				verdict = report.Warn
			}
			for _, m := range marker {
				if m == n {
					verdict = report.Fail
				}
			}
			return
		}
	})
	if len(found) > maxListed {
		found = append(found[:maxListed], fmt.Sprintf("and %d more", len(found)-maxListed))
	}
	return verdict, strings.Join(found, ", ")
}

// records returns what Open vSwitch's database holds. Its file is a log, in which an earlier self may stand as history.
func records(ctx context.Context, s *rewriters.Scene) []byte {
	var out []byte
	for _, table := range []string{"Open_vSwitch", "Bridge", "Port", "Interface"} {
		columns := []string{"external_ids", "other_config"}
		if table == "Interface" {
			columns = append(columns, "options", "mac")
		}
		list, err := s.Host.OVS(ctx, table, columns...)
		if err != nil {
			return nil // the rewriter has said so
		}
		for name, record := range list {
			out = fmt.Appendln(out, table, name, record)
		}
	}
	return out
}

// needles returns what of an identity must not be found on a clone that shall be to. Loopback and what the clone shares
// with the old self are no residue.
func needles(id, to identity.Identity) []string {
	var list []string
	add := func(s, now string) {
		if len(s) > 2 && s != now {
			list = append(list, s)
		}
	}
	if a := id.Address; a.IsValid() && !a.IsLoopback() && a != to.Address {
		add(a.String(), "")
	}
	if a := id.Address6; a.IsValid() && !a.IsLoopback() && a != to.Address6 {
		add(a.String(), "")
	}
	if id.Hostname == identity.Marker().Hostname {
		add(id.Hostname, to.Hostname)
	}
	add(id.MachineID, to.MachineID)
	for _, n := range id.NICs {
		if !has(to.NICs, n.MAC) {
			add(n.MAC, "")
		}
	}
	return list
}

func has(list []identity.NIC, mac string) bool {
	for _, n := range list {
		if rewriters.SameMAC(n.MAC, mac) {
			return true
		}
	}
	return false
}

// contains finds needle in data where no letter or digit touches it, in any case: 10.0.0.1 is not in 10.0.0.10.
func contains(data []byte, needle string) bool {
	low, n := bytes.ToLower(data), []byte(strings.ToLower(needle))
	for from := 0; ; {
		i := bytes.Index(low[from:], n)
		if i < 0 {
			return false
		}
		at := from + i
		if !word(low, at-1) && !word(low, at+len(n)) {
			return true
		}
		from = at + 1
	}
}

func word(b []byte, i int) bool {
	return i >= 0 && i < len(b) && (b[i] >= '0' && b[i] <= '9' || b[i] >= 'a' && b[i] <= 'z')
}

// walk visits the regular files of a directory, not through links, eight levels deep. Our own imprint names the baked
// identity on purpose.
func walk(s *rewriters.Scene, dir string, depth int, visit func(string, []byte)) {
	names, err := s.Host.Glob(dir + "/*")
	if err != nil || depth > 8 {
		return
	}
	hidden, err := s.Host.Glob(dir + "/.*")
	if err != nil {
		return
	}
	for _, name := range append(names, hidden...) {
		info, err := s.Host.Lstat(name)
		switch {
		case err != nil || name == path.Dir(identity.ImprintFile):
		case info.IsDir():
			walk(s, name, depth+1, visit)
		case info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 && info.Size() < 8<<20:
			if data, err := s.Host.ReadFile(name); err == nil {
				visit(name, data)
			}
		}
	}
}
