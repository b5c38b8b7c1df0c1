package identity

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Renames says which NIC of a clone takes the place of which NIC of an earlier self: ens192 was baked, the clone's
// hypervisor shows ens3. A name that both have stands for itself, a MAC that both have names the same NIC, and what is
// left goes in the order of the names. Names that a clone has in addition are not in the map.
//
// public is the clone's NIC for the NIC wasPublic, where somebody has said so; otherwise empty. Where the number of NICs
// differs, and nobody has said so, or where the clone reuses a name for another place in the order, the answer would be a
// guess: that is an error, with the map of what is certain.
func Renames(from, to []NIC, wasPublic, public string) (map[string]string, error) {
	m := map[string]string{}
	pair := func(a, b string) { m[a] = b }
	for _, n := range from {
		if contains(to, n.Name) {
			pair(n.Name, n.Name)
		}
	}
	for _, n := range from {
		if i := slices.IndexFunc(to, func(t NIC) bool { return t.MAC == n.MAC }); m[n.Name] == "" && i >= 0 && !taken(m, to[i].Name) {
			pair(n.Name, to[i].Name)
		}
	}
	if contains(from, wasPublic) && contains(to, public) && m[wasPublic] == "" && !taken(m, public) {
		pair(wasPublic, public)
	}
	gone := slices.DeleteFunc(names(from), func(n string) bool { return m[n] != "" })
	free := slices.DeleteFunc(names(to), func(n string) bool { return taken(m, n) })
	switch {
	case len(gone) == 0:
		return m, nil
	case len(gone) != len(free) && m[wasPublic] != "" && public != "":
		return m, nil // the public face is settled, and the others have no place here
	case len(gone) != len(free):
		return m, fmt.Errorf("cannot tell which NIC takes the place of %s: this machine has %s", strings.Join(gone, ", "),
			list(names(to)))
	}
	for i := range gone {
		pair(gone[i], free[i])
	}
	if kept := len(m) - len(gone); kept > 0 && crosses(from, to, m) {
		return m, fmt.Errorf("cannot tell which NIC takes the place of which: %s were baked, this machine has %s, and a name of "+
			"both stands at another place in the order", list(names(from)), list(names(to)))
	}
	return m, nil
}

// crosses tells whether two NICs have changed their order.
func crosses(from, to []NIC, m map[string]string) bool {
	order := names(to)
	last := -1
	for _, n := range names(from) {
		at := slices.Index(order, m[n])
		if at < last {
			return true
		}
		last = at
	}
	return false
}

func contains(nics []NIC, name string) bool {
	return slices.ContainsFunc(nics, func(n NIC) bool { return n.Name == name })
}

func taken(m map[string]string, name string) bool {
	for _, v := range m {
		if v == name {
			return true
		}
	}
	return false
}

func list(names []string) string {
	if len(names) == 0 {
		return "no NIC"
	}
	return strings.Join(names, ", ")
}

// names returns the names as people order them: ens3 before ens10.
func names(nics []NIC) []string {
	var out []string
	for _, n := range nics {
		out = append(out, n.Name)
	}
	sort.Sort(byNumber(out))
	return out
}

// byNumber sorts by natural. slices.SortFunc would be compiled once more for it, and firstboot has a budget.
type byNumber []string

func (n byNumber) Len() int           { return len(n) }
func (n byNumber) Less(i, j int) bool { return natural(n[i], n[j]) < 0 }
func (n byNumber) Swap(i, j int)      { n[i], n[j] = n[j], n[i] }

// natural compares digits by their number and everything else by character.
func natural(a, b string) int {
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da > 0 && db > 0 {
			na, nb := strings.TrimLeft(a[:da], "0"), strings.TrimLeft(b[:db], "0")
			if len(na) != len(nb) {
				return len(na) - len(nb)
			}
			if c := strings.Compare(na, nb); c != 0 {
				return c
			}
			a, b = a[da:], b[db:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
